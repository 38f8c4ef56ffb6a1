"""The real engine: starts, answers what the grader asks, refuses what it must, leaves nothing behind."""

import dataclasses
import json
import shutil

import pytest

from grader import gallery
from grader.scoring.aa import judge, outcomes
from grader.worker import aa, intake
from grader.worker.clock import Clock
from grader.worker.engine.launch import launch
from grader.worker.engine.server import Model
from grader.worker.faults import Cancellation, Rejected
from grader.worker.measure import compliance, lm_eval_client, load_generator, samples, speed
from grader.worker.measure.recorder import RecordedAnswer
from grader.worker.sandbox import box
from grader.worker.settings import Settings
from tests.grader.worker.conftest import make_contest, processes_naming

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]


@pytest.fixture
def settings(scratch):
    return Settings(scratch=scratch / "s", cache=scratch / "cache")


def without_tensor(folder, target, name):
    """A copy of the checkpoint without one tensor: its header is rewritten, the data is unchanged."""
    shutil.copytree(folder, target)
    file = target / "model.safetensors"
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + size]), data[8 + size :]
    begin, end = header.pop(name)["data_offsets"]
    for info in header.values():
        if "data_offsets" in info and info["data_offsets"][0] >= end:
            info["data_offsets"] = [offset - (end - begin) for offset in info["data_offsets"]]
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + rest[:begin] + rest[end:])
    return target


def solutions(contest, n):
    """Questions with right and wrong solutions, as token ids."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(contest.base_folder))
    lines = (contest.folder / "data/choice.jsonl").read_text("utf-8").splitlines()[:n]
    pairs = []
    for row in map(json.loads, lines):
        (prompt,) = samples.encoded(contest, [f"Question: {row['question']}\nAnswer:"], 100)
        pairs += [
            (prompt, tokenizer.encode(text, add_special_tokens=False)) for text in row["choices"]
        ]
    return pairs


def reference(contest, pairs):
    """The same by transformers, one at a time and in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(contest.base_folder), dtype=torch.float32)
    found = []
    for context, answer in pairs:
        with torch.no_grad():
            logits = model(torch.tensor([[*context, *answer]])).logits[0, len(context) - 1 : -1]
        chosen = logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None])
        found.append(chosen.sum().item())
    return found


@pytest.mark.parametrize("level", ["network", "namespace"])
def test_start_complete_kill(scratch, settings, level):
    if reason := box.why_not(level):
        pytest.skip(f"{level}: {reason}")
    contest = make_contest(startup_timeout_s=600)
    models = (Model("candidate", contest.base_folder, 1),)
    # With a control group, where one can be created
    settings = dataclasses.replace(settings, memory_bytes=6 << 30)
    with launch(models, contest, settings, scratch / "run", level, Cancellation()) as (engine,):
        assert len(engine.pids) >= 3
        assert b" quantization=None, " in engine._log.start_line
        body = {"model": "graded", "prompt": [10, 11, 12], "max_tokens": 5, "min_tokens": 5,
                "ignore_eos": True, "temperature": 0}  # fmt: skip
        answer = engine.ask("/v1/completions", body, 120).document()
        assert answer["usage"]["completion_tokens"] == 5
        stream = {**body, "stream": True, "stream_options": {"include_usage": True}}
        tail = engine.ask("/v1/completions", stream, 120).body
        assert load_generator._completion_tokens(tail) == 5
        questions = [RecordedAnswer(tuple(range(40, 60 + n)), 24, "") for n in range(4)]
        _, counts = compliance.modes(engine, questions)
        assert (counts.measured, counts.flagged) == (1.0, False), counts
        pairs = solutions(contest, 6)
        found = lm_eval_client.log_probabilities(engine, pairs)
    for own, expected, (_, answer) in zip(found, reference(contest, pairs), pairs, strict=True):
        assert own / len(answer) == pytest.approx(expected / len(answer), abs=0.03)
    assert min(found) < -5 < -1 < max(found)  # wrong solutions are unlikely, right ones are not
    assert processes_naming(str(scratch)) == []


def test_a_missing_tensor_is_refused_by_name(scratch, settings):
    """The second barrier after the checker. For unquantized models vLLM verifies everything but linear
    layers."""
    contest = make_contest(startup_timeout_s=600)
    name = "model.layers.1.post_attention_layernorm.weight"
    broken = without_tensor(contest.base_folder, scratch / "broken", name)
    models = (Model("candidate", broken, 1),)
    with (
        pytest.raises(Rejected) as info,
        launch(models, contest, settings, scratch / "run", box.detect(), Cancellation()),
    ):
        pass
    (problem,) = info.value.problems
    assert problem.code == "LOAD_ENGINE"
    assert name in problem.detail
    assert processes_naming(str(scratch)) == []


@pytest.mark.parametrize("case", gallery.LOADED, ids=lambda case: case.id)
def test_what_only_an_engine_can_refuse_is_refused(case, scratch, settings):
    contest = make_contest(startup_timeout_s=600)
    archive = case.build(gallery.Bench(contest, scratch))
    clock = Clock(lambda _: None, Cancellation())
    model, _, _ = intake.prepare(archive, scratch, contest, clock)
    with (
        pytest.raises(Rejected) as info,
        launch((model,), contest, settings, scratch / "run", box.detect(), Cancellation()),
    ):
        pass
    assert [problem.code for problem in info.value.problems] == [case.code]


def test_base_against_itself_is_one_and_unequal_work_is_not(settings, monkeypatch):
    """A/A: the protocol finds no difference if there is none. It would find one, as shown with the same engines
    if one of them gets half of the work.
    """
    contest = make_contest(startup_timeout_s=600, min_rounds=10, max_rounds=40, max_half_width=0.2)
    block, measure, crooked = load_generator.Line.block, speed.measure, []

    async def half(line, work, tokens):
        fair = line.engine.model.role == "base"
        return await block(line, work if fair else work[: len(work) // 2], tokens)

    def both(*engines_and_progress):
        honest = measure(*engines_and_progress)
        with monkeypatch.context() as patch:
            patch.setattr(load_generator.Line, "block", half)
            crooked.extend(measure(*engines_and_progress))
        return honest

    monkeypatch.setattr(speed, "measure", both)
    report = aa.measure(contest, settings)

    for outcome in outcomes(report):
        assert outcome.half_width <= 0.2  # or SYS_NOISY
    assert judge(outcomes(report), contest.aa, {}) == []
    found = outcomes(dataclasses.replace(report, speed=tuple(crooked)))
    assert [p.code for p in judge(found, contest.aa, {})] == ["SYS_AA_RATIO"] * 2
