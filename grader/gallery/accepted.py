"""Checkpoints that must be accepted: every archive type, layout, scheme and legitimate peculiarity."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from grader.gallery import quantised as q
from grader.gallery.case import Bench, Case
from grader.gallery.packing import tar_bytes
from grader.gallery.tiny import Files, Json, Raw, safetensors
from grader.gallery.weights import added


def _zipfile(method: int, top: str = "", streamed: bool = False) -> Callable[[Bench], Path]:
    """Write as Python's own module does."""

    def build(bench: Bench) -> Path:
        buffer = io.BytesIO()
        with zipfile.ZipFile(_Unseekable(buffer) if streamed else buffer, "w", method) as file:
            if top:
                file.mkdir(top)
            for name, data in bench.files().items():
                file.writestr(f"{top}{name}", data)
        return bench.write("s.zip", buffer.getvalue())

    return build


class _Unseekable(io.RawIOBase):
    """Write as a stream, which puts the sizes after the data."""

    def __init__(self, target: io.BytesIO) -> None:
        self._target = target

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        return self._target.write(data)  # type: ignore[arg-type]


def _zip64(bench: Bench) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in bench.files().items():
            with file.open(name, "w", force_zip64=True) as member:
                member.write(data)
    return bench.write("s.zip", buffer.getvalue())


