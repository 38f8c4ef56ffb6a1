"""Checkpoints that must be accepted: every archive type, every layout, every scheme, every honest oddity."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from grader.gallery import quantised as q
from grader.gallery.case import Bench, Case
from grader.gallery.packing import tar_bytes
from grader.gallery.tiny import Files, Json


def _zipfile(method: int, top: str = "", streamed: bool = False) -> Callable[[Bench], Path]:
    """As Python's own module writes it."""

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
    """A stream: sizes then follow the data."""

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


def _files(
    change: Callable[[Files], object] = lambda _: None, **options: object
) -> Callable[[Bench], Path]:
    def build(bench: Bench) -> Path:
        files = bench.files(**options)  # type: ignore[arg-type]
        change(files)
        return bench.zip(files)

    return build


def _rewritten(bench: Bench) -> Path:
    """The base config as transformers 5 saves it again."""
    config = bench.config(torch_dtype=..., rope_theta=..., rope_scaling=...)
    base = bench.config()
    config |= {"dtype": base.get("torch_dtype", base.get("dtype")), "sliding_window_pattern": 0}
    config["rope_parameters"] = base.get("rope_parameters") or {
        "rope_type": "default",
        "rope_theta": base["rope_theta"],
    }
    return bench.zip(
        bench.files()
        | {"config.json": json.dumps(config | {"transformers_version": "5.17.0"}).encode()}
    )


def _quantised(config: Json, **changes: object) -> Callable[[Bench], Path]:
    return _files(quantization_config=config, **changes)


def cases() -> Iterator[Case]:
    deflated, stored = zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED
    yield Case("good-zip", "", _zipfile(deflated), scan=True)
    yield Case("good-zip-stored", "", _zipfile(stored))
    yield Case("good-zip-top-folder", "", _zipfile(deflated, "model/"))
    yield Case("good-zip-streamed", "", _zipfile(deflated, streamed=True))
    yield Case("good-zip64", "", _zip64)
    formats = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}
    for name, form in formats.items():
        yield Case(f"good-tar-{name}", "", _tarfile(form, ""))
        yield Case(f"good-tar-{name}-top-folder", "", _tarfile(form, ".gz", f"./{'m' * 90}/"))
    yield Case("good-tar-gz", "", _tarfile(tarfile.PAX_FORMAT, ".gz"))
    yield Case("good-tar-gz-two-members", "", _two_gzip_members)
    yield Case("good-tar-zst", "", _zstd)
    yield Case("good-sharded", "", _files(shards=3), scan=True)
    yield Case(
        "good-sharded-without-index",
        "",
        _files(lambda f: f.pop("model.safetensors.index.json"), shards=2),
    )
    yield Case(
        "good-with-readme",
        "",
        _files(lambda f: f.update({"README.md": b"# x"})),
        notice="LAYOUT_IGNORED_FILE",
    )
    junk = {"__MACOSX/._config.json": b"x", ".DS_Store": b"x", ".git/config": b"x"}
    yield Case("good-with-junk", "", _files(lambda f: f.update(junk)))
    yield Case("good-rewritten-config", "", _rewritten)
    yield Case(
        "good-pruned-layer",
        "",
        _files(num_hidden_layers=1, layer_types=["full_attention"]),
        scheme="bf16",
    )
    yield Case("good-pruned-width", "", _files(intermediate_size=128), any_contest=False)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}
    yield Case("good-pruned-heads", "", _files(**heads), any_contest=False)
    yield Case("good-untied", "", _files(tie_word_embeddings=False), any_contest=False)
    schemes: dict[str, tuple[Json, str]] = {
        "W8A8": (q.W8A8, ""), "W4A16 g64": (q.W4A16, ""), "W4A16 g64 asym": (q.W4A16_ASYM, ""), "W4A16": (q.W4A16_CHANNEL, ""),
        "W3A16 g64": (q.W3A16, "KERNEL_UNSURE"), "FP8 dynamic": (q.FP8, ""), "FP8 static": (q.FP8_STATIC, ""),
        "MXFP4A16": (q.MXFP4, ""), "W8A8 + W4A16 g64": (q.MIXED, ""), "FP8 block": (q.FP8_BLOCK, ""),
    }  # fmt: skip
    for name, (config, notice) in schemes.items():
        yield Case(
            f"good-{name}", "", _quantised(config), notice, name, any_contest=False, scan=True
        )
    yield Case("good-naive", "", _quantised(q.NAIVE), scheme="W8A8", any_contest=False)
    yield Case(
        "good-gptq", "", _quantised(q.GPTQ), scheme="W4A16 g64", any_contest=False, scan=True
    )
    yield Case(
        "good-awq", "", _quantised(q.AWQ), scheme="W4A16 g64 asym", any_contest=False, scan=True
    )
    yield Case("good-fp8-hf", "", _quantised(q.FP8_HF), scheme="FP8 dynamic", any_contest=False)
    ignored = {**q.W4A16, "ignore": ["lm_head", "re:.*layers.0.*"]}
    yield Case(
        "good-some-layers-ignored", "", _quantised(ignored), scheme="W4A16 g64", any_contest=False
    )
    odd = {**q.GPTQ, "group_size": 16}
    yield Case("good-odd-group", "", _quantised(odd), "KERNEL_GROUP_SIZE", any_contest=False)
    kept = {"tie_word_embeddings": False}
    by_name = q.config_groups(
        "pack-quantized",
        ["Linear", "lm_head"],
        weights=q.W4A16["config_groups"]["group_0"]["weights"],
    )
    yield Case(
        "good-untied-quantised-head",
        "",
        _quantised(by_name, **kept),
        scheme="W4A16 g64",
        any_contest=False,
    )
