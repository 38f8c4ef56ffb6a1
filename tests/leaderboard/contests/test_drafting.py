"""manage.py newcontest: what it writes is complete and loads unchanged; otherwise the error explains why."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import tomllib
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from baseline.compression.recipe import names as recipe_names
from grader import contest as contests
from grader.checkpoint import find_problems
from grader.checkpoint.base import base_headers, read_table
from grader.contest import CONTESTS
from grader.gallery.tiny import Raw, safetensors
from leaderboard.contests import lm_eval_tasks, loading
from leaderboard.contests.drafting import benchmarks, gpus, keys, toml_text
from leaderboard.core.errors import Refused
from tests import hub_server

DEMO = CONTESTS / "demo" / "base_model"
TINY = ("--gpu", "cpu")


def run(*options, **rest):
    out = StringIO()
    call_command("newcontest", *map(str, options), stdout=out, **rest)
    return out.getvalue()


def refusal(*options):
    """(code, sentence and hint in both languages) from the JSON, and the line on the terminal."""
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("newcontest", *map(str, options), "--json", stdout=out)
    error = json.loads(out.getvalue())["error"]
    assert str(caught.value).startswith(f"{error['code']}: {error['message']['en']}. ")
    for words in (error["message"], error["hint"]):
        assert words["en"] and words["ko"] and words["en"] != words["ko"]
    return error


@pytest.fixture
def base(tmp_path):
    """A copy of the demo's base model that a test may modify."""
    return shutil.copytree(DEMO, tmp_path / "Tiny-Model 1")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "made" / "tiny"


@pytest.mark.django_db
def test_a_folder_becomes_a_contest_that_loads_and_whose_base_model_passes(base, out):
    document = json.loads(run("--base", base, "--out", out, *TINY, "--json"))
    contest, changed = loading.load(str(out / "contest.toml"))
    assert changed and contest.pk == document["contest"] == "tiny-model-1"
    rules = contest.rules
    assert rules.base_model.safetensors_bytes == (base / "model.safetensors").stat().st_size
    assert find_problems(rules.base_folder, rules).problems == ()
    assert [b.id for b in rules.benchmarks] == ["word-problems", "choose-solution"]
    assert all(lm_eval_tasks.is_known(b.task, rules) for b in rules.benchmarks)
    assert [r.recipe for r in rules.references] == ["w8a8-rtn", "w4a16-rtn"]
    assert [n["code"] for n in document["notices"]] == ["REFERENCE_LEFT_OUT"]
    assert {p.name for p in out.iterdir()} == {
        "base_model", "contest.toml", "data", "rules.ko.md", "rules.md", "tasks"
    }  # fmt: skip
    assert {p.name for p in out.parent.iterdir()} == {"tiny"}  # no temporary folder is left


def test_every_key_of_the_reader_is_written_or_explained(base, out):
    run("--base", base, "--out", out, *TINY)
    text = (out / "contest.toml").read_text("utf-8")
    for table in keys.TABLES:
        header = f"[[{table.name}]]" if table.is_list else f"[{table.name}]"
        if table.name == "scoring.formulas":
            header = "[scoring.formulas.main]"
        part = text.partition(header)[2].partition("\n\n")[0] if table.name else text
        for field in dataclasses.fields(table.kind):
            if field.init and not toml_text._is_table(table, field.name):
                written = (
                    f"\n{field.name} = ",
                    f"\n# {field.name} = ",
                    f"\n# {field.name} is not set",
                )
                assert any(line in part for line in written), f"{table.name}.{field.name}"
                assert keys.meanings(table.heading)[field.name]


def test_a_key_in_a_comment_stands_at_the_readers_default(base, out):
    """Removing the comment marks changes nothing."""
    run("--base", base, "--out", out, *TINY)
    text = (out / "contest.toml").read_text("utf-8")
    known = {f.name for table in keys.TABLES for f in dataclasses.fields(table.kind)}
    lines = [
        line[2:] if line.startswith("# ") and line[2:].partition(" = ")[0] in known else line
        for line in text.splitlines()
    ]
    assert "rejections_per_day = 10" in lines
    written = contests.load(out / "contest.toml")
    again = contests.parse("\n".join(lines), out)
    assert dataclasses.replace(again) == dataclasses.replace(written)


def test_what_participants_read_is_in_both_languages(base, out):
    run("--base", base, "--out", out, *TINY, "--id", "tiny")
    english, korean = ((out / name).read_text("utf-8") for name in ("rules.md", "rules.ko.md"))
    assert "Word problems and Choose the solution" in english
    assert "문장제 문제, 풀이 고르기" in korean
    for page in (english, korean):
        assert "tiny" in page and "CPU" in page and "{" not in page
    assert english.count("\n# ") == korean.count("\n# ")