def _tarfile(form: int, suffix: str, top: str = "") -> Callable[[Bench], Path]:
    def build(bench: Bench) -> Path:
        path = bench.folder / f"s.tar{suffix}"
        with tarfile.open(path, f"w:{suffix.lstrip('.')}", format=form) as tar:  # type: ignore[call-overload]
            for name, data in bench.files().items():
                info = tarfile.TarInfo(top + name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return build


def _zstd(bench: Bench) -> Path:
    import zstandard

    return bench.write("s.tar.zst", zstandard.ZstdCompressor().compress(tar_bytes(bench.files())))


def _two_gzip_members(bench: Bench) -> Path:
    data = tar_bytes(bench.files())
    return bench.write("s.tgz", gzip.compress(data[:5000]) + gzip.compress(data[5000:]))


def _config(**changes: object) -> Callable[[Bench], Path]:
    return lambda b: b.zip(b.files(**changes))


def _files(change: Callable[[Files], object]) -> Callable[[Bench], Path]:
    def build(bench: Bench) -> Path:
        files = bench.files()
        change(files)
        return bench.zip(files)

    return build


def _sharded(shards: int, *without: str) -> Callable[[Bench], Path]:
    return lambda b: b.zip({n: d for n, d in b.sharded(shards).items() if n not in without})


def _rewritten(bench: Bench) -> Path:
    """Return the base config as transformers 5 saves it."""
    base = bench.config()
    rope = {"rope_type": "default", "rope_theta": base.get("rope_theta")}
    return bench.with_config(
        dtype=base.get("torch_dtype", base.get("dtype")),
        torch_dtype=...,
        rope_parameters=base.get("rope_parameters") or rope,
        rope_theta=...,
        rope_scaling=...,
        sliding_window_pattern=0,
        transformers_version="5.17.0",
    )


def _other_tools() -> Iterator[tuple[str, str, Json, str]]:
    """(name, scheme, quantization_config, notice) of tools that write the engine's formats their own way."""
    down = "model.layers.1.mlp.down_proj"
    dynamic = {f"-:{down}": {}, r"+:.*\.(q|k|v)_proj": {"bits": 8}}
    yield "gptqmodel-dynamic", "W8A16 g64 + W4A16 g64", {**q.GPTQ, "dynamic": dynamic}, ""
    yield "gptqmodel-keys", "W4A16 g64", {**q.GPTQ, "hyb_act": True}, "QUANT_IGNORED_KEY"
    yield "autoround", "W4A16 g64", {**q.AUTOROUND, "extra_config": {down: {"bits": 16}}}, ""
    yield "modelopt", "FP8 static", q.MODELOPT, ""
    yield "modelopt-nvfp4", "NVFP4", q.MODELOPT_NVFP4, "KERNEL_EMULATED"
    yield "awq-symmetric", "W4A16 g64 asym", {**q.AWQ, "zero_point": False}, ""
    fp8 = {**q.FP8_HF, "modules_to_not_convert": ["o_proj"]}
    yield "fp8-short-names", "FP8 dynamic", fp8, ""
    dense = {"format": "dense", "targets": [], "ignore": []}
    yield "sparsity-dense", "W8A8", {**q.W8A8, "sparsity_config": dense}, ""
    yield "unknown-key", "W8A8", {**q.W8A8, "speedup": 1}, "QUANT_IGNORED_KEY"
    everything = {**q.config_groups(targets=["re:.*"], weights=q.INT4), "ignore": ["lm_head"]}
    yield "pattern-that-hits-the-embedding", "W4A16 g64", everything, ""


def _good(name: str, build: Callable[[Bench], Path], scheme: str = "", notice: str = "") -> Case:
    """Schemes are those of the tiny contest; the other cases hold in every contest. The data is read too."""
    return Case(f"good-{name}", "", build, notice, scheme, any_contest=not scheme, scan=True)


def cases() -> Iterator[Case]:
    deflated, stored = zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED
    yield _good("zip", _zipfile(deflated))
    yield _good("zip-stored", _zipfile(stored))
    yield _good("zip-top-folder", _zipfile(deflated, "model/"))
    yield _good("zip-streamed", _zipfile(deflated, streamed=True))
    yield _good("zip64", _zip64)
    formats = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}
    for name, form in formats.items():
        yield _good(f"tar-{name}", _tarfile(form, ""))
        yield _good(f"tar-{name}-top-folder", _tarfile(form, ".gz", f"./{'m' * 90}/"))
    yield _good("tar-gz", _tarfile(tarfile.PAX_FORMAT, ".gz"))
    yield _good("tar-gz-two-members", _two_gzip_members)
    yield _good("tar-zst", _zstd)
    yield _good("sharded", _sharded(3))
    yield _good("sharded-without-index", _sharded(2, "model.safetensors.index.json"))
    readme = _files(lambda files: files.update({"README.md": b"# x"}))
    yield _good("with-readme", readme, notice="LAYOUT_IGNORED_FILE")
    junk = {"__MACOSX/._config.json": b"x", ".DS_Store": b"x", ".git/config": b"x"}
    yield _good("with-junk", _files(lambda files: files.update(junk)))
    yield _good("rewritten-config", _rewritten)
    yield _good("pruned-layer", _config(num_hidden_layers=1, layer_types=["full_attention"]))
    yield _good("pruned-width", _config(intermediate_size=128), "bf16")
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}
    yield _good("pruned-heads", _config(**heads), "bf16")
    yield _good("untied", _config(tie_word_embeddings=False), "bf16")

    schemes = {
        "W8A8": q.W8A8,
        "W4A16 g64": q.W4A16,
        "W4A16 g64 asym": q.W4A16_ASYM,
        "W4A16": q.W4A16_CHANNEL,
        "FP8 dynamic": q.FP8,
        "FP8 static": q.FP8_STATIC,
        "FP8 block": q.FP8_BLOCK,
        "MXFP4A16": q.MXFP4,
        "W8A8 + W4A16 g64": q.MIXED,
    }
    for words, config in schemes.items():
        yield _good(words, _config(quantization_config=config), words)
    for name, words, config in (
        ("naive", "W8A8", q.NAIVE),
        ("gptq", "W4A16 g64", q.GPTQ),
        ("awq", "W4A16 g64 asym", q.AWQ),
        ("fp8-hf", "FP8 dynamic", q.FP8_HF),
        ("some-layers-ignored", "W4A16 g64", {**q.W4A16, "ignore": ["lm_head", "re:.*layers.0.*"]}),
    ):
        yield _good(name, _config(quantization_config=config), words)
    for name, words, config, notice in _other_tools():
        yield _good(name, _config(quantization_config=config), words, notice)
    scale = Raw("F32", (1,), struct.pack("<f", 0.5))
    leftover = added("model.layers.1.self_attn.k_scale", scale, quantization_config=q.W8A8)
    yield _good("leftover-kv-scale", leftover, "W8A8", "WEIGHTS_KV_SCALES")
    empty = _files(lambda files: files.update({"model-2.safetensors": safetensors({})}))
    yield _good("empty-shard", empty, notice="LAYOUT_IGNORED_FILE")
    yield _good("dtype-renamed-by-half", _config(torch_dtype=None, dtype="bfloat16"))
    odd_bits = _config(quantization_config=q.W3A16)
    yield _good("three-bits", odd_bits, "W3A16 g64", "KERNEL_UNSURE")
    odd_group = _config(quantization_config={**q.AWQ, "group_size": 16})
    yield _good("odd-group", odd_group, "W4A16 g16 asym", "KERNEL_GROUP_SIZE")
    packed = _config(quantization_config=q.W4A8)
    yield _good("packed-with-activations", packed, "W4A8 g64", "KERNEL_ACTIVATIONS")
    by_name = q.config_groups("pack-quantized", ["Linear", "lm_head"], weights=q.INT4)
    head = _config(quantization_config=by_name, tie_word_embeddings=False)
    yield _good("untied-quantised-head", head, "W4A16 g64")
