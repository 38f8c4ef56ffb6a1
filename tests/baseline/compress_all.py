"""Run by the Python of the compress environment: many ``baseline`` command lines in one process.

``compress_all.py OUT``, reads one JSON list of arguments per line from stdin. Exit code, stdout and stderr of
line N go to ``OUT/N.json``. Importing torch and llmcompressor takes longer than compressing the demo's model.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

from baseline.cli import run


def main(folder: Path) -> None:
    for number, line in enumerate(sys.stdin):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(json.loads(line))
        result = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
        (folder / f"{number}.json").write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
