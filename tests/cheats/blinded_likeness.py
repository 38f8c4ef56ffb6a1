"""False ``weight_shape`` tensors: the engine ignores them, and whoever unpacks by them sees nothing.

The checkpoint holds a foreign model's weights in 4 bits, which would be found out if they were compared.
"""

from __future__ import annotations

import json
import struct
import tempfile
from dataclasses import replace
from pathlib import Path

from grader.checkpoint.check import find_problems
from grader.contest import Contest
from grader.gallery.quantised import W4A16
from grader.gallery.tiny import CONFIG, safetensors, tiny_contest, weights
from grader.scoring.score import score
from grader.worker.measure.compliance import weights as likeness
from tests.cheats import Outcome
from tests.factories_pure import demo, report

SHAPE = (1 << 30, 1 << 30)


def play() -> Outcome:
    with tempfile.TemporaryDirectory() as scratch:
        contest = tiny_contest(Path(scratch))
        found = find_problems(_checkpoint(Path(scratch, "model"), contest), contest, scan=True)
        codes = sorted({problem.code for problem in found.problems})
        base = Path(scratch, "base")
        base.mkdir()
        (base / "model.safetensors").write_bytes(safetensors(weights(CONFIG)))
        check = likeness(Path(scratch, "model"), base, contest)
    caught = ["refused"] * bool(codes) + ["FLAG_WEIGHTS"] * check.flagged
    return Outcome(
        0.0 if caught else _foreign_model(),
        ", ".join(caught) or "nobody",
        {"codes": codes, "without the refusal": "flag" if check.flagged else "no flag"},
    )


def _checkpoint(folder: Path, contest: Contest) -> Path:
    config = {**CONFIG, "quantization_config": W4A16}
    tensors = {
        name: replace(one, data=struct.pack("<2q", *SHAPE))
        if name.endswith("weight_shape")
        else one
        for name, one in weights(config, contest).items()
    }
    assert any(name.endswith("weight_shape") for name in tensors), "the tiny model is packed"
    folder.mkdir()
    (folder / "config.json").write_bytes(json.dumps(config).encode())
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    return folder


def _foreign_model() -> float:
    """Points of a foreign model that answers everything, over a copy of the base model."""
    contest = demo()
    questions = [(1.0, 1.0)] * 96 + [(1.0, 0.0)] * 64
    copy = [(base, base) for _, base in questions]
    return score(report(pairs=questions), contest).value - score(report(pairs=copy), contest).value
