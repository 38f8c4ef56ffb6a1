"""Cases about the weights: safetensors headers, the index, the tensor table, quantisation."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from grader.gallery import tiny
from grader.gallery.case import Bench, Case
from grader.gallery.packing import members, zip_bytes
from grader.gallery.quantised import (
    AWQ,
    FP8,
    FP8_HF,
    GPTQ,
    MXFP4,
    W4A8,
    W4A16,
    W8A8,
    config_groups,
)
from grader.gallery.tiny import Json, Raw

_WEIGHTS = "model.safetensors"
_NORM = "model.norm.weight"
_DOWN = "model.layers.1.mlp.down_proj"


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Bench], Path]:
    return lambda b: b.with_file(_WEIGHTS, change(b.files()[_WEIGHTS]))


def _header(change: Callable[[Json], object]) -> Callable[[Bench], Path]:
    """The header changed as an object."""

    def build(bench: Bench) -> Path:
        tensors = tiny.weights(bench.config())
        header = tiny.header(tensors)
        change(header)
        return bench.with_file(_WEIGHTS, tiny.safetensors(tensors, json.dumps(header).encode()))

    return build


def _splice(text: str) -> Callable[[Bench], Path]:
    """The header with raw text put before its first key."""

    def build(bench: Bench) -> Path:
        tensors = tiny.weights(bench.config())
        head = "{" + text + "," + json.dumps(tiny.header(tensors))[1:]
        return bench.with_file(_WEIGHTS, tiny.safetensors(tensors, head.encode()))

    return build


def _set(name: str, key: str, value: object) -> Callable[[Bench], Path]:
    return _header(lambda header: header[name].update({key: value}))


def _shift(first: int, last: int) -> Callable[[Bench], Path]:
    """Move both offsets of the last tensor."""

    def change(header: Json) -> None:
        offsets = header[max(header, key=lambda n: header[n]["data_offsets"][0])]["data_offsets"]
        offsets[0] += first
        offsets[1] += last

    return _header(change)


def _length(value: int) -> Callable[[Bench], Path]:
    return _bytes(lambda data: struct.pack("<Q", value) + data[8:])


def _weights(
    change: Callable[[dict[str, Raw]], object], **config: object
) -> Callable[[Bench], Path]:
    return lambda b: b.with_weights(change, **config)


def _values(name: str, value: bytes) -> Callable[[Bench], Path]:
    """One tensor filled with a value."""

    def change(tensors: dict[str, Raw]) -> None:
        old = tensors[name]
        tensors[name] = Raw(old.dtype, old.shape, value * (len(old.data) // len(value)))

    return _weights(change)


def _reshape(
    name: str, shape: tuple[int, ...], dtype: str = "BF16", **config: object
) -> Callable[[Bench], Path]:
    def change(tensors: dict[str, Raw]) -> None:
        tensors[name] = Raw(dtype, shape, tensors[name].data)

    return _weights(change, **config)


def _index(change: Callable[[dict[str, str]], object]) -> Callable[[Bench], Path]:
    """Two shards and a changed weight_map."""

    def build(bench: Bench) -> Path:
        files = bench.files(shards=2)
        name = "model.safetensors.index.json"
        index = json.loads(files[name])
        change(index["weight_map"])
        return bench.zip(files | {name: json.dumps(index).encode()})

    return build


def _shards(change: Callable[[dict[str, bytes]], object]) -> Callable[[Bench], Path]:
    def build(bench: Bench) -> Path:
        files = bench.files(shards=2)
        change(files)
        return bench.zip(files)

    return build


def _many_tensors(bench: Bench) -> Path:
    entries = ",".join(
        f'"t{k}":{{"dtype":"U8","shape":[1],"data_offsets":[{k},{k + 1}]}}' for k in range(150_000)
    )
    head = f"{{{entries}}}".encode()
    return bench.with_file(_WEIGHTS, struct.pack("<Q", len(head)) + head + bytes(150_000))


def _large_header(bench: Bench) -> Path:
    head = b'{"__metadata__":{"a":"' + b"b" * (20 << 20) + b'"}}'
    files = bench.files() | {_WEIGHTS: struct.pack("<Q", len(head)) + head}
    return bench.write("s.zip", zip_bytes(members(files, method=0)))


def cases() -> Iterator[Case]:
    yield from _safetensors()
    yield from _table()
    yield from _quantisation()


def _safetensors() -> Iterator[Case]:
    for name, length in {
        "0": 0,
        "2-63": 1 << 63,
        "2-64": (1 << 64) - 1,
        "100-mb": 100_000_001,
        "beyond": 1 << 24,
    }.items():
        yield Case(f"header-length-{name}", "ST_HEADER", _length(length))
    for name, data in {
        "empty": b"",
        "short": b"1234567",
        "html": b"<html>404</html>",
        "zip": b"PK\3\4" * 9,
    }.items():
        yield Case(f"weights-{name}", "ST_HEADER", lambda b, data=data: b.with_file(_WEIGHTS, data))
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2558821288\n"
    yield Case("weights-lfs-pointer", "ST_LFS_POINTER", lambda b: b.with_file(_WEIGHTS, pointer))
    yield Case("header-not-json", "ST_HEADER", _bytes(lambda d: d[:8] + b"{" * 40 + d[48:]))
    yield Case("header-deep", "ST_HEADER", _splice('"x":' + "[" * 3000 + "]" * 3000))
    yield Case("metadata-not-text", "ST_HEADER", _splice('"__metadata__":{"a":1}'))
    yield Case("trailing-bytes", "ST_OFFSETS", _bytes(lambda d: d + bytes(8)))
    yield Case("truncated-data", "ST_OFFSETS", _bytes(lambda d: d[:-8]))
    yield Case("hole", "ST_OFFSETS", _shift(8, 8))
    yield Case("overlap", "ST_OFFSETS", _shift(-8, -8))
    yield Case("reversed-offsets", "ST_OFFSETS", _set(_NORM, "data_offsets", [8, 0]))
    yield Case("negative-offset", "ST_OFFSETS", _set(_NORM, "data_offsets", [-256, 0]))
    yield Case("three-offsets", "ST_OFFSETS", _set(_NORM, "data_offsets", [0, 8, 16]))
    yield Case("offsets-of-floats", "ST_OFFSETS", _set(_NORM, "data_offsets", [0.0, 256.0]))
    for name, key, value in (
        ("shape-too-small", "shape", [1]), ("shape-overflow", "shape", [1 << 31, 1 << 31, 1 << 31]), ("shape-zero", "shape", [0]),
        ("shape-negative", "shape", [-128]), ("shape-float", "shape", [128.0]), ("shape-true", "shape", [True, 128]),
        ("shape-rank-1000", "shape", [1] * 1000), ("dtype-unknown", "dtype", "Q4_K"), ("dtype-number", "dtype", 16),
        ("extra-field", "strides", [1]),
    ):  # fmt: skip
        yield Case(f"tensor-{name}", "ST_TENSOR_INFO", _set(_NORM, key, value))
    again = '"model.norm.weight":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}'
    yield Case("tensor-twice", "ST_DUPLICATE_TENSOR", _splice(again))
    for name in ("", "a\\u0000b", "n" * 10_000, "../x", "model.norm.weight\\n"):
        text = f'"{name}":{{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
        yield Case(f"tensor-name-{name[:12]}", "ST_TENSOR_NAME", _splice(text))
    yield Case("tensors-150000", "ST_TOO_MANY_TENSORS", _many_tensors)
    yield Case("header-20-mb", "ST_TOO_MANY_TENSORS", _large_header)

    yield Case(
        "index-path-up", "INDEX_PATH", _index(lambda m: m.update({_NORM: "../x.safetensors"}))
    )
    yield Case(
        "index-path-absolute", "INDEX_PATH", _index(lambda m: m.update({_NORM: "/x.safetensors"}))
    )
    yield Case(
        "index-path-folder", "INDEX_PATH", _index(lambda m: m.update({_NORM: "a/x.safetensors"}))
    )
    yield Case(
        "index-missing-file",
        "INDEX_MISSING_FILE",
        _index(lambda m: m.update({_NORM: "x.safetensors"})),
    )
    yield Case("index-tensor-not-listed", "INDEX_MISMATCH", _index(lambda m: m.pop(_NORM)))
    yield Case(
        "index-tensor-not-held", "INDEX_MISMATCH", _index(lambda m: m.update({"y": m[_NORM]}))
    )
    swap = {"1": "2", "2": "1"}
    other = _index(
        lambda m: m.update(
            {_NORM: m[_NORM].replace("-0000" + m[_NORM][10], "-0000" + swap[m[_NORM][10]], 1)}
        )
    )
    yield Case("index-wrong-shard", "INDEX_MISMATCH", other)
    yield Case("index-number", "INDEX_INVALID", _index(lambda m: m.update({_NORM: 1})))  # type: ignore[dict-item]
    one = tiny.safetensors({"extra": Raw("BF16", (1,), b"\0<")})
    yield Case(
        "shard-not-in-index",
        "INDEX_MISMATCH",
        _shards(lambda f: f.update({"model-9.safetensors": one})),
    )
    first = "model-00001-of-00002.safetensors"
    yield Case(
        "tensor-in-two-shards",
        "INDEX_DUPLICATE_TENSOR",
        _shards(lambda f: f.update({"old.safetensors": f[first]})),
    )
    yield Case("shard-missing", "INDEX_MISSING_FILE", _shards(lambda f: f.pop(first)))


def _table() -> Iterator[Case]:
    yield Case("nan", "WEIGHTS_NONFINITE", _values(_NORM, b"\xc0\x7f"), scan=True)
    yield Case("infinity", "WEIGHTS_NONFINITE", _values(_NORM, b"\x80\xff"), scan=True)
    yield Case("all-zero", "", _values(_NORM, b"\0\0"), notice="WEIGHTS_ZERO", scan=True)
    yield Case("missing-tensor", "WEIGHTS_MISSING", _weights(lambda t: t.pop(_NORM)))
    layer = "model.layers.1."
    gone: Callable[[dict[str, Raw]], object] = lambda t: [
        t.pop(n) for n in list(t) if n.startswith(layer)
    ]  # noqa: E731
    yield Case("missing-layer", "WEIGHTS_MISSING", _weights(gone))
    payload = Raw("U8", (1 << 20,), bytes(1 << 20))
    yield Case(
        "hidden-payload", "WEIGHTS_UNEXPECTED", _weights(lambda t: t.update({"x.payload": payload}))
    )
    bias = Raw("BF16", (128,), bytes(256))
    yield Case(
        "extra-bias", "WEIGHTS_UNEXPECTED", _weights(lambda t: t.update({f"{_DOWN}.bias": bias}))
    )
    yield Case(
        "transposed", "WEIGHTS_SHAPE", _reshape(f"{_DOWN}.weight", (256, 128)), any_contest=False
    )
    yield Case("norm-as-matrix", "WEIGHTS_SHAPE", _reshape(_NORM, (128, 1)), any_contest=False)
    yield Case(
        "norm-as-integers", "WEIGHTS_DTYPE", _reshape(_NORM, (128,), "I16"), any_contest=False
    )
    narrow = lambda b: b.zip(
        b.files() | {"config.json": json.dumps(b.config(intermediate_size=128)).encode()}
    )  # noqa: E731
    yield Case("config-says-narrower", "WEIGHTS_SHAPE", narrow)
    head = Raw("BF16", (96, 128), b"\0<" * (96 * 128))
    copy = _weights(lambda t: t.update({"lm_head.weight": head}))
    yield Case(
        "second-copy-of-embedding", "", copy, notice="WEIGHTS_DUPLICATE_HEAD", any_contest=False
    )
    untied = lambda b: b.with_config(tie_word_embeddings=False)  # noqa: E731
    yield Case("untied-without-head", "WEIGHTS_MISSING", untied, any_contest=False)


def _quantisation() -> Iterator[Case]:
    def case(name: str, code: str, config: object, **options: object) -> Case:
        build = lambda b: b.zip(
            b.files() | {"config.json": json.dumps(b.config(quantization_config=config)).encode()}
        )  # noqa: E731
        return Case(f"quant-{name}", code, build, any_contest=False, **options)  # type: ignore[arg-type]

    def without(name: str, config: Json) -> Callable[[Bench], Path]:
        return _weights(lambda t: t.pop(name), quantization_config=config)

    yield case("method-unknown", "QUANT_UNSUPPORTED", {"quant_method": "quark"})
    yield case("method-missing", "QUANT_UNSUPPORTED", {"bits": 4})
    yield case("method-mxfp4-dense", "QUANT_UNSUPPORTED", {"quant_method": "mxfp4"})
    yield case("not-an-object", "QUANT_SYNTAX", "gptq")
    yield case("unknown-key", "QUANT_SYNTAX", {**W8A8, "speedup": 1})
    yield case(
        "unknown-args-key", "QUANT_SYNTAX", config_groups(weights={"num_bits": 4, "evil": 1})
    )
    yield case("bits-as-text", "QUANT_SYNTAX", config_groups(weights={"num_bits": "4"}))
    yield case("bits-0", "QUANT_RANGE", {**GPTQ, "bits": 0})
    yield case("bits-99", "QUANT_RANGE", config_groups(weights={"num_bits": 99}))
    yield case("bits-3-gptq", "QUANT_UNSUPPORTED", {**GPTQ, "bits": 3})
    yield case("group-size-0", "QUANT_RANGE", {**GPTQ, "group_size": 0})
    yield case("group-size-minus-2", "QUANT_RANGE", {**GPTQ, "group_size": -2})
    yield case(
        "group-size-3", "QUANT_GROUP_SIZE", config_groups(weights={"num_bits": 4, "group_size": 3})
    )
    yield case("group-size-awq-3", "QUANT_GROUP_SIZE", {**AWQ, "group_size": 3})
    yield case("block-of-3", "QUANT_RANGE", {**FP8_HF, "weight_block_size": [3, 3]})
    yield case("regex-bomb", "QUANT_PATTERN", {**W8A8, "ignore": ["re:(a+)+$"]}, limit_s=2.0)
    yield case(
        "regex-bomb-alternatives", "QUANT_PATTERN", {**W8A8, "ignore": ["re:(a|a)*$"]}, limit_s=2.0
    )
    yield case(
        "regex-bomb-wide", "QUANT_PATTERN", {**W8A8, "ignore": ["re:.*.*.*.*.*.*x"]}, limit_s=2.0
    )
    yield case("regex-broken", "QUANT_PATTERN", {**W8A8, "ignore": ["re:["]})
    yield case("regex-long", "QUANT_PATTERN", {**W8A8, "ignore": ["x" * 1000]})
    yield case(
        "regex-many", "QUANT_PATTERN", {**W8A8, "ignore": [f"re:.*{k}.*" for k in range(500)]}
    )
    yield case(
        "kv-cache-fp8",
        "QUANT_KV_NOT_ALLOWED",
        {**W8A8, "kv_cache_scheme": {"num_bits": 8, "type": "float"}},
    )
    yield case("sparse-24", "QUANT_SPARSITY", {**W8A8, "format": "marlin-24"})
    yield case(
        "sparsity-config",
        "QUANT_SPARSITY",
        {**W8A8, "sparsity_config": {"format": "sparse-24-bitmask"}},
    )
    yield case(
        "transform", "QUANT_UNSUPPORTED", {**W8A8, "transform_config": {"config_groups": {}}}
    )
    group = {"num_bits": 4, "group_size": 64, "actorder": "group"}
    yield case("actorder-group", "QUANT_ACTORDER", config_groups("pack-quantized", weights=group))
    yield case("desc-act", "QUANT_ACTORDER", {**GPTQ, "desc_act": True})
    dynamic_tensor = {"num_bits": 8, "strategy": "tensor", "dynamic": True}
    weights = {"num_bits": 8, "strategy": "tensor"}
    no_kernel = config_groups("int-quantized", weights=weights, input_activations=dynamic_tensor)
    yield case("w8a8-dynamic-per-tensor", "QUANT_UNSUPPORTED", no_kernel)
    yield case("only-q-ignored", "QUANT_FUSED", {**W8A8, "ignore": ["re:.*q_proj"]})
    yield case(
        "head-by-name",
        "QUANT_LM_HEAD",
        config_groups("pack-quantized", ["re:.*"], weights=W4A16_ARGS),
    )
    yield case("declared-not-done", "WEIGHTS_MISSING", W4A16)
    yield Case(
        "quant-w4a8-no-kernel",
        "KERNEL_MISSING",
        lambda b: b.zip(b.files(quantization_config=W4A8)),
        any_contest=False,
    )

    scale = f"{_DOWN}.weight_scale"
    for name, config in {
        "w8a8": W8A8,
        "w4a16": W4A16,
        "fp8": FP8,
        "mxfp4": MXFP4,
        "fp8-hf": FP8_HF,
    }.items():
        yield Case(
            f"{name}-without-scale", "WEIGHTS_MISSING", without(scale, config), any_contest=False
        )
    yield Case(
        "w4a16-without-shape",
        "WEIGHTS_MISSING",
        without(f"{_DOWN}.weight_shape", W4A16),
        any_contest=False,
    )
    yield Case(
        "gptq-without-zeros", "WEIGHTS_MISSING", without(f"{_DOWN}.qzeros", GPTQ), any_contest=False
    )
    yield Case(
        "awq-without-scales", "WEIGHTS_MISSING", without(f"{_DOWN}.scales", AWQ), any_contest=False
    )
    both = Raw("BF16", (128, 256), b"\0<" * (128 * 256))
    kept = _weights(lambda t: t.update({f"{_DOWN}.weight": both}), quantization_config=W4A16)
    yield Case("w4a16-with-original-kept", "WEIGHTS_UNEXPECTED", kept, any_contest=False)
    packed = _reshape(f"{_DOWN}.weight_packed", (64, 64), "I32", quantization_config=W4A16)
    yield Case("w4a16-packed-otherwise", "WEIGHTS_SHAPE", packed, any_contest=False)
    unsigned = _reshape(f"{_DOWN}.weight", (128, 256), "U8", quantization_config=W8A8)
    yield Case("w8a8-unsigned", "WEIGHTS_DTYPE", unsigned, any_contest=False)
    embedding = Raw("I32", (96, 16), bytes(96 * 64))
    name = "model.embed_tokens.weight_packed"
    quantised = _weights(lambda t: t.update({name: embedding}), quantization_config=W4A16)
    yield Case("embedding-quantised", "QUANT_EMBEDDING", quantised, any_contest=False)
    head = Raw("I32", (96, 16), bytes(96 * 64))
    quantised = _weights(
        lambda t: t.update({"lm_head.weight_packed": head}), quantization_config=W4A16
    )
    yield Case("tied-head-quantised", "QUANT_LM_HEAD", quantised, any_contest=False)


W4A16_ARGS: Json = {"num_bits": 4, "group_size": 64, "strategy": "group"}
