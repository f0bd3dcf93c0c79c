#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which members, values and errors of the ECS operations does no test drive?

usage: api_complete.py PROGRAM...     the test programs built on api_world.h
       api_complete.py --record PROGRAM    runs one of them as the test that it is, and keeps what it drove beside it

Runs those of the programs of which nothing was kept, with NARU_API_RECORD naming a file: api_world.h writes every call and its
answer there. Compares that with the tables that the server answers by (src/api/models/ecs.json), with what ECS answers (ecs_answers.json: members, types,
errors), and with the tests' own text. Of each built operation these have to be driven, or to stand in api_allowed.txt with
a reason:

  CreateService.tags               a member of the input, sent in a call that worked, or whose error names it or what it is in
  LoadBalancer.containerPort       the same of a nested structure, by whatever operation
  DeploymentStrategy=CANARY        a value of an enum of the inputs, the same
  CreateService!ClusterNotFoundException   an error that a test provokes
  CreateService>service            a member of the answer, seen, and named by a test that saw it
  Service>runningCount             the same of a structure in answers
An allowance for what is driven, or for what does not exist, is a fault too, and so is an answer that is not of ECS's form:
a member ECS does not have, another JSON type, a value outside of the enum. A program whose name ends with '_inputs' draws
its calls by dice: it drives nothing, but its answers are checked."""
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
# What any operation may answer: modelled for all of them, or about the request as such. UnsupportedFeatureException is
# how naru says that a member is not built.
COMMON = {"AccessDeniedException", "ClientException", "InvalidParameterException", "InvalidSignatureException",
          "SerializationException", "ServerException", "ServiceUnavailableException", "UnknownOperationException",
          "UnsupportedFeatureException"}
KINDS = {"str": str, "int": int, "long": int, "dbl": (int, float), "bool": bool, "ts": (int, float), "map": dict}
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


class Tables:
    def __init__(self):
        self.inputs = json.loads((TOP / "src/api/models/ecs.json").read_text())
        self.answers = json.loads((HERE / "ecs_answers.json").read_text())
        text = "".join(path.read_text() for path in sorted((TOP / "src/api").glob("ecs_operations.c")))
        self.built = sorted(set(re.findall(r'\{"(\w+)", ACCESS_', text)))

    def invalid(self, operation):
        code = self.inputs["operations"][operation].get("invalid", self.inputs["invalid"])
        return {"CLIENT": "ClientException"}.get(code, "InvalidParameterException")


class Wanted:
    """Everything that has to be driven, by the tables."""

    def __init__(self, tables):
        self.all = set()
        for operation in tables.built:
            row = tables.answers["operations"].get(operation)
            if row is None:
                sys.exit(f"ecs_answers.json does not know {operation}")
            self.walk_input(tables, tables.inputs["operations"][operation]["input"], operation)
            self.all.update(f"{operation}!{error}" for error in row["errors"] + [tables.invalid(operation)])
            for member, kind in row["answer"].items():
                self.all.add(f"{operation}>{member}")
                self.walk_answer(tables, kind.strip("[]"))

    def walk_input(self, tables, name, title):
        shape = tables.inputs["shapes"][name]
        for child in [shape[key] for key in ("member", "key", "value") if key in shape]:
            self.walk_input(tables, child, child)
        self.all.update(f"{name}={value}" for value in shape.get("enum", []))
        for member, child in shape.get("members", {}).items():
            if f"{title}.{member}" not in self.all:
                self.all.add(f"{title}.{member}")
                self.walk_input(tables, child, child)

    def walk_answer(self, tables, name):
        for member, kind in tables.answers["shapes"].get(name, {}).items():
            if f"{name}>{member}" not in self.all:
                self.all.add(f"{name}>{member}")
                self.walk_answer(tables, kind.strip("[]"))


class Seen:
    """What one program drove, and the faults of the answers it got."""

    def __init__(self, tables, program):
        self.tables = tables
        self.driven = set()
        self.shown = set()
        self.last = ""
        self.faults = set()
        self.is_drawn = program.name.endswith("_inputs")
        source = HERE / f"{program.name}.c"
        literals = LITERAL.findall(source.read_text()) if source.exists() else []
        self.words = set(re.findall(r"\w+", " ".join(text for text in literals if "'" not in text)))

    def expected(self, pattern):
        """A pattern of api_expect.h, about the last answer."""
        row = self.tables.answers["operations"].get(self.last)
        if row is not None:
            self.see_pattern(row["answer"], self.last, pattern)

    def see_pattern(self, members, title, pattern):
        for member, inner in pattern.items():
            items = inner if isinstance(inner, list) else [inner]
            if inner is not None and member in members:
                self.driven.add(f"{title}>{member}")
                name = members[member].strip("[]")
                for item in items:
                    if isinstance(item, dict) and name in self.tables.answers["shapes"]:
                        self.see_pattern(self.tables.answers["shapes"][name], name, item)

    def call(self, operation, given, answer):
        self.last = operation
        row = self.tables.answers["operations"].get(operation)
        if operation not in self.tables.built or row is None:
            return
        error = answer.get("__type", "").rpartition("#")[2]
        if error:
            self.driven.add(f"{operation}!{error}")
            if error not in COMMON and error not in row["errors"]:
                self.faults.add(f"{operation} answers {error}, which it can not throw in ECS")
        if isinstance(given, dict):
            message = answer.get("message", "").lower() if error else None
            self.see_input(self.tables.inputs["operations"][operation]["input"], operation, given, message)
        if not error:
            self.see_structure(row["answer"], operation, answer, operation)

    def see_input(self, name, title, value, message):
        """`message` of the error, or None if the call worked."""
        shape = self.tables.inputs["shapes"][name]
        if isinstance(value, list) and shape["type"] == "list":
            for item in value:
                self.see_input(shape["member"], shape["member"], item, message)
        elif isinstance(value, str) and "enum" in shape and (message is None or value.lower() in message):
            self.driven.add(f"{name}={value}")
        elif isinstance(value, dict) and shape["type"] == "structure":
            for member, inner in value.items():
                if member in shape.get("members", {}):
                    is_named = message is None or member.lower() in message
                    if is_named:
                        self.driven.add(f"{title}.{member}")
                    child = shape["members"][member]
                    self.see_input(child, child, inner, None if is_named else message)

    def see_structure(self, members, title, value, operation):
        for member, inner in value.items():
            if member not in members:
                self.faults.add(f"{operation} answers {title}>{member}, which ECS does not have")
                continue
            self.shown.add(f"{title}>{member}")
            self.see_value(members[member], f"{title}>{member}", inner, operation)

    def see_value(self, kind, where, value, operation):
        inner = kind.strip("[]")
        shapes, enums = self.tables.answers["shapes"], self.tables.answers["enums"]
        if kind != inner:
            if isinstance(value, list):
                for item in value:
                    self.see_value(inner, where, item, operation)
                return
        elif kind in shapes and isinstance(value, dict):
            self.see_structure(shapes[kind], kind, value, operation)
            return
        elif kind in enums and value in enums[kind]:
            return
        elif kind == "doc" or (kind in KINDS and isinstance(value, KINDS[kind]) and
                               isinstance(value, bool) == (kind == "bool")):
            return
        self.faults.add(f"{operation} answers {where} as {json.dumps(value)[:60]}, which is no {kind}")

    def all_driven(self):
        if self.is_drawn:
            return set()
        return self.driven | {item for item in self.shown if item.partition(">")[2] in self.words}


def kept(program):
    return program.with_name(f"{program.name}.calls")


def record(program):
    """The whole of a run that went well is kept, or nothing."""
    kept(program).unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(dir=program.parent, suffix=f".{program.name}") as calls:
        status = subprocess.run([str(program.absolute())], env=dict(os.environ, NARU_API_RECORD=calls.name), check=False).returncode
        if status == 0:
            os.link(calls.name, kept(program))
    return 1 if status < 0 else status


def lines_of(program):
    """What the run before this one kept, once; or of a run of its own."""
    if kept(program).exists() and kept(program).stat().st_mtime >= program.stat().st_mtime:
        text = kept(program).read_text()
        kept(program).unlink()
        return text.split("\n")[:-1]
    with tempfile.NamedTemporaryFile(mode="r", suffix=f".{program.name}") as calls:
        done = subprocess.run([str(program)], env=dict(os.environ, NARU_API_RECORD=calls.name),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{program.name} fails:\n{done.stdout[-3000:]}")
        return calls.read().split("\n")[:-1]


def run(tables, program):
    seen = Seen(tables, program)
    for line in lines_of(program):
        target, given, answer = line.split("\t")
        try:
            decoded = json.loads(given)
        except ValueError:
            decoded = None
        if target == "=":
            seen.expected(decoded)
        elif target.startswith(tables.inputs["target_prefix"]):
            seen.call(target.rpartition(".")[2], decoded, json.loads(answer))
    return seen


def allowances():
    """pattern -> reason; a line is 'reason: pattern pattern ...', indented lines go on."""
    allowed = {}
    text = re.sub(r"\n[ \t]+", " ", (HERE / "api_allowed.txt").read_text())
    for line in text.splitlines():
        if line and not line.startswith("#"):
            reason, _, patterns = line.partition(": ")
            allowed.update((pattern, reason) for pattern in patterns.split())
    return allowed


def compare(wanted, seen, allowed):
    """Gives the faults; an allowed item that ECS does not have is an extension."""
    driven = set().union(*(s.all_driven() for s in seen))
    open_items = wanted - driven
    answers = set().union(*(s.faults for s in seen))
    extensions = {pattern for pattern in allowed if pattern not in wanted and "*" not in pattern}
    faults = sorted(fault for fault in answers if fault.split()[2].rstrip(",") not in extensions)
    excused = set()
    for pattern, reason in allowed.items():
        matching = set(fnmatch.filter(open_items, pattern))
        excused |= matching
        if not matching and pattern not in extensions:
            faults.append(f"{pattern} is allowed ({reason}), but tests drive it or ECS does not have it")
    faults += [f"no test drives {item}" for item in sorted(open_items - excused)]
    print(f"{len(wanted & driven)} of {len(wanted)} driven, {len(excused)} allowed")
    return faults


def main():
    if sys.argv[1] == "--record":
        return record(pathlib.Path(sys.argv[2]))
    tables = Tables()
    wanted = Wanted(tables).all
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        seen = list(pool.map(lambda name: run(tables, pathlib.Path(name)), sys.argv[1:]))
    faults = compare(wanted, seen, allowances())
    for fault in faults:
        print(fault)
    print(f"{0 if faults else 1} passed, {len(faults)} failed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
