"""Make sure the tests find a browser: the system's Chromium, else Playwright's own, else Debian's package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SYSTEM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PYTHON = Path(__file__).resolve().parent.parent / ".venv" / "bin" / "python"


def main() -> int:
    if any(shutil.which(name) for name in SYSTEM):
        return 0
    print("  no Chromium on this machine; installing one", file=sys.stderr, flush=True)
    own = [str(PYTHON), "-m", "playwright", "install", "chromium"]
    if subprocess.run(own, capture_output=True, check=False).returncode == 0:
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        fonts = ["fonts-noto-cjk"]
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "chromium", *fonts],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(done.stderr[-1000:], file=sys.stderr)
                break
        if any(shutil.which(name) for name in SYSTEM):
            return 0
    print("install Chromium (apt install chromium) and run this again", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
