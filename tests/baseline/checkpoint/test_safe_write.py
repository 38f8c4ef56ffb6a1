from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from baseline.checkpoint.safe_write import (
    RECORD,
    need_space,
    place_for_file,
    place_for_folder,
    whole_file,
    whole_folder,
)
from baseline.terminal.errors import CliError

ROOT = Path(__file__).resolve().parents[3]


def test_the_folder_appears_at_the_end_and_whole(tmp_path):
    output = tmp_path / "deep" / "out"
    with whole_folder(output, force=False) as temporary:
        (temporary / "a").write_text("1")
        assert not output.exists()
    assert (output / "a").read_text() == "1"
    assert os.listdir(output.parent) == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_failure_leaves_nothing(tmp_path, error):
    with pytest.raises(error), whole_folder(tmp_path / "out", force=False) as temporary:
        (temporary / "a").write_text("1")
        raise error
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("I/O error: (os error 28)")],
)
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, error):
    with pytest.raises(CliError) as caught, whole_folder(tmp_path / "out", force=False):
        raise error
    assert (caught.value.code, caught.value.exit_code) == ("DISK_FULL", 4)
    assert os.listdir(tmp_path) == []


def test_the_old_output_survives_a_failed_replacement(tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / RECORD).write_text("{}")
    with pytest.raises(CliError, match="already there"), whole_folder(output, force=False):
        pass
    with pytest.raises(RuntimeError), whole_folder(output, force=True) as temporary:
        (temporary / "new").write_text("")
        raise RuntimeError
    assert os.listdir(output) == [RECORD]
    with whole_folder(output, force=True) as temporary:
        (temporary / "new").write_text("")
    assert os.listdir(output) == ["new"]
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_a_library_swallows_counts_at_the_end(tmp_path, number):
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "out", force=False) as folder:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except BaseException:  # as around an optional import
            (folder / "went on").write_text("")
    assert os.listdir(tmp_path) == []


def test_a_job_in_the_background_is_not_stopped_by_a_ctrl_c_that_it_ignores(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with whole_folder(tmp_path / "out", force=False):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert os.listdir(tmp_path) == ["out"]


def test_sigterm_cleans_up_and_what_sigkill_leaves_is_cleared_by_the_next_run(tmp_path):
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from baseline.checkpoint.safe_write import whole_folder
        with whole_folder(Path({str(tmp_path / "out")!r}), False) as folder:
            (folder / "model.safetensors").write_text("half")
            print("ready", flush=True)
            time.sleep(60)
        """
    )
    for kill, left in (("terminate", 0), ("kill", 1)):
        child = subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert child.stdout.readline() == "ready\n"
        getattr(child, kill)()
        child.communicate(timeout=20)
        assert len(os.listdir(tmp_path)) == left
        assert not (tmp_path / "out").exists()
    time.sleep(0.05)
    with whole_folder(tmp_path / "out", force=False):
        pass
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_too(tmp_path):
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a.tar", force=False) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_too_small_a_disk_is_said_beforehand(tmp_path):
    need_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(CliError) as caught:
        need_space(tmp_path / "not" / "yet", 1 << 60)
    assert caught.value.code == "DISK_TOO_SMALL"


@pytest.fixture
def disk(tmp_path):
    """A base model with extra files, a checkpoint of our own, an empty folder, links, a pipe."""
    for name in ("proj/base", "own", "empty"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("proj/base/model.safetensors", "proj/notes.txt", "file", f"own/{RECORD}"):
        (tmp_path / name).write_text("kept")
    for name, target in (
        ("to-proj", "proj"),
        ("to-own", "own"),
        ("dangling", "gone"),
        ("circle", "circle"),
    ):
        (tmp_path / name).symlink_to(tmp_path / target)
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("proj", "OUTPUT_IS_SOURCE"),
        ("proj/base", "OUTPUT_IS_SOURCE"),
        ("proj/base/out", "OUTPUT_IS_SOURCE"),
        ("to-proj/base", "OUTPUT_IS_SOURCE"),
        ("to-proj", "OUTPUT_IS_SOURCE"),
        (".", "OUTPUT_IS_SOURCE"),
        ("file", "OUTPUT_IS_A_FILE"),
        ("file/out", "OUTPUT_UNWRITABLE"),
        ("circle", "OUTPUT_UNUSABLE"),
    ],
)
def test_force_never_replaces_what_is_read_nor_what_is_no_folder(disk, output, code):
    with pytest.raises(CliError) as caught:
        place_for_folder(disk / output, True, disk / "proj" / "base")
    assert caught.value.code == code and caught.value.hint


def test_force_replaces_only_what_this_tool_has_written(disk, monkeypatch):
    with pytest.raises(CliError) as caught:
        place_for_folder(disk / "proj", True)
    assert caught.value.code == "OUTPUT_NOT_OURS"
    monkeypatch.chdir(disk / "proj")
    with pytest.raises(CliError) as caught:
        place_for_folder(Path("."), True)
    assert caught.value.code == "OUTPUT_NOT_OURS"
    for output in ("own", "empty"):
        assert place_for_folder(disk / output, True) == disk / output


def test_links_are_followed_before_anything_is_written(disk):
    before = set(os.listdir(disk))
    for output, target in (("to-own", "own"), ("dangling", "gone")):
        with whole_folder(disk / output, force=True) as temporary:
            (temporary / "new").write_text("")
        assert os.listdir(disk / target) == ["new"] and (disk / output).is_symlink()
    assert set(os.listdir(disk)) == before | {"gone"}


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("empty", "OUTPUT_IS_A_FOLDER"),
        ("to-proj", "OUTPUT_IS_A_FOLDER"),
        ("pipe", "OUTPUT_NOT_A_FILE"),
        ("proj/base/model.safetensors", "OUTPUT_IS_SOURCE"),
        ("proj/base/a.tar", "OUTPUT_IS_SOURCE"),
        ("file/a.tar", "OUTPUT_UNWRITABLE"),
    ],
)
def test_a_file_is_written_where_a_file_can_be(disk, output, code):
    with pytest.raises(CliError) as caught:
        place_for_file(disk / output, True, disk / "proj" / "base")
    assert caught.value.code == code and caught.value.hint
