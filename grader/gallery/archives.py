"""Cases that are refused before a checkpoint is read: the archive itself and its entries."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from grader.gallery.case import Bench, Case
from grader.gallery.packing import Member, members, tar_bytes, tar_entry, zip_bytes

_WEIGHTS = "model.safetensors"


class _Payload:
    """Creates the marker if it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self._marker),))


def _zip_with(*extra: Member) -> Callable[[Bench], Path]:
    return lambda b: b.write("s.zip", zip_bytes([*members(b.files()), *extra]))


def _tar_with(*extra: tarfile.TarInfo) -> Callable[[Bench], Path]:
    return lambda b: b.write("s.tar", tar_bytes(b.files(), extra))


def _raw(data: bytes) -> Callable[[Bench], Path]:
    return lambda b: b.write("s.zip", data)


def _changed(
    change: Callable[[bytes], bytes], pack: Callable[[Bench], bytes]
) -> Callable[[Bench], Path]:
    return lambda b: b.write("s.bin", change(pack(b)))


def _zip(bench: Bench) -> bytes:
    return zip_bytes(members(bench.files()))


def _tar_gz(bench: Bench) -> bytes:
    return gzip.compress(tar_bytes(bench.files()), 1)


def _file(name: str, data: bytes = b"x") -> Callable[[Bench], Path]:
    return lambda b: b.with_file(name, data)


def _flip(data: bytes, at: float) -> bytes:
    place = int(len(data) * at)
    return data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]


