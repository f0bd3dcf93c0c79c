#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks the arrows between the rooms and the shape of the files.

Arrows (docs/ARCHITECTURE.md): base < model < core, base < io, both below the rooms, all below daemon
and cli.  Rooms do not include each other.  The core is pure: it sees no clock, no file, no socket.
Each outside library has one room that knows it.  Prints one line a fault and exits 1 if there is any.

usage: tools/layers.py [--root DIRECTORY]
"""

import argparse
import pathlib
import re
import sys

ROOMS = {"api", "registry", "pipeline", "agent", "balancer", "hooks", "store"}
BELOW_ROOMS = {"base", "model", "core", "io"}

# folder of src/ -> the folders it may include, besides itself
MAY_INCLUDE = {
    "base": set(),
    "model": {"base"},
    "core": {"base", "model"},
    "io": {"base"},
    "daemon": BELOW_ROOMS | ROOMS,
    "cli": BELOW_ROOMS | ROOMS | {"daemon"},
}
MAY_INCLUDE.update({room: set(BELOW_ROOMS) for room in ROOMS})
# folders inside a room that know less than the room does
INNER = {
    "pipeline/language": {"pipeline/language"},
    "pipeline/groovy": {"pipeline/language", "pipeline/groovy"},
}
SIM_MAY_INCLUDE = {"base", "model", "core"}
# files whose names match may include the folder, too: the registry keeps its own state
EXCEPTIONS = [(re.compile(r"src/api/ecr(_\w+)?\.[ch]"), "registry")]

# header prefix -> the only folders of src/ that may include it
OWNERS = {
    "jansson": "base", "openssl/": "base", "cbor": "api",
    "uv.h": "io", "uv/": "io", "microhttpd": "io", "gnutls/": "io", "curl/": "io", "sys/epoll.h": "io", "spawn.h": "io",
    "sqlite3": ("store", "registry"), "archive": ("pipeline", "registry"), "expat": "pipeline", "yaml.h": "pipeline",
}

# these measure: the bare libraries, and a server from a process that shares none of its code
BARE = {"bench/floors.c", "bench/api_load.c"}
# these make what our own code only reads
MAKERS = {"tests/cert_maker.h", "tests/balancer/tls_client.c", "tests/h2_target.c"}

PURE = {"src/model", "src/core"}
PURE_HEADERS = {
    "assert.h", "ctype.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdalign.h",
    "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "strings.h",
}
PURE_FORBIDDEN = re.compile(
    r"\b(printf|fprintf|vprintf|vfprintf|puts|fputs|fopen|fdopen|freopen|fread|fwrite|fclose|perror|"
    r"scanf|getenv|setenv|rand|srand|random|srandom|time|clock|exit|open|close|read|write|"
    r"clock_(?:wall_ms|monotonic_ms|monotonic_us|sleep_ms)|random_(?:bytes|hex|uuid|token)|"
    r"log_(?:line|debug|info|warn|error))\s*\(")
PROCESS_CALLS = re.compile(r"\b(fork|vfork|posix_spawnp?|popen|system)\s*\(")

LINES_MAX = 900
GENERATED = {".inc", ".json"}
C_LIKE = {".c", ".h", ".def", ".inc"}
HASH_LIKE = {".py", ".build", ".sh"}
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_comments(text):
    """The code, with comments and literals blanked but the line breaks kept."""
    return NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


class Checker:
    def __init__(self, root):
        self.root = root
        self.faults = []
        self.files = 0

    def fault(self, path, line, message):
        self.faults.append(f"{path}:{line}: {message}")

    @staticmethod
    def is_excepted(name, folder):
        return any(folder == other and pattern.fullmatch(str(name)) for pattern, other in EXCEPTIONS)

    def run(self):
        for top in ("src", "sim", "tests", "bench", "tools"):
            for path in sorted((self.root / top).rglob("*")):
                if path.is_file() and "corpus" not in path.parts and "__pycache__" not in path.parts:
                    self.check_file(path)
        for name in ("meson.build",):
            if (self.root / name).exists():
                self.check_file(self.root / name)

    def check_file(self, path):
        name = path.relative_to(self.root).as_posix()
        script = path.suffix == "" and name.startswith("tools/")
        if path.suffix not in C_LIKE | HASH_LIKE and not script:
            return
        self.files += 1
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            self.fault(name, 1, "not UTF-8")
            return
        self.check_tidy(name, path.suffix, text)
        if path.suffix in C_LIKE:
            self.check_includes(name, text)
            self.check_calls(name, text)

    def check_tidy(self, name, suffix, text):
        lines = text.split("\n")
        if suffix in C_LIKE:
            if lines[0] != "/* SPDX-License-Identifier: MIT */":
                self.fault(name, 1, "the first line is not the SPDX line")
        elif "# SPDX-License-Identifier: MIT" not in lines[:2]:
            self.fault(name, 1, "no SPDX line at the top")
        if suffix == ".h" and "#pragma once" not in lines:
            self.fault(name, 1, "no #pragma once")
        if len(lines) - 1 > LINES_MAX and suffix not in GENERATED:
            self.fault(name, LINES_MAX, f"longer than {LINES_MAX} lines")
        if text and not text.endswith("\n"):
            self.fault(name, len(lines), "no line break at the end")
        for number, line in enumerate(lines, 1):
            if "\t" in line:
                self.fault(name, number, "a tab")
            if line != line.rstrip():
                self.fault(name, number, "blanks at the end of the line")
            if UNFINISHED.search(line):
                self.fault(name, number, "a note of unfinished work")

    def check_includes(self, name, text):
        parts = name.split("/")
        for number, line in enumerate(text.split("\n"), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            if match.group(1) == "<":
                self.check_system(name, parts, number, match.group(2))
            else:
                self.check_ours(name, parts, number, match.group(2))
                self.check_owner(name, parts, number, match.group(2))

    def check_system(self, name, parts, number, header):
        self.check_owner(name, parts, number, header)
        if "/".join(parts[:2]) in PURE and header not in PURE_HEADERS:
            self.fault(name, number, f"{parts[1]} is pure and may not include <{header}>")

    def check_owner(self, name, parts, number, header):
        for prefix, owners in OWNERS.items():
            owners = (owners,) if isinstance(owners, str) else owners
            # A room's own test may look behind its back, for instance to break a database.
            own_test = parts[0] == "tests" and parts[-1].startswith(tuple(f"test_{o}" for o in owners))
            if header.startswith(prefix) and parts[:2] not in [["src", o] for o in owners] and not own_test and name not in BARE | MAKERS:
                self.fault(name, number, f"<{header}> belongs to src/{' and src/'.join(owners)} alone")

    def check_ours(self, name, parts, number, header):
        folder = header.split("/")[0]
        if "/" not in header or folder not in MAY_INCLUDE:
            here = (self.root / name).parent
            homes = (here / header, self.root / "tests" / header, self.root / header)
            if not any(home.exists() for home in homes) and not self.is_generated(here, header):
                self.fault(name, number, f'"{header}" does not exist (paths are relative to src/)')
            return
        if parts[0] == "tests" and (self.root / "tests" / header).exists():
            return
        if not (self.root / "src" / header).exists():
            self.fault(name, number, f'"{header}" does not exist in src/')
        if parts[0] == "src":
            own = parts[1]
            allowed = MAY_INCLUDE.get(own)
            if allowed is None:
                self.fault(name, number, f"src/{own} has no place in the house (see tools/layers.py)")
            elif folder != own and folder not in allowed and not self.is_excepted(name, folder):
                self.fault(name, number, f"{own} may not include {folder}")
            inner = "/".join(parts[1:3])
            if folder == own and inner in INNER and header.rpartition("/")[0] not in INNER[inner]:
                self.fault(name, number, f"{inner} may not include {header}")
        elif parts[0] == "sim" and folder not in SIM_MAY_INCLUDE:
            self.fault(name, number, f"sim may not include {folder}")

    def is_generated(self, folder, header):
        """Made during the build: the folder's meson.build names it."""
        recipe = folder / "meson.build"
        return header.endswith(".inc") and recipe.exists() and f"'{header}'" in recipe.read_text()

    def check_calls(self, name, text):
        room = "/".join(name.split("/")[:2])
        if not room.startswith("src/"):
            return
        code = without_comments(text).split("\n")
        for number, line in enumerate(code, 1):
            if line.lstrip().startswith("#"):
                continue
            match = PURE_FORBIDDEN.search(line) if room in PURE else None
            if match:
                self.fault(name, number, f"{room[4:]} is pure and may not call {match.group(1)}()")
            match = PROCESS_CALLS.search(line) if room != "src/io" else None
            if match:
                self.fault(name, number, f"{match.group(1)}() belongs to src/io alone")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    checker = Checker(parser.parse_args().root)
    checker.run()
    for fault in checker.faults:
        print(fault)
    print(f"layers: {checker.files} files, {len(checker.faults)} faults")
    return 1 if checker.faults or checker.files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
