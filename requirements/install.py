"""Create the project's environments from the locks, with the standard library only.

    python3 requirements/install.py ENVIRONMENT=FOLDER …

Several are installed in parallel. An environment whose lock has not changed is left alone, so every ``make``
target can depend on it. Without a ``pyproject.toml``, only the packages are installed; a second run with one
adds the project. This keeps an image's layer of packages when the project changes.

torch comes first: ``+cpu`` builds are on PyTorch's own index, which is only used if pip as configured does not
find them (an extra index on every install slows down each package).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PIP_INSTALL = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
PACKAGES = "packages only "  # precedes the stamp until the project itself is installed
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"


class InstallError(Exception):
    """An install step failed; the message says which and shows the end of its output."""


def main(arguments: list[str]) -> int:
    if not arguments or any("=" not in argument for argument in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    if sys.version_info < (3, 11):  # noqa: UP036 - said in words rather than by pip's last line
        print(
            f"paretoboard needs Python 3.11 or newer, this is {sys.version.split()[0]}",
            file=sys.stderr,
        )
        return 1
    errors: list[str] = []

    def one(name: str, folder: Path) -> None:
        try:
            install(name, folder)
        except (InstallError, OSError, subprocess.SubprocessError) as error:
            errors.append(f"{name}: {error}")

    threads = []
    for argument in arguments:
        name, _, folder = argument.partition("=")
        threads.append(threading.Thread(target=one, args=(name, Path(folder).absolute())))
        threads[-1].start()
    for thread in threads:
        thread.join()
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


def install(name: str, folder: Path) -> None:
    """Bring one environment up to date with its lock. Does nothing if it already is."""
    lock = (HERE / f"{name}.txt").read_text()
    wanted = hashlib.sha256(f"{lock}{sys.version}{HERE}".encode()).hexdigest()
    stamp = folder / ".paretoboard"
    state = stamp.read_text() if stamp.exists() else ""
    if state == wanted:
        return
    started = time.monotonic()
    if state != PACKAGES + wanted:
        packages(name, folder, lock)
        stamp.write_text(PACKAGES + wanted)
    if (HERE.parent / "pyproject.toml").exists():
        pip = [str(folder / "bin" / "python"), *PIP_INSTALL]
        run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(HERE.parent)])
        stamp.write_text(wanted)
    say(name, f"ready after {time.monotonic() - started:.0f} s")


def packages(name: str, folder: Path, lock: str) -> None:
    """Install everything that the lock names."""
    say(name, f"creating {folder.name}")
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True, symlinks=True)
    pip = [str(python), *PIP_INSTALL]
    torch = [line for line in lock.splitlines() if line.startswith("torch==") and "+cpu" in line]
    if torch:
        say(name, f"installing {torch[0]}")
        if not succeeds([*pip, "--no-deps", *torch]):
            run([*pip, "--no-deps", "--index-url", TORCH_CPU_INDEX, *torch])
    others = [line for line in lock.splitlines() if "==" in line and line not in torch]
    say(name, f"installing {len(others)} packages")
    run([*pip, "--no-deps", "--only-binary", ":all:", "--no-binary", SOURCE_ONLY, *others])


# Pure Python, but published without wheels.
SOURCE_ONLY = "langdetect,rouge-score,sqlitedict,word2number"


def succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        shown = " ".join(command[:6])
        raise InstallError(f"{shown} … failed:\n{done.stdout[-2000:]}")


def say(name: str, text: str) -> None:
    print(f"  {name:<12} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