def _bomb(bench: Bench) -> Path:
    """200 MB of zeros."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    chunk = bytes(1 << 20)
    packed = b"".join(deflater.compress(chunk) for _ in range(200)) + deflater.flush()
    crc = 0
    for _ in range(200):
        crc = zlib.crc32(chunk, crc)
    entry = Member(b"x.safetensors", packed, 0, crc=crc, size=200 << 20)
    data = bytearray(zip_bytes([entry]))
    for magic, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.index(magic) + offset
        data[at : at + 2] = b"\x08\x00"  # already deflated bytes
    return bench.write("s.zip", bytes(data))


def _gzip_bomb(name: str) -> Callable[[Bench], Path]:
    def build(bench: Bench) -> Path:
        info = tarfile.TarInfo(name)
        info.size = 200 << 20
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as file:
            file.write(info.tobuf())
            for _ in range(200):
                file.write(bytes(1 << 20))
        return bench.write("s.tgz", buffer.getvalue())

    return build


def _empty_members(bench: Bench) -> Path:
    return bench.write("s.tgz", gzip.compress(b"") * 300_000)


def _tiny_members(bench: Bench) -> Path:
    """Put each byte of a valid archive into its own gzip member."""
    members = [gzip.compress(bytes([value])) for value in range(256)]
    return bench.write("s.tgz", b"".join(members[value] for value in tar_bytes(bench.files())))


def _overlapping(bench: Bench) -> Path:
    """Give the same bytes many names."""
    kernel = Member(b"config.json", bytes(1 << 16))
    names = [
        Member(b"x%03d.safetensors" % k, bytes(1 << 16), at=0, local_name=b"config.json")
        for k in range(200)
    ]
    return bench.write("s.zip", zip_bytes([kernel, *names]))


def _quoted_overlap(bench: Bench) -> Path:
    """An entry whose data runs into the next local header."""
    inner = zip_bytes([Member(b"b.safetensors", bytes(100), 0)])
    data = inner[: inner.index(b"PK\x01\x02")]
    shift = 30 + len(b"a.safetensors")
    entries = [Member(b"a.safetensors", data, 0), Member(b"b.safetensors", bytes(100), 0, at=shift)]
    return bench.write("s.zip", zip_bytes(entries))


def _sparse(bench: Bench) -> Path:
    """A GNU sparse entry of 10 TB."""
    block = bytearray(tar_entry("config.json", b"S").tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"\x80" + (10 << 40).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bench.write("s.tar", bytes(block) + bytes(1024))


def _many(bench: Bench) -> Path:
    return bench.write("s.zip", zip_bytes(Member(b"%06d" % k, b"", 0) for k in range(100_000)))


def _many_tar(bench: Bench) -> Path:
    entries = b"".join(tarfile.TarInfo(f"{k:06d}").tobuf() for k in range(5_000))
    return bench.write("s.tgz", gzip.compress(entries + bytes(1024), 1))


def _two_models(bench: Bench) -> Path:
    files = bench.files()
    both = members(files, "a/") + members(files, "b/")
    return bench.write("s.zip", zip_bytes(both))


def _nested(bench: Bench) -> Path:
    return bench.zip({"model.zip": zip_bytes(members(bench.files()))})


def _without(*names: str) -> Callable[[Bench], Path]:
    return lambda b: b.zip({n: d for n, d in b.files().items() if n not in names})


def _renamed(name: str) -> Callable[[Bench], Path]:
    def build(bench: Bench) -> Path:
        files = bench.files()
        files[name] = files.pop(_WEIGHTS)
        return bench.zip(files)

    return build


def _pickle(name: str, beside: bool) -> Callable[[Bench], Path]:
    def build(bench: Bench) -> Path:
        files = bench.files()
        if not beside:
            del files[_WEIGHTS]
        return bench.zip(files | {name: pickle.dumps(_Payload(bench.marker))})

    return build


def _code(bench: Bench) -> Path:
    source = f"import os\nos.mkdir({str(bench.marker)!r})\n"
    return bench.with_file("modeling_x.py", source.encode())


def cases() -> Iterator[Case]:
    link = 0o120777
    yield Case("upload-empty", "UPLOAD_EMPTY", _raw(b""))
    for kind, data in {
        "html": b"<!DOCTYPE html><html><body>Not found</body></html>" * 9,
        "pdf": b"%PDF-1.7\n" + bytes(99),
        "elf": b"\x7fELF" + bytes(600),
        "text": b"model" * 300,
        "zeros": bytes(2048),
        "one-byte": b"P",
        "rar": b"Rar!\x1a\x07\x01\x00" + bytes(600),
    }.items():
        yield Case(f"not-an-archive-{kind}", "ARCHIVE_FORMAT", _raw(data))
    yield Case("gzip-of-no-tar", "ARCHIVE_FORMAT", _raw(gzip.compress(b"weights" * 500)))
    yield Case(
        "zip-cut-1-percent", "ARCHIVE_CORRUPT", _changed(lambda d: d[: len(d) * 99 // 100], _zip)
    )
    yield Case("zip-without-end", "ARCHIVE_CORRUPT", _changed(lambda d: d[:-22], _zip))
    yield Case("zip-flipped-byte", "ARCHIVE_CORRUPT", _changed(lambda d: _flip(d, 0.5), _zip))
    yield Case("zip-data-after-end", "ARCHIVE_CORRUPT", _changed(lambda d: d + b"more", _zip))
    yield Case("zip-second-archive-after-end", "ARCHIVE_CORRUPT", _changed(lambda d: d + d, _zip))
    yield Case(
        "tar-cut", "ARCHIVE_CORRUPT", lambda b: b.write("s.tar", tar_bytes(b.files())[:20_000])
    )
    yield Case(
        "tar-gz-cut", "ARCHIVE_CORRUPT", _changed(lambda d: d[: len(d) * 99 // 100], _tar_gz)
    )
    yield Case("tar-gz-flipped-byte", "ARCHIVE_CORRUPT", _changed(lambda d: _flip(d, 0.5), _tar_gz))
    yield Case(
        "tar-gz-flipped-checksum",
        "ARCHIVE_CORRUPT",
        _changed(lambda d: d[:-8] + bytes(4) + d[-4:], _tar_gz),
    )
    for name in (
        "../../evil",
        "a/../../b",
        "..\\..\\x",
        "/etc/x",
        "C:\\x",
        "C:x",
        "a\0b.json",
        "a\nb",
        "a\u202eb",
        "x" * 300,
        "model//config.json",
        "~\x7f",
        "a/./b",
        " config.json",
    ):
        shown = name.encode("unicode_escape").decode()[:24]
        yield Case(f"zip-name-{shown}", "ARCHIVE_PATH", _zip_with(Member(name.encode(), b"x", 0)))
    yield Case("zip-name-not-utf8", "ARCHIVE_PATH", _zip_with(Member(b"\xff\xfe.json", b"x", 0)))
    yield Case("tar-name-traversal", "ARCHIVE_PATH", _tar_with(tarfile.TarInfo("../../evil")))
    yield Case("tar-name-absolute", "ARCHIVE_PATH", _tar_with(tarfile.TarInfo("/etc/evil")))
    yield Case(
        "zip-symlink", "ARCHIVE_LINK", _zip_with(Member(b"x.json", b"/etc/passwd", 0, mode=link))
    )
    yield Case(
        "zip-symlink-inside",
        "ARCHIVE_LINK",
        _zip_with(Member(b"x.json", b"config.json", 0, mode=link)),
    )
    yield Case(
        "tar-symlink",
        "ARCHIVE_LINK",
        _tar_with(tar_entry("x.json", tarfile.SYMTYPE, "/etc/passwd")),
    )
    yield Case(
        "tar-symlink-inside",
        "ARCHIVE_LINK",
        _tar_with(tar_entry("x", tarfile.SYMTYPE, "config.json")),
    )
    yield Case(
        "tar-hardlink", "ARCHIVE_LINK", _tar_with(tar_entry("x", tarfile.LNKTYPE, "config.json"))
    )
    chain = [
        tar_entry("a" * 100 + f"/{k}", tarfile.SYMTYPE, "/".join([".."] * 40)) for k in range(16)
    ]
    yield Case("tar-symlink-chain", "ARCHIVE_LINK", _tar_with(*chain))
    for name, special in {
        "fifo": tarfile.FIFOTYPE,
        "char": tarfile.CHRTYPE,
        "block": tarfile.BLKTYPE,
    }.items():
        yield Case(f"tar-{name}", "ARCHIVE_SPECIAL_FILE", _tar_with(tar_entry("x", special)))
    yield Case("zip-fifo", "ARCHIVE_SPECIAL_FILE", _zip_with(Member(b"x", b"", 0, mode=0o010644)))
    yield Case("zip-bomb-ratio", "ARCHIVE_RATIO", _bomb)
    yield Case("gzip-very-many-empty-members", "ARCHIVE_UNSUPPORTED", _empty_members)
    yield Case("gzip-very-many-tiny-members", "ARCHIVE_UNSUPPORTED", _tiny_members)
    yield Case("tar-gz-bomb-ratio", "ARCHIVE_RATIO", _gzip_bomb("x.safetensors"))
    yield Case("tar-gz-bomb-of-junk", "ARCHIVE_RATIO", _gzip_bomb("__MACOSX/._x"))
    yield Case("zip-bomb-overlap", "ARCHIVE_OVERLAP", _overlapping)
    yield Case("zip-bomb-quoted-overlap", "ARCHIVE_OVERLAP", _quoted_overlap)
    yield Case("zip-in-zip", "LAYOUT_MISSING_CONFIG", _nested)
    for pair, second in {"same": "config.json", "case": "Config.JSON"}.items():
        yield Case(
            f"duplicate-{pair}",
            "ARCHIVE_DUPLICATE",
            _zip_with(Member(second.encode(), b"{}")),
        )
    forms = [Member(unicodedata.normalize(form, "é.md").encode()) for form in ("NFC", "NFD")]
    yield Case("duplicate-unicode-form", "ARCHIVE_DUPLICATE", _zip_with(*forms))
    yield Case("duplicate-in-tar", "ARCHIVE_DUPLICATE", _tar_with(tarfile.TarInfo("config.json")))
    yield Case("zip-100000-entries", "ARCHIVE_TOO_MANY_FILES", _many)
    yield Case("tar-5000-entries", "ARCHIVE_TOO_MANY_FILES", _many_tar)
    yield Case("zip-encrypted", "ARCHIVE_UNSUPPORTED", _zip_with(Member(b"x", b"x", 0, flags=1)))
    yield Case("zip-unknown-method", "ARCHIVE_UNSUPPORTED", _zip_with(Member(b"x", b"x", 99)))
    split = _changed(lambda d: d[:-18] + b"\1\0\1\0" + d[-14:], _zip)
    yield Case("zip-several-volumes", "ARCHIVE_UNSUPPORTED", split)
    yield Case(
        "zip-local-name-differs",
        "ARCHIVE_CORRUPT",
        _zip_with(Member(b"x.md", b"x", local_name=b"y.md")),
    )
    yield Case(
        "zip-local-size-differs", "ARCHIVE_CORRUPT", _zip_with(Member(b"x.md", b"x", local_size=9))
    )
    yield Case(
        "zip-declared-size-lies", "ARCHIVE_CORRUPT", _zip_with(Member(b"x.md", b"x" * 99, size=5))
    )
    yield Case(
        "zip-directory-lies-about-count",
        "ARCHIVE_CORRUPT",
        lambda b: b.write("s.zip", zip_bytes(members(b.files()), count=1)),
    )
    yield Case(
        "zip-declares-10-tb", "ARCHIVE_RATIO", _zip_with(Member(b"x.md", b"x", size=0xFFFF_FFFE))
    )
    yield Case("tar-sparse-10-tb", "ARCHIVE_TOO_LARGE", _sparse)
    yield Case("two-models", "LAYOUT_AMBIGUOUS", _two_models)
    yield Case("folder-in-folder", "LAYOUT_SUBFOLDER", lambda b: b.zip(b.files(), "submit/model/"))
    yield Case("folder-beside-config", "LAYOUT_SUBFOLDER", _file("original/notes.md"))

    yield Case("no-config", "LAYOUT_MISSING_CONFIG", _without("config.json"))
    yield Case("no-weights", "LAYOUT_NO_WEIGHTS", _without(_WEIGHTS))
    yield Case(
        "pickle-beside-weights",
        "LAYOUT_FORBIDDEN_FILE",
        _pickle("pytorch_model.bin", True),
        marker=True,
    )
    for name in (
        "pytorch_model.bin",
        "model.pt",
        "model.gguf",
        "model.pth",
        "weights.npz",
        "model.ckpt",
    ):
        yield Case(f"only-{name}", "LAYOUT_FORBIDDEN_FILE", _pickle(name, False), marker=True)
    yield Case("pickle-named-safetensors", "ST_HEADER", _pickle(_WEIGHTS, False), marker=True)
    yield Case("python-file", "LAYOUT_FORBIDDEN_FILE", _code, marker=True)
    for name in ("kernel.so", "site.pth", "rng_state_0.PTH", "run.sh"):
        yield Case(f"code-{name}", "LAYOUT_FORBIDDEN_FILE", _file(name))
    yield Case("mistral-format", "LAYOUT_FORBIDDEN_FILE", _file("params.json", b"{}"))
    yield Case(
        "consolidated-weights", "LAYOUT_FORBIDDEN_FILE", _renamed("consolidated.safetensors")
    )
    yield Case("lora-config", "LAYOUT_FORBIDDEN_FILE", _file("adapter_config.json", b"{}"))
    yield Case("lora-weights", "LAYOUT_FORBIDDEN_FILE", _renamed("adapter_model.safetensors"))
    yield Case("weights-in-capitals", "LAYOUT_FORBIDDEN_FILE", _renamed("MODEL.SAFETENSORS"))
