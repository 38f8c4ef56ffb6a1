"""Compares the tensor table with checkpoints written by the real tools, and tests the plan behind it."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from grader import contest as contests
from grader.checkpoint import find_problems
from grader.checkpoint.architecture import Architecture, Decoder
from grader.checkpoint.base import base_architecture, base_config
from grader.checkpoint.finding import Refused
from grader.checkpoint.quantization.kernels import find_kernel_problems
from grader.checkpoint.quantization.patterns import find_fault, matches
from grader.checkpoint.quantization.plan import read_plan
from grader.checkpoint.quantization.schemes import Scheme
from grader.checkpoint.tensors import expected_of, expected_tensors, find_tensor_problems
from grader.contest import Contest, Hardware
from grader.gallery import quantised as q
from grader.gallery.tiny import tiny_architecture
from grader.protocol.documents import Tensor
from tests.checkpoints import CONFIG, tiny_contest, write_full_size

REAL = json.loads((Path(__file__).parent / "real_checkpoints.json").read_text())
UNSUPPORTED = {"w8a8_tensor", "w4afp8"}  # tools write them, but the engine has no scheme for them

SCHEMES = {
    "plain": "bf16",
    "untied": "bf16",
    "w8a8": "W8A8",
    "w4a16": "W4A16 g128",
    "w4a16_asym": "W4A16 g128 asym",
    "w8a16": "W8A16 g128",
    "fp8_dynamic": "FP8 dynamic",
    "fp8_block": "FP8 block",
    "w4a8": "W4A8 g128",
    "mxfp4a16": "MXFP4A16",
    "mxfp8a16": "MXFP8A16",
    "nvfp4a16": "NVFP4A16",
    "mxfp4": "MXFP4",
    "w4g64": "W4A16 g64",
    "w4channel": "W4A16",
    "w3g64": "W3A16 g64",
    "w4actorder": "W4A16 g64",
    "w8a8_asym_act": "W8A8",
    "mixed": "W8A8 + W4A16 g64",
    "fp8_static": "FP8 static",
    "w8a8_static": "W8A8",
    "w8a8_static_asym": "W8A8",
}


def real(name: str) -> tuple[dict[str, Any], list[Tensor]]:
    """Return (config, tensors) of a recorded checkpoint."""
    record = REAL["checkpoints"][name]
    config = REAL["config"] | record["changes"]
    tensors = []
    for key, text in record["tensors"].items():
        dtype, _, shape = text.partition(" ")
        for layer in range(config["num_hidden_layers"]) if "{i}" in key else (0,):
            tensors.append(Tensor(key.format(i=layer), dtype, tuple(json.loads(shape)), 0))
    return config, tensors


def decoder_of(config: dict[str, Any]) -> Decoder:
    """Return the structure of a checkpoint with this config, from the recorded base model or the tiny one."""
    base = REAL["config"] if config["hidden_size"] == REAL["config"]["hidden_size"] else CONFIG
    recorded = Architecture.of(REAL["config"], real("plain")[1])
    return (recorded if base is not CONFIG else tiny_architecture()).decoder(config)


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    return tiny_contest(tmp_path_factory.mktemp("contest"))


def plan_of(config: dict[str, Any], contest: Contest, held: Collection[str] = ()) -> Any:
    linears = decoder_of(config).linears
    return linears, read_plan(config.get("quantization_config"), contest.checkpoint, linears, held)


@pytest.mark.parametrize("name", sorted(REAL["checkpoints"].keys() - UNSUPPORTED))
def test_table_is_what_the_tool_writes(name: str, contest: Contest) -> None:
    config, tensors = real(name)
    linears, plan = plan_of(config, contest)
    table = expected_tensors(decoder_of(config), plan.schemes)
    assert find_tensor_problems(table, tensors) == []
    assert plan.words("bfloat16") == SCHEMES[name]


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_scheme_that_the_engine_does_not_have(name: str, contest: Contest) -> None:
    with pytest.raises(Refused, match="QUANT_UNSUPPORTED"):
        plan_of(real(name)[0], contest)


@pytest.mark.parametrize("name", sorted(REAL["checkpoints"].keys() - UNSUPPORTED))
def test_every_tensor_is_needed(name: str, contest: Contest) -> None:
    config, tensors = real(name)
    linears, plan = plan_of(config, contest)
    table = expected_tensors(decoder_of(config), plan.schemes)
    for gone in tensors:
        (found,) = find_tensor_problems(table, [t for t in tensors if t is not gone])
        assert (found.code, found.where) == ("WEIGHTS_MISSING", gone.name)


def test_exaone_4_has_its_published_size() -> None:
    contest = contests.load(contests.find("aimers8"))
    table = expected_tensors(base_architecture(contest).decoder(base_config(contest)), {})
    parameters = sum(math.prod(e.shapes[0]) for e in table.values() if not e.optional)
    assert parameters == 1_279_391_488
    assert parameters * 2 == 2_558_782_976


def test_exaone_4_in_four_bits() -> None:
    """Packed weights, scales and the embedding; the shapes of 210 layers are 16 bytes each."""
    contest = contests.load(contests.find("aimers8"))
    decoder = base_architecture(contest).decoder(base_config(contest))
    plan = read_plan(
        REAL["checkpoints"]["w4a16"]["changes"]["quantization_config"],
        contest.checkpoint,
        decoder.linears,
        (),
    )
    table = expected_tensors(decoder, plan.schemes)
    size = {"I32": 4, "I64": 8, "BF16": 2}

    def total(suffix: str, dtype: str) -> int:
        return (
            sum(math.prod(e.shapes[0]) for n, e in table.items() if n.endswith(suffix))
            * size[dtype]
        )

    assert total("weight_packed", "I32") == 534_773_760
    assert total("weight_scale", "BF16") == 16_711_680
    assert total("embed_tokens.weight", "BF16") == 419_430_400


def test_full_size_checkpoint_is_read_from_its_header(tmp_path: Path) -> None:
    """A sparse file with the real header: 2.56 GB that use no disk space. A benchmark measures the speed."""
    contest = contests.load(contests.find("aimers8"))
    weights_file = write_full_size(tmp_path, contest)
    findings = find_problems(tmp_path, contest)
    assert findings.problems == ()
    assert findings.facts is not None
    assert findings.facts.scheme == "bf16"
    assert findings.facts.safetensors_bytes == weights_file.stat().st_size > 2_558_782_976


def test_problems_of_a_table() -> None:
    table = expected_tensors(decoder_of(CONFIG), {})
    held = [Tensor(n, "BF16", e.shapes[0], 0) for n, e in table.items()]
    assert find_tensor_problems(table, held) == []
    held[0] = Tensor(held[0].name, "BF16", (1, 2), 0)
    held[1] = Tensor(held[1].name, "U8", held[1].shape, 0)
    held[2] = Tensor("stranger", "BF16", (1,), 0)
    codes = {p.code for p in find_tensor_problems(table, held)}
    assert codes == {"WEIGHTS_SHAPE", "WEIGHTS_DTYPE", "WEIGHTS_MISSING", "WEIGHTS_UNEXPECTED"}


def test_fused_layers_share_a_scheme(contest: Contest) -> None:
    groups = {
        "a": {
            "targets": ["re:.*q_proj", "re:.*k_proj"],
            "weights": q.W4A16["config_groups"]["group_0"]["weights"],
        },
        "b": {"targets": ["Linear"], "weights": {"num_bits": 8, "strategy": "channel"}},
    }
    with pytest.raises(Refused, match="QUANT_FUSED"):
        plan_of(
            CONFIG | {"quantization_config": q.config_groups() | {"config_groups": groups}}, contest
        )
    groups["a"]["targets"] = ["re:.*qkv_proj"]  # the engine's own name takes precedence
    _, plan = plan_of(
        CONFIG | {"quantization_config": q.config_groups() | {"config_groups": groups}}, contest
    )
    assert plan.schemes["model.layers.0.self_attn.v_proj"].words == "W4A16 g64"
    assert plan.schemes["model.layers.0.self_attn.o_proj"].words == "W8A16"


def test_gptq_layers_are_those_with_packed_weights(contest: Contest) -> None:
    held = {f"model.layers.1.mlp.{n}_proj.qweight" for n in ("gate", "up", "down")}
    _, plan = plan_of(CONFIG | {"quantization_config": q.GPTQ}, contest, held)
    assert {f"{layer}.qweight" for layer in plan.schemes} == held
    with pytest.raises(Refused, match="QUANT_FUSED"):
        plan_of(
            CONFIG | {"quantization_config": q.GPTQ},
            contest,
            {"model.layers.1.mlp.up_proj.qweight"},
        )


def config_for_engine(given: dict[str, Any], contest: Contest) -> dict[str, Any]:
    held = {f"{layer}.qweight" for layer in decoder_of(CONFIG).linears}
    _, plan = plan_of(CONFIG | {"quantization_config": given}, contest, held)
    _, again = plan_of(CONFIG | {"quantization_config": plan.config}, contest, held)
    assert again.config == plan.config
    assert again.schemes == plan.schemes
    return plan.config


def test_canonical_quantization_drops_bookkeeping(tmp_path: Path) -> None:
    contest = tiny_contest(tmp_path)
    config = {**q.GPTQ, "tokenizer": "x", "dataset": ["c4"], "damp_percent": 0.1}
    assert config_for_engine(config, contest) == q.GPTQ
    contest = contests.parse(_ignoring_kv(contest), tmp_path)
    cached = {**q.W8A8, "kv_cache_scheme": {"num_bits": 8}}
    assert "kv_cache_scheme" not in config_for_engine(cached, contest)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"quant_method": "gptq"}, {"bits": 4, "group_size": -1, "desc_act": False, "sym": True}),
        ({"quant_method": "awq", "bits": 4}, {"group_size": 128, "zero_point": True}),
        ({"quant_method": "fp8"}, {"activation_scheme": "dynamic"}),
    ],
)
def test_what_the_engine_has_no_default_for_is_written_out(
    given: dict[str, Any], missing: dict[str, Any], contest: Contest
) -> None:
    assert config_for_engine(given, contest) == given | missing


def _ignoring_kv(contest: Contest) -> str:
    return contest.source.replace("[checkpoint]", '[checkpoint]\nkv_cache_scheme = "ignore"')


def test_kv_scheme_can_be_ignored(tmp_path: Path) -> None:
    contest = contests.parse(_ignoring_kv(tiny_contest(tmp_path)), tmp_path)
    _, plan = plan_of(
        CONFIG | {"quantization_config": {**q.W8A8, "kv_cache_scheme": {"num_bits": 8}}}, contest
    )
    assert plan.kv_ignored
    table = expected_of(plan, decoder_of(CONFIG))
    assert table["model.layers.1.self_attn.k_scale"].optional


FUSED = [
    f"model.layers.{index}.{name}_proj"
    for index in (0, 1)
    for name in ("self_attn.q", "self_attn.k", "self_attn.v", "mlp.gate", "mlp.up")
]


@pytest.mark.parametrize(
    ("scheme", "capability", "expected"),
    [
        (q.FP8, 8.9, set()),
        (q.FP8, 8.0, {"KERNEL_FP8"}),
        (q.FP8, 7.5, {"KERNEL_FP8"}),
        (q.FP8, 7.0, {"KERNEL_MISSING"}),
        (q.FP8, 0.0, {"KERNEL_FP8"}),
        (q.FP8_STATIC, 8.9, set()),
        (q.FP8_STATIC, 0.0, {"KERNEL_MISSING", "KERNEL_FP8"}),
        (q.FP8_HF, 0.0, {"KERNEL_MISSING", "KERNEL_FP8"}),
        ({**q.FP8_HF, "ignored_layers": FUSED}, 0.0, {"KERNEL_FP8"}),
        (q.FP8_BLOCK, 0.0, {"KERNEL_MISSING"}),
        (q.FP8_WEIGHTS, 8.9, set()),
        (q.FP8_WEIGHTS, 0.0, {"KERNEL_MISSING"}),
        (q.W8A8, 0.0, set()),
        (q.W8A8, 7.0, {"KERNEL_MISSING"}),
        (q.W8A8, 7.5, set()),
        (q.W4A16, 0.0, set()),
        (q.W4A16, 7.5, set()),
        (q.W4A16, 7.0, {"KERNEL_MISSING"}),
        (q.W3A16, 8.9, {"KERNEL_UNSURE"}),
        (q.W3A16, 0.0, {"KERNEL_MISSING"}),
        (q.W4A8, 8.9, {"KERNEL_ACTIVATIONS"}),
        (q.W4A8, 0.0, {"KERNEL_ACTIVATIONS"}),
        (q.W4AFP8, 8.9, {"KERNEL_MISSING"}),
        (q.W4AFP8, 9.0, set()),
        (q.W4AFP8, 0.0, {"KERNEL_MISSING"}),
        (q.MXFP4, 0.0, {"KERNEL_MISSING"}),
        (q.MXFP4, 7.5, {"KERNEL_MISSING"}),
        (q.AWQ, 8.9, set()),
        ({**q.AWQ, "group_size": 16}, 8.9, {"KERNEL_GROUP_SIZE"}),
        (q.GPTQ, 8.9, set()),
        (q.GPTQ, 7.0, {"KERNEL_MISSING"}),
        ({**q.GPTQ, "bits": 8}, 8.9, set()),
        ({**q.GPTQ, "bits": 8}, 0.0, {"KERNEL_MISSING"}),
    ],
)
def test_hardware(
    scheme: dict[str, Any], capability: float, expected: set[str], contest: Contest
) -> None:
    held = {f"{layer}.qweight" for layer in decoder_of(CONFIG).linears}
    linears, plan = plan_of(CONFIG | {"quantization_config": scheme}, contest, held)
    found = find_kernel_problems(plan, linears, Hardware("GPU", capability))
    assert {p.code for p in found} == expected


def test_width_beside_the_tile(contest: Contest) -> None:
    narrow = CONFIG | {"intermediate_size": 160, "quantization_config": {**q.AWQ, "group_size": 32}}
    linears, plan = plan_of(narrow, contest)
    (found,) = find_kernel_problems(plan, linears, Hardware("L4", 8.9))
    assert (found.code, found.where) == ("KERNEL_TILE", "model.layers.0.mlp.gate_proj")


@pytest.mark.parametrize(
    "pattern",
    [
        "Linear",
        "lm_head",
        "re:.*lm_head",
        "re:.*self_attn.*",
        r"re:.*layers\.(0|1|2)\..*",
        "re:^(?!.*mlp).*$",
        "model.layers.0.mlp.up_proj",
        "re:.*[kv]_proj$",
        "re:.*?down_proj",
        r"re:model\.layers\.\d+\.mlp.*",
        r"re:model\.layers\.(" + "|".join(map(str, range(30))) + r")\..*",
        r"re:.*layers\.(0|1|2)\..*(q|k|v|o|gate|up|down)_proj.*",
        r"re:.*layers\.(" + "|".join(map(str, range(30))) + r")\..*(q_proj|q_norm).*",
    ],
)
def test_ordinary_patterns_are_fine(pattern: str) -> None:
    assert find_fault(pattern) == ""


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "re:(a+)+$",
        "re:(a|b)*",
        "re:(?:a){9}",
        "re:[",
        "re:(",
        "re:a**",
        r"re:(a)\1",
        "x" * 201,
        "re:.*.*.*.*.*",
        "re:a?a?a?a?a?a?a?a?a?aaaaaaaaa",
        "re:" + "a{0,1}" * 9 + "a" * 9,
        "re:" + "(.|.|.)" * 26 + "Z",
        "re:" + "(a.|a[a])" * 7 + "Z",
        "re:" + "(?:(.|.)|(.|.))" * 3 + "Z",
        "re:" + "(a?b|b)" * 7 + "Z",
        "re:(?i)" + "(a|A)" * 7 + "Z",
        "re:(.|.)(.|.)(.|.)(.|.).*.*.*Z",
        "re:\u202e",
        "re:(a+)?+",
        "re:(a+){2,}",
        "re:*",
    ],
)
def test_costly_or_broken_patterns_are_not(pattern: str) -> None:
    assert find_fault(pattern)


def test_matching_is_from_the_start() -> None:
    assert matches("re:.*mlp", "model.layers.0.mlp.up_proj")
    assert not matches("re:mlp", "model.layers.0.mlp.up_proj")
    assert not matches("mlp", "model.layers.0.mlp.up_proj")


def test_words() -> None:
    assert Scheme("pack", 4, "int", "group", 128).words == "W4A16 g128"
    assert Scheme("stored", 8, "float", "tensor").words == "FP8 A16"
    assert (
        Scheme("pack", 4, "int", inputs="dynamic", input_bits=8, input_kind="float").words
        == "W4AFP8"
    )
