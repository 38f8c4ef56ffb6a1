"""Writes folders and files atomically."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from baseline.terminal.errors import CliError, system, usage
from grader.swap import swap

RECORD = "compression.json"  # written next to the weights in every folder this tool creates


@contextmanager
def whole_folder(output: Path, force: bool) -> Iterator[Path]:
    """Yield a temporary folder next to ``output``, which is renamed to ``output`` if the block succeeds.

    After an interrupt, a SIGTERM or a full disk, the temporary folder is removed. After a SIGKILL, a hidden
    ``.NAME.partial-PID-…`` remains, and the next run with the same output removes it.
    """
    output = place_for_folder(output, force)
    output.parent.mkdir(parents=True, exist_ok=True)
    _clear_abandoned(output)
    temporary = Path(
        tempfile.mkdtemp(prefix=f".{output.name}.partial-{os.getpid()}-", dir=output.parent)
    )
    try:
        with terminate_as_interrupt(), disk_full_told(output):
            yield temporary
            _sync(temporary)
        temporary.chmod(0o755)
        swap(temporary, output)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def whole_file(output: Path, force: bool) -> Iterator[Path]:
    """Like the folder version, for one file."""
    output = place_for_file(output, force)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.partial-{os.getpid()}")
    try:
        with terminate_as_interrupt(), disk_full_told(output):
            yield temporary
        temporary.replace(output)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def place_for_folder(output: Path, force: bool, source: Path | None = None) -> Path:
    """Return where ``output`` is, following links, after checking that a folder may be written there.

    ``force`` replaces an empty folder or one of this tool's own, but never anything written by others.
    ``source`` is what is read: it, its parents and its contents may not be replaced.

    Raises:
        CliError: before any work starts.
    """
    place = _place(output, source)
    if source and place in source.resolve().parents:
        raise _source(output, "holds", source)
    if not place.exists():
        return place
    if not place.is_dir():
        raise usage(
            "OUTPUT_IS_A_FILE",
            f"{output} is a file; a folder is written.",
            "Name another --output.",
        )
    if not force:
        raise _exists(output)
    if any(place.iterdir()) and not (place / RECORD).is_file():
        raise usage(
            "OUTPUT_NOT_OURS",
            f"{output} holds files that this tool has not written (there is no {RECORD}); "
            "--force does not delete them.",
            "Name another --output, or remove that folder yourself.",
        )
    if place.is_mount():
        raise usage(
            "OUTPUT_IS_A_MOUNT",
            f"{output} is where a disk is mounted and cannot be replaced.",
            "Name a folder in it.",
        )
    return place


def place_for_file(output: Path, force: bool, source: Path | None = None) -> Path:
    """Like the folder version, for one file."""
    place = _place(output, source)
    if place.is_dir():
        raise usage(
            "OUTPUT_IS_A_FOLDER", f"{output} is a folder; a file is written.", "Name a file in it."
        )
    if place.exists() and not place.is_file():
        raise usage("OUTPUT_NOT_A_FILE", f"{output} is no regular file.", "Name another file.")
    if place.exists() and not force:
        raise _exists(output)
    return place


def try_file(output: Path) -> None:
    """Create the folder and a file in it, to find out before hours of work that it is not writable."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=".baseline-"):
            pass
    except OSError as error:
        raise system(
            "OUTPUT_UNWRITABLE",
            f"{output} cannot be written: {error.strerror or error}.",
            "Name another path.",
        ) from error


def _place(output: Path, source: Path | None) -> Path:
    try:
        place = output.resolve()
    except (OSError, RuntimeError) as error:  # circular links
        raise usage(
            "OUTPUT_UNUSABLE", f"{output} cannot be followed: {error}.", "Name another path."
        ) from error
    if source and place == source.resolve():
        raise _source(output, "is", source)
    if source and source.resolve() in place.parents:
        raise _source(output, "lies in", source)
    above = next(parent for parent in place.parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise system(
            "OUTPUT_UNWRITABLE", f"Nothing can be written into {above}.", "Name another path."
        )
    return place


def _source(output: Path, how: str, source: Path) -> CliError:
    return usage(
        "OUTPUT_IS_SOURCE",
        f"{output} {how} {source}, which is read and stays as it is.",
        "Choose a path next to it.",
    )


def _exists(output: Path) -> CliError:
    return usage("OUTPUT_EXISTS", f"{output} is already there.", "Use --force or another --output.")


def need_space(output: Path, needed_bytes: int) -> None:
    """Report that the disk is too small before the work, not after it."""
    existing = output.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise system(
            "DISK_TOO_SMALL",
            f"About {needed_bytes:,} bytes are needed at {existing}, {free:,} are free.",
            "Free some space or choose another --output.",
        )


def roomy_folder(beside: Path) -> Path:
    """Return a folder for a temporary copy of weights: next to them if possible, because /tmp may be small."""
    parent = beside.resolve().parent
    return parent if os.access(parent, os.W_OK) else Path(tempfile.gettempdir())


@contextmanager
def disk_full_told(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise system(
                "DISK_FULL",
                f"The disk is full; {output} was not written.",
                "Free some space and run the same command again.",
            ) from error
        raise
    except Exception as error:
        # safetensors' writer is in Rust and reports a full disk as its own error type
        if re.search(r"No space left|os error 28", str(error)):
            raise system(
                "DISK_FULL",
                f"The disk is full; {output} was not written.",
                "Free some space and run the same command again.",
            ) from error
        raise


def _sync(folder: Path) -> None:
    """Flush to disk before renaming, because a full disk may only be noticed then."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _clear_abandoned(output: Path) -> None:
    for path in output.parent.glob(f".{output.name}.partial-*"):
        found = re.search(r"partial-(\d+)", path.name)
        if found and not _alive(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Make ``kill`` (SIGTERM) clean up like Ctrl-C, and make sure that neither is lost.

    A library may swallow an interrupt (a bare ``except`` around an import). In that case it is raised at the
    end of the block.
    """
    caught: list[int] = []

    def handler(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        raise KeyboardInterrupt

    before = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            continue  # do not interrupt a background job of the shell
        try:
            before[number] = signal.signal(number, handler)
        except ValueError:  # not the main thread, so there are no signals to catch
            break
    try:
        yield
        if caught:
            raise KeyboardInterrupt
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
