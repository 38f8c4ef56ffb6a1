"""The last check before a checkpoint is loaded, and who is at fault for a folder that cannot be created."""

from __future__ import annotations

import pytest

from grader import checkpoint
from grader.worker.engine.server import Model
from grader.worker.faults import Failed
from grader.worker.intake import require_unchanged
from tests.checkpoints import tiny_contest


@pytest.fixture
def canonical(tmp_path):
    contest = tiny_contest(tmp_path / "contest")
    facts = checkpoint.rebuild(contest.base_folder, tmp_path / "model", contest)
    weights = tmp_path / "model" / "model.safetensors"
    data = weights.read_bytes()
    weights.unlink()  # a separate copy, because a link would change the base model
    weights.write_bytes(data)
    return contest, facts, tmp_path / "model"


def test_an_untouched_folder_passes(canonical):
    contest, facts, folder = canonical
    require_unchanged(Model("candidate", folder, 1), facts, contest)


@pytest.mark.parametrize("at", [-1, 8, 100])
def test_a_file_that_changed_after_its_check_is_ours(canonical, at):
    contest, facts, folder = canonical
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[at] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(Failed, match="SYS_STORAGE"):
        require_unchanged(Model("candidate", folder, 1), facts, contest)
