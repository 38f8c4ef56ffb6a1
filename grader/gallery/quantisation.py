"""Cases about quantization_config and tensors that do not match it. All use the tiny contest."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from grader.gallery.case import Bench, Case
from grader.gallery.quantised import (
    AWQ,
    FP8,
    FP8_HF,
    GPTQ,
    INT4,
    MODELOPT,
    MXFP4,
    W4A16,
    W4AFP8,
    W8A8,
    config_groups,
)
from grader.gallery.tiny import Json, Raw
from grader.gallery.weights import Tensors, added, changed, reread, without

_DOWN = "model.layers.1.mlp.down_proj"


def _declared() -> Iterator[tuple[str, str, object]]:
    """Return (name, code, quantization_config): a config with plain weights."""
    unsupported = "QUANT_UNSUPPORTED"
    yield "method-unknown", unsupported, {"quant_method": "quark"}
    for method in ("bitblas", "bitsandbytes", "deepspeedfp", "gguf", "inc"):
        yield f"method-{method}", unsupported, {"quant_method": method, "bits": 8}
    yield "method-missing", unsupported, {"bits": 4}
    yield "method-mxfp4-dense", unsupported, {"quant_method": "mxfp4"}
    yield "bits-3-gptq", unsupported, {**GPTQ, "bits": 3}
    yield "transform", unsupported, {**W8A8, "transform_config": {"config_groups": {}}}
    tensor = {"num_bits": 8, "strategy": "tensor"}
    dynamic = config_groups(
        "int-quantized", weights=tensor, input_activations={**tensor, "dynamic": True}
    )
    yield "w8a8-dynamic-per-tensor", unsupported, dynamic

    yield "not-an-object", "QUANT_SYNTAX", "gptq"
    yield "unknown-args-key", "QUANT_SYNTAX", config_groups(weights={"num_bits": 4, "evil": 1})
    yield "bits-as-text", "QUANT_SYNTAX", config_groups(weights={"num_bits": "4"})

    yield "bits-0", "QUANT_RANGE", {**GPTQ, "bits": 0}
    yield "bits-99", "QUANT_RANGE", config_groups(weights={"num_bits": 99})
    yield "group-size-0", "QUANT_RANGE", {**GPTQ, "group_size": 0}
    yield "group-size-minus-2", "QUANT_RANGE", {**GPTQ, "group_size": -2}
    yield "block-of-3", "QUANT_RANGE", {**FP8_HF, "weight_block_size": [3, 3]}
    yield (
        "group-size-3",
        "QUANT_GROUP_SIZE",
        config_groups(weights={"num_bits": 4, "group_size": 3}),
    )
    yield "group-size-gptq-16", "QUANT_GPTQ_GROUP", {**GPTQ, "group_size": 16}
    yield "group-size-awq-3", "QUANT_GROUP_SIZE", {**AWQ, "group_size": 3}

    for name, ignore in {
        "bomb": ["re:(a+)+$"],
        "bomb-alternatives": ["re:(a|a)*$"],
        "bomb-wide": ["re:.*.*.*.*.*.*x"],
        "bomb-optional": ["re:" + ".?" * 8 + ".*.*.*Z"] * 99,
        "bomb-open-choices": ["re:" + "(.|.|.)" * 26 + "Z"],
        "bomb-zero-or-one": ["re:" + ".{0,1}" * 24 + "Z"],
        "bomb-four-times": ["re:.*.*.*.*Z"] * 99,
        "broken": ["re:["],
        "long": ["x" * 1000],
        "many": [f"re:.*{k}.*" for k in range(500)],
    }.items():
        yield f"regex-{name}", "QUANT_PATTERN", {**W8A8, "ignore": ignore}

    fp8_cache = {"num_bits": 8, "type": "float"}
    yield "kv-cache-fp8", "QUANT_KV_NOT_ALLOWED", {**W8A8, "kv_cache_scheme": fp8_cache}
    yield "sparse-24", "QUANT_SPARSITY", {**W8A8, "format": "marlin-24"}
    sparsity = {"format": "sparse-bitmask", "targets": ["Linear"]}
    yield "sparsity-config", "QUANT_SPARSITY", {**W8A8, "sparsity_config": sparsity}
    yield "actorder-group", "QUANT_ACTORDER", config_groups(weights={**INT4, "actorder": "group"})
    yield "desc-act", "QUANT_ACTORDER", {**GPTQ, "desc_act": True}
    yield "only-q-ignored", "QUANT_FUSED", {**W8A8, "ignore": ["re:.*q_proj"]}
    yield "head-by-name", "QUANT_LM_HEAD", config_groups(targets=["re:.*"], weights=INT4)
    yield "declared-not-done", "WEIGHTS_MISSING", W4A16


def _false_shape(tensors: Tensors) -> None:
    """The engine does not read it, and a comparison with the base model would see no matrix of its size."""
    name = f"{_DOWN}.weight_shape"
    tensors[name] = Raw("I64", (2,), struct.pack("<2q", 1 << 30, 256))


def _stored() -> Iterator[tuple[str, str, Callable[[Bench], Path]]]:
    """Return (name, code, builder): quantized weights with one defect."""

    def gone(suffix: str, config: Json) -> Callable[[Bench], Path]:
        return without(f"{_DOWN}.{suffix}", quantization_config=config)

    missing = "WEIGHTS_MISSING"
    for name, config in {
        "w8a8": W8A8,
        "w4a16": W4A16,
        "fp8": FP8,
        "mxfp4": MXFP4,
        "fp8-hf": FP8_HF,
    }.items():
        yield f"{name}-without-scale", missing, gone("weight_scale", config)
    yield "w4a16-without-shape", missing, gone("weight_shape", W4A16)
    yield "gptq-without-zeros", missing, gone("qzeros", GPTQ)
    yield "awq-without-scales", missing, gone("scales", AWQ)

    four = {"quantization_config": W4A16}
    original = Raw("BF16", (128, 256), b"\0<" * (128 * 256))
    yield (
        "w4a16-with-original-kept",
        "WEIGHTS_UNEXPECTED",
        added(f"{_DOWN}.weight", original, **four),
    )
    packed = reread(f"{_DOWN}.weight_packed", (64, 64), "I32", **four)
    yield "w4a16-packed-otherwise", "WEIGHTS_SHAPE", packed
    unsigned = reread(f"{_DOWN}.weight", (128, 256), "U8", quantization_config=W8A8)
    yield "w8a8-unsigned", "WEIGHTS_DTYPE", unsigned
    table = Raw("I32", (96, 16), bytes(96 * 64))
    embedding = added("model.embed_tokens.weight_packed", table, **four)
    yield "embedding-quantised", "QUANT_EMBEDDING", embedding
    yield "tied-head-quantised", "QUANT_LM_HEAD", added("lm_head.weight_packed", table, **four)
    yield "described-elsewhere", "QUANT_ELSEWHERE", _elsewhere
    yield "w4a8-no-kernel", "KERNEL_MISSING", lambda b: b.zip(b.files(quantization_config=W4AFP8))


def _elsewhere(bench: Bench) -> Path:
    """As ModelOpt wrote it once: the config in a file of its own."""
    files = bench.files(quantization_config=MODELOPT)
    files["config.json"] = json.dumps(bench.config()).encode()
    nested = {"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}}
    return bench.zip(files | {"hf_quant_config.json": json.dumps(nested).encode()})


def cases() -> Iterator[Case]:
    for name, code, config in _declared():
        build = lambda b, config=config: b.with_config(quantization_config=config)  # noqa: E731
        yield Case(f"quant-{name}", code, build, any_contest=False, limit_s=2.0)
    for name, code, stored in _stored():
        yield Case(f"quant-{name}", code, stored, any_contest=False)
    blinding = changed(_false_shape, quantization_config=W4A16)
    yield Case(
        "quant-w4a16-false-shape", "QUANT_WEIGHT_SHAPE", blinding, any_contest=False, scan=True
    )
