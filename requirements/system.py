"""System packages for the tests: a browser and, where available, bubblewrap, gettext, Caddy and
faketime.

Nothing happens on a machine that has them. As root on Debian or Ubuntu, the packages are installed. Otherwise
Playwright installs its own browser, and the tests of the strongest sandbox level, of the catalog and of the
shipped proxy are reported as skipped; those of jumping clocks
(`make faults`) fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = {
    "bwrap": "bubblewrap",
    "xgettext": "gettext",
    "caddy": "caddy",
    "faketime": "faketime",
}
PYTHON = Path(__file__).resolve().parent.parent / ".venv" / "bin" / "python"


def main() -> int:
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if not has_browser():
        missing += ["chromium", "fonts-noto-cjk"]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {', '.join(missing)}")
        if succeeds(["apt-get", "update", "-qq"]):
            succeeds(["apt-get", "install", "-y", "-qq", *missing])
    for program, package in PACKAGES.items():
        if not shutil.which(program):
            say(f"{program} is missing (apt install {package}): some tests will be skipped")
    if has_browser() or succeeds([str(PYTHON), "-m", "playwright", "install", "chromium"]):
        return 0
    say("no browser: install Chromium (apt install chromium) and run this again")
    return 1


def has_browser() -> bool:
    return any(shutil.which(name) for name in BROWSERS)


def succeeds(command: list[str]) -> bool:
    """Run a command, and show the end of its output if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        say(f"{command[0]} failed: {(done.stderr or done.stdout)[-500:]}")
    return done.returncode == 0


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
