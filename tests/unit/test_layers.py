#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Plants one fault at a time in a small tree and sees tools/layers.py find it."""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SPDX = "/* SPDX-License-Identifier: MIT */\n"
UNFINISHED = "TO" + "DO"

GOOD = {
    "src/base/str.h": SPDX + "#pragma once\n",
    "src/base/str.c": SPDX + '#include "base/str.h"\n#include <unistd.h>\n#include <jansson.h>\n',
    "src/model/task.h": SPDX + '#pragma once\n#include "base/str.h"\n',
    "src/core/core.h": SPDX + '#pragma once\n#include <stdio.h>\n#include "model/task.h"\n',
    "src/core/core.c": SPDX + '#include "core/core.h"\n/* fopen() time() */\n'
                              'static int n = snprintf(a, 1, "time(");\n',
    "src/io/loop.h": SPDX + '#pragma once\n#include <uv.h>\n',
    "src/io/process.c": SPDX + "static int x = fork();\n",
    "src/registry/blob.h": SPDX + "#pragma once\n",
    "src/pipeline/run/run.h": SPDX + "#pragma once\n",
    "src/pipeline/groovy/value.h": SPDX + "#pragma once\n",
    "src/pipeline/run/run.c": SPDX + '#include "pipeline/groovy/value.h"\n',
    "src/api/ecr.c": SPDX + '#include "registry/blob.h"\n',
    "src/api/meson.build": "# SPDX-License-Identifier: MIT\nx = 'made.inc'\n",
    "src/api/shapes.c": SPDX + '#include "made.inc"\n',
    "src/store/sqlite.c": SPDX + "#include <sqlite3.h>\n",
    "src/daemon/main.c": SPDX + '#include "core/core.h"\n#include "io/loop.h"\n',
    "sim/sim.c": SPDX + '#include "core/core.h"\n',
    "tests/check.h": SPDX + "#pragma once\n",
    "bench/floors.c": SPDX + "#include <microhttpd.h>\n#include <sqlite3.h>\n",
    "tests/unit/test_store.c": SPDX + '#include "check.h"\n#include <sqlite3.h>\n',
    "tools/check": "#!/bin/bash\n# SPDX-License-Identifier: MIT\n",
}

# file, content, words the report must hold
BAD = [
    ("src/base/a.c", SPDX + '#include "model/task.h"\n', "base may not include model"),
    ("src/model/a.c", SPDX + '#include "core/core.h"\n', "model may not include core"),
    ("src/core/a.c", SPDX + '#include "io/loop.h"\n', "core may not include io"),
    ("src/io/a.c", SPDX + '#include "core/core.h"\n', "io may not include core"),
    ("src/api/ecs.c", SPDX + '#include "registry/blob.h"\n', "api may not include registry"),
    ("src/agent/a.c", SPDX + '#include "registry/blob.h"\n', "agent may not include registry"),
    ("src/core/a.c", SPDX + "#include <unistd.h>\n", "may not include <unistd.h>"),
    ("src/model/a.c", SPDX + "#include <time.h>\n", "may not include <time.h>"),
    ("src/core/a.c", SPDX + "#  include <pthread.h>\n", "may not include <pthread.h>"),
    ("src/core/a.c", SPDX + "int x = fprintf(f);\n", "may not call fprintf()"),
    ("src/core/a.c", SPDX + "int x = clock_wall_ms();\n", "may not call clock_wall_ms()"),
    ("src/agent/a.c", SPDX + "int x = fork();\n", "fork() belongs to src/io"),
    ("src/api/a.c", SPDX + "#include <jansson.h>\n", "belongs to src/base"),
    ("src/io/a.c", SPDX + "#include <openssl/evp.h>\n", "belongs to src/base"),
    ("src/agent/a.c", SPDX + "#include <curl/curl.h>\n", "belongs to src/io"),
    ("src/agent/a.c", SPDX + "#include <uv.h>\n", "belongs to src/io"),
    ("src/api/a.c", SPDX + "#include <microhttpd.h>\n", "belongs to src/io"),
    ("src/daemon/a.c", SPDX + "#include <sqlite3.h>\n", "belongs to src/store"),
    ("bench/load.c", SPDX + "#include <sqlite3.h>\n", "belongs to src/store"),
    ("tests/unit/test_api.c", SPDX + "#include <sqlite3.h>\n", "belongs to src/store"),
    ("sim/a.c", SPDX + '#include "io/loop.h"\n', "sim may not include io"),
    ("src/pipeline/language/a.c", SPDX + '#include "pipeline/groovy/value.h"\n',
     "pipeline/language may not include pipeline/groovy/value.h"),
    ("src/pipeline/groovy/a.c", SPDX + '#include "pipeline/run/run.h"\n', "pipeline/groovy may not include"),
    ("src/api/a.c", SPDX + '#include "gone.h"\n', '"gone.h" does not exist'),
    ("src/api/a.c", SPDX + '#include "base/gone.h"\n', '"base/gone.h" does not exist'),
    ("src/attic/a.c", SPDX + '#include "base/str.h"\n', "no place in the house"),
    ("src/base/a.c", "int x;\n", "not the SPDX line"),
    ("tools/a.py", "print(1)\n", "no SPDX line"),
    ("src/base/a.h", SPDX, "no #pragma once"),
    ("src/base/a.c", SPDX + "int x;\n" * 900, "longer than 900 lines"),
    ("src/base/a.c", SPDX + f"/* {UNFINISHED}: more */\n", "unfinished work"),
    ("src/base/a.c", SPDX + "\tint x;\n", "a tab"),
    ("src/base/a.c", SPDX + "int x; \n", "blanks at the end"),
    ("src/base/a.c", SPDX + "int x;", "no line break at the end"),
]


def write(root, name, content):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def layers(root):
    command = [sys.executable, str(ROOT / "tools/layers.py"), "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for file, content in GOOD.items():
            write(root, file, content)
        cases = [("a tree without faults", 0, f"{len(GOOD)} files, 0 faults", None, None)]
        cases += [(words, 1, words, file, content) for file, content, words in BAD]
        for title, want, words, file, content in cases:
            planted = write(root, file, content) if file else None
            status, report = layers(root)
            if planted:
                planted.unlink()
            if status == want and words in report and (not file or ", 1 faults" in report):
                passed += 1
            else:
                failed += 1
                print(f"FAIL {title} ({file}): exit status {status}\n{report}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