def test_prompts_and_salt_are_made_anew_for_every_contest(base, tmp_path):
    made = []
    for name in ("one", "two"):
        run("--base", base, "--out", tmp_path / name, *TINY)
        lines = (tmp_path / name / "data/speed_prompts.jsonl").read_text("utf-8").splitlines()
        assert len(lines) == 256 and all(len(json.loads(line)["text"]) > 300 for line in lines)
        made.append((contests.load(tmp_path / name / "contest.toml").split_salt, lines))
    assert made[0][0] != made[1][0] and len(made[0][0]) == 32
    assert not set(made[0][1]) & set(made[1][1])


def test_headers_only_leaves_the_weights_where_they_are(base, out):
    document = json.loads(run("--base", base, "--out", out, *TINY, "--headers-only", "--json"))
    assert not list((out / "base_model").glob("*.safetensors"))
    assert read_table(out / "base_model" / "tensors.json") == base_headers(base)
    assert "WEIGHTS_ELSEWHERE" in [n["code"] for n in document["notices"]]


GPUS = {  # which of W8A8, W4A16 and FP8 each can run
    "T4": ["w8a8-gptq", "w4a16-gptq"],
    "A100-80GB": ["w8a8-gptq", "w4a16-gptq"],
    "L4": ["w8a8-gptq", "w4a16-gptq", "fp8-dynamic"],
    "h100": ["w8a8-gptq", "w4a16-gptq", "fp8-dynamic"],
}


@pytest.mark.parametrize("gpu", GPUS)
def test_references_are_those_that_the_gpu_runs(base, out, gpu):
    run("--base", base, "--out", out, "--gpu", gpu, "--benchmarks", "word-problems")
    rules = contests.load(out / "contest.toml")
    assert [r.recipe for r in rules.references] == GPUS[gpu]
    assert rules.engine.dtype == ("float16" if gpu == "T4" else "bfloat16")
    assert rules.hardware.gpus and rules.hardware.devices == ("cuda",)


@pytest.mark.parametrize("gpu", ["L4", "cpu"])
def test_every_known_benchmark_can_be_drafted(base, out, gpu):
    config = json.loads((base / "config.json").read_text("utf-8"))
    config["max_position_embeddings"] = 8192
    (base / "config.json").write_text(json.dumps(config), "utf-8")
    known = tomllib.loads(benchmarks.LIST.read_text("utf-8"))
    names = [name for name, keys in known.items() if "twin_of" not in keys]
    some = names if gpu == "L4" else ["word-problems,choose-solution"]
    run("--base", base, "--out", out, "--gpu", gpu, "--benchmarks", *some)
    rules = contests.load(out / "contest.toml")
    assert len(rules.benchmarks) == (len(names) if gpu == "L4" else 2)
    for benchmark in rules.benchmarks:
        assert lm_eval_tasks.is_known(benchmark.task, rules)
        assert not benchmark.dataset or benchmark.revision or "KMMLU" in benchmark.dataset


def test_a_long_benchmark_is_left_out_of_the_usual_ones_and_refused_by_name(base, out):
    """The demo's model reads 2,048 tokens."""
    document = json.loads(run("--base", base, "--out", out, "--gpu", "L4", "--json"))
    assert document["benchmarks"] == ["ifeval", "arc-challenge"]
    assert "BENCHMARK_LEFT_OUT" in [n["code"] for n in document["notices"]]
    error = refusal("--base", base, "--out", out.with_name("b"), "--benchmarks", "gsm8k")
    assert error["code"] == "BENCHMARK_TOO_LONG"


def test_a_head_saved_twice_is_told(base, out):
    tensors = base_headers(base).tensors
    embedding = next(t for t in tensors if "embed_tokens" in t.name)
    wanted = [*tensors, dataclasses.replace(embedding, name="lm_head.weight")]
    data = {t.name: Raw(t.dtype, t.shape, b"\1" * t.size_bytes) for t in wanted}
    (base / "model.safetensors").write_bytes(safetensors(data))
    document = json.loads(run("--base", base, "--out", out, *TINY, "--json"))
    (notice,) = [n for n in document["notices"] if n["code"] == "HEAD_TWICE"]
    assert f"{embedding.size_bytes:,}" in notice["message"]["en"]


def no_config(base):
    (base / "config.json").unlink()


def broken_config(base):
    (base / "config.json").write_text("{", "utf-8")


def no_weights(base):
    (base / "model.safetensors").rename(base / "pytorch_model.bin")


def damaged_weights(base):
    (base / "model.safetensors").write_bytes(b"nothing to read")


def no_tokenizer(base):
    (base / "tokenizer.json").unlink()


def no_template(base):
    (base / "chat_template.jinja").unlink()
    path = base / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8"))
    assert config.pop("chat_template")
    path.write_text(json.dumps(config), "utf-8")


