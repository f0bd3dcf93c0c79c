#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/API.md from the tables: the models (src/api/models) and the handlers (src/api/*.c).

usage: gen_api_docs.py [--check]     --check compares with the file and fails if it is stale"""
import json
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
ROW = re.compile(r'\{\s*"(\w+)",\s*(ACCESS_\w+),\s*(\w+)\s*\}')
TABLE = re.compile(r"const struct operation (\w+)_operations\[\] = \{(.*?)\n\};", re.S)
NAMES = {"ecs": "Amazon ECS", "ecr": "Amazon ECR", "elbv2": "Elastic Load Balancing v2", "sts": "AWS STS",
         "acm": "AWS Certificate Manager", "ec2": "Amazon EC2", "cloudwatch": "Amazon CloudWatch"}


def handlers():
    built = {}
    for path in sorted((TOP / "src/api").glob("*.c")):
        for service, rows in TABLE.findall(path.read_text()):
            built[service] = {name: access for name, access, function in ROW.findall(rows) if function != "NULL"}
    return built


def members(model, operation):
    shape = model["shapes"].get(model["operations"][operation].get("input", ""), {})
    required = set(shape.get("required", []))
    return ", ".join(f"**{m}**" if m in required else m for m in shape.get("members", {})) or "none"


def page():
    lines = ["# Operations", "",
             "Made by `tools/gen_api_docs.py` from the tables that the server answers by; do not edit. Required members are bold.",
             "What is listed as not built answers `UnsupportedFeatureException` (Query services: `UnsupportedFeature`).", ""]
    built = handlers()
    for service, title in NAMES.items():
        path = TOP / "src/api/models" / f"{service}.json"
        if not path.exists():
            continue
        model = json.loads(path.read_text())
        done = [o for o in sorted(model["operations"]) if o in built.get(service, {})]
        rest = [o for o in sorted(model["operations"]) if o not in built.get(service, {})]
        protocol = {"json": "JSON 1.1", "query": "Query", "ec2": "Query, EC2's dialect"}[model["protocol"]]
        protocol += ", RPC v2 CBOR" if "cbor_namespace" in model else ""
        lines += [f"## {title} ({model['version']}, {protocol}): {len(done)} of {len(done) + len(rest)}", "",
                  "| operation | input |", "|---|---|"]
        lines += [f"| {o} | {members(model, o)} |" for o in done]
        if rest:
            lines += ["", "Not built: " + ", ".join(rest) + "."]
        lines.append("")
    lines += ["## Extensions", "",
              "ECS `UpdateService` takes members more: **rollbackDeployment** (boolean): go back to the last completed deployment, by its",
              "digests; with `desiredCount`, set that too. `naru aws ecs update-service --rollback-deployment` and `naru rollback` send it.",
              "**rollbackTo** (string) goes back to any completed deployment that is kept, named by its task definition (`my-app:3`), its",
              "service revision or its own id (`naru rollback --to`).", "",
              "With the member **plan** (a structure) the update is only foretold: nothing changes, and the answer has a member `plan` with every",
              "step, its time, the counts and the end (`naru plan`, `naru simulate`). Its members give the times to reckon with (else what the",
              "service's own tasks took lately) and a fault that befalls the new tasks.", "",
              "ECS `DescribeServices` knows the include **WAIT**: while tasks are missing and none is on its way, a service has a member `wait` with",
              "`cause` (FAILED, START_FAILURES, CRASHES, RUNTIME, AGENT, IMAGE, PLACEMENT), `missingCount`, `reason`, `nextTryAt`,",
              "`endsWithContainerInstance`.", "",
              "Tags of a service, which every client can send, are options where ECS has none. A key that begins with `naru:` and is not one of",
              "these, and a value that is none, are an `InvalidParameterException`. On other resources such tags are tags like any other, and task",
              "sets, which nobody judges, heed none:", "",
              "| tag | value | without it |", "|---|---|---|",
              "| `naru:progressDeadlineSeconds` | 10 to 2592000; 0: never. A deployment in which no more tasks became healthy for so long fails | 86400 |",
              "| `naru:probationSeconds` | 1 to 86400; 0: none. For so long after RUNNING an exit with a code other than 0 is a failure of the deployment, even of a healthy task; and for so long after COMPLETED such a crash loop may begin | 60 |",
              ""]
    return "\n".join(lines)


def main():
    target = TOP / "docs/API.md"
    text = page()
    if "--check" in sys.argv[1:]:
        if not target.exists() or target.read_text() != text:
            sys.exit("docs/API.md is stale: run tools/gen_api_docs.py")
        return
    target.write_text(text)


if __name__ == "__main__":
    main()