def changed(**keys):
    def change(base):
        config = json.loads((base / "config.json").read_text("utf-8"))
        (base / "config.json").write_text(json.dumps(config | keys), "utf-8")

    return change


SPOILT = {
    no_config: ("BASE_NOT_A_MODEL", "no config.json"),
    broken_config: ("BASE_NOT_A_MODEL", "config.json"),
    no_weights: ("BASE_WITHOUT_HEADERS", "tensors.json"),
    damaged_weights: ("BASE_NOT_A_MODEL", "model.safetensors"),
    no_tokenizer: ("BASE_WITHOUT_TOKENIZER", "tokenizer.json"),
    no_template: ("NO_CHAT_TEMPLATE", "word-problems"),
    changed(architectures=["MadeUpForCausalLM"]): ("ARCHITECTURE_UNKNOWN", "MadeUp"),
    changed(architectures=["Qwen3_5ForCausalLM"]): ("ARCHITECTURE_NEEDS", "package"),
    changed(num_hidden_layers=5): ("BASE_UNREADABLE", "num_hidden_layers"),
    changed(auto_map={"AutoModel": "x.Y"}): ("BASE_FAILS_CHECK", "CONFIG_REMOTE_CODE"),
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_base_model_that_does_not_do_is_refused_in_words(base, out, spoil):
    spoil(base)
    code, word = SPOILT[spoil]
    error = refusal("--base", base, "--out", out, *TINY)
    assert error["code"] == code
    assert word in error["message"]["en"]
    assert not out.exists() and list(out.parent.iterdir()) == []


def test_without_a_template_where_none_is_asked_for(base, out):
    no_template(base)
    run("--base", base, "--out", out, *TINY, "--no-chat-template")
    assert not any(b.apply_chat_template for b in contests.load(out / "contest.toml").benchmarks)


ASKED = {
    ("--benchmarks", "gsm8"): ("BENCHMARK_UNKNOWN", "≈ gsm8k"),
    ("--benchmarks", "mmlu_pro"): ("BENCHMARK_UNKNOWN", "lm-eval"),
    ("--gpu", "H10"): ("GPU_UNKNOWN", "≈ H100"),
    ("--gpu", "abacus"): ("GPU_UNKNOWN", "[hardware]"),
    ("--id", "two words"): ("CONTEST_ID", "--id"),
    ("--id", "x" * 51): ("CONTEST_ID", "50"),
}


@pytest.mark.parametrize("options", ASKED)
def test_unknown_names_are_refused_with_those_that_are_near(base, out, options):
    code, word = ASKED[options]
    error = refusal("--base", base, "--out", out, *options)
    assert (error["code"], word in error["hint"]["en"]) == (code, True), error
    assert not out.exists()


@pytest.mark.parametrize("text", ["./nowhere", "/nowhere/at/all", "a/b/c"])
def test_a_folder_that_is_not_there(out, text):
    assert refusal("--base", text, "--out", out)["code"] == "BASE_NOT_A_MODEL"


def contest_of(weights_bytes):
    """Rules over a model with so many bytes of weights, in the shape of EXAONE-4.0-32B."""
    rules = contests.load(contests.find("exaone4-32b"))
    model = dataclasses.replace(rules.base_model, safetensors_bytes=weights_bytes)
    return dataclasses.replace(rules, base_model=model)


SHAPE = {
    "num_hidden_layers": 64,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
}


@pytest.mark.parametrize(
    ("gpu", "pairing"), [("H200", "turns"), ("2xH100", "turns"), ("4xH100", "side_by_side")]
)
def test_engines_take_turns_where_two_do_not_fit(gpu, pairing):
    rules = contest_of(64_000_000_000)
    assert gpus.choose_pairing(rules, SHAPE, gpus.machine(gpu)) == pairing


def test_a_gpu_without_room_for_one_engine_names_those_with_it():
    with pytest.raises(Refused) as caught:
        gpus.choose_pairing(contest_of(64_000_000_000), SHAPE, gpus.machine("L4"))
    assert caught.value.code == "GPU_TOO_SMALL"
    assert {"H100", "4xL4", "2xL40S"} <= set(re.findall(r"[\w-]+", caught.value.hint))


def test_a_contest_in_turns_is_written_and_told(base, out, monkeypatch):
    monkeypatch.setattr(gpus, "OVERHEAD_BYTES", 12_000_000_000)
    document = json.loads(
        run("--base", base, "--out", out, "--benchmarks", "word-problems", "--json")
    )
    assert contests.load(out / "contest.toml").speed.pairing == "turns"
    assert "IN_TURNS" in [notice["code"] for notice in document["notices"]]


def test_engines_spread_over_several_gpus(base, out):
    run("--base", base, "--out", out, "--gpu", "2xH100", "--benchmarks", "word-problems")
    rules = contests.load(out / "contest.toml")
    assert (rules.engine.tensor_parallel, rules.hardware.name) == (2, "NVIDIA H100 80GB")
    assert "2 × NVIDIA H100 80GB" in (out / "rules.md").read_text("utf-8")
    error = refusal("--base", base, "--out", out.with_name("other"), "--gpu", "3xH100")
    assert error["code"] == "HEADS_NOT_SHARED_OUT"


def test_what_is_there_is_kept_unless_it_is_a_contest_and_one_asks(base, out):
    run("--base", base, "--out", out, *TINY)
    before = (out / "contest.toml").read_bytes()
    assert refusal("--base", base, "--out", out, *TINY)["code"] == "FOLDER_EXISTS"
    assert (out / "contest.toml").read_bytes() == before
    run("--base", base, "--out", out, *TINY, "--force")
    assert (out / "contest.toml").read_bytes() != before
    assert {p.name for p in out.parent.iterdir()} == {"tiny"}
    no_config(base)
    before = (out / "contest.toml").read_bytes()
    assert refusal("--base", base, "--out", out, *TINY, "--force")["code"] == "BASE_NOT_A_MODEL"
    assert (out / "contest.toml").read_bytes() == before


def test_a_folder_of_something_else_is_never_replaced(base, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.md").write_text("years of work")
    error = refusal("--base", base, "--out", home, *TINY, "--force")
    assert error["code"] == "FOLDER_NOT_A_CONTEST"
    assert (home / "thesis.md").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_named(base, tmp_path):
    (tmp_path / "file").write_text("")
    error = refusal("--base", base, "--out", tmp_path / "file" / "contest", *TINY)
    assert error["code"] == "FOLDER_UNWRITABLE"


# The Hub


@pytest.fixture
def hub(base, settings, monkeypatch):
    """``org/Tiny-1B`` is the demo's base model; an earlier grade may have put the client offline."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with hub_server.serve() as server:
        settings.HF_ENDPOINT = server.url
        server.add("org/Tiny-1B", base, "b" * 40).branches |= {"v2"}
        yield server


@pytest.mark.django_db
@pytest.mark.parametrize("named", ["org/Tiny-1B", "org/Tiny-1B@v2"])
def test_a_repository_is_pinned_and_only_its_headers_are_read(hub, base, out, named):
    document = json.loads(run("--base", named, "--out", out, *TINY, "--json"))
    contest, _ = loading.load(str(out / "contest.toml"))
    rules = contest.rules
    assert contest.pk == "tiny-1b"
    assert (rules.base_model.id, rules.base_model.revision) == ("org/Tiny-1B", "b" * 40)
    assert rules.unpinned == ()
    assert {p.name for p in rules.base_folder.iterdir()} == {
        "chat_template.jinja", "config.json", "generation_config.json", "tensors.json",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert read_table(rules.base_folder / "tensors.json") == base_headers(base)
    assert find_problems(base, rules).problems == ()
    assert sum(request.sent_bytes for request in hub.requests) < 250_000 < 4_991_328
    assert document["base_model"]["safetensors_bytes"] == 4_991_328


def test_a_gated_repository(hub, base, out):
    hub.repos["org/Tiny-1B"].gated = True
    error = refusal("--base", "org/Tiny-1B", "--out", out)
    assert error["code"] == "HUB_GATED"
    assert "HF_TOKEN" in error["hint"]["en"]


def test_a_renamed_repository_is_told_by_its_new_name(hub, out):
    hub.renamed["org/Old"] = "org/Tiny-1B"
    error = refusal("--base", "org/Old", "--out", out)
    assert error["code"] == "HUB_RENAMED"
    assert "--base org/Tiny-1B" in error["hint"]["en"]


@pytest.mark.parametrize("named", ["org/Nothing", "org/Tiny-1B@v9", "no repository", "org/--x"])
def test_a_repository_or_revision_that_is_not_there(hub, out, named):
    assert refusal("--base", named, "--id", "x", "--out", out)["code"] == "BASE_ON_HUB"


def test_a_hub_that_breaks_off_leaves_nothing(hub, out):
    hub.breaks_after = {"tokenizer.json": 100}
    assert refusal("--base", "org/Tiny-1B", "--out", out)["code"] == "BASE_ON_HUB"
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("spoil", [no_weights, no_config, no_tokenizer, no_template])
def test_a_repository_that_is_no_model(hub, base, out, spoil):
    spoil(base)
    assert refusal("--base", "org/Tiny-1B", "--out", out, *TINY)["code"] == SPOILT[spoil][0]


# What the lists say


def test_every_reference_is_a_recipe_of_the_command_line():
    written = {f"{scheme}-{method}" for scheme in ("w8a8", "w4a16") for method in ("gptq", "rtn")}
    assert written | {"fp8-dynamic"} <= set(recipe_names())
