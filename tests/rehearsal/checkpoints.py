"""Contest ``aimers8`` on a CPU, and checkpoints of its base model's real size whose weights are a hole.

The header is true, every tensor in its place; the data takes no room on the disk until somebody copies it.
"""

from __future__ import annotations

import json
import math
import re
import struct
import tarfile
from pathlib import Path

from grader import contest as rules

HARDWARE = '[hardware]\nname = "CPU"\n\n'
PHASES = """[[phases]]
id = "online"
title = { en = "Online", ko = "온라인" }
start = 2020-01-01T00:00:00+09:00
end = 2100-01-01T00:00:00+09:00
"""


def contest_folder(folder: Path) -> Path:
    """The bundled contest's files with other hardware and an open phase; returns its TOML file."""
    source = rules.find("aimers8")
    text = source.read_text("utf-8")
    text = re.sub(r"\[hardware\].*?(?=\n\[engine\])", HARDWARE, text, count=1, flags=re.DOTALL)
    text = re.sub(r"\[\[phases\]\].*", PHASES, text, count=1, flags=re.DOTALL)
    text = text.replace("every_hours = 24", "every_hours = 0")  # an A/A test starts real engines
    folder.mkdir(parents=True)
    for file in (source.parent / "aimers8").rglob("*"):
        if file.is_file():
            target = folder / "aimers8" / file.relative_to(source.parent / "aimers8")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    (folder / "contest.toml").write_text(text, "utf-8")
    return folder / "contest.toml"


def sparse_tar(contest: rules.Contest, target: Path, number: int) -> Path:
    """A tar of config.json and model.safetensors, which differs from others in its last weights."""
    config = (contest.base_folder / "config.json").read_bytes()
    header = _header(json.loads((contest.base_folder / "tensors.json").read_text())["tensors"])
    data_bytes = max(
        entry["data_offsets"][1] for entry in json.loads(header).values() if "data_offsets" in entry
    )
    start = struct.pack("<Q", len(header)) + header
    weights = tarfile.TarInfo("model.safetensors")
    weights.size = len(start) + data_bytes
    with target.open("wb") as file:
        member = tarfile.TarInfo("config.json")
        member.size = len(config)
        file.write(member.tobuf() + config + bytes(-len(config) % tarfile.BLOCKSIZE))
        file.write(weights.tobuf() + start)
        file.seek(data_bytes - 4, 1)
        file.write(struct.pack("<HH", 0x3F80, 0x3F80 + number))  # two weights near 1
        file.write(bytes(-weights.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE))
    return target


def _header(table: dict[str, str]) -> bytes:
    """``BF16 [2048, 512]`` of each tensor as a safetensors header."""
    header: dict[str, object] = {}
    at = 0
    for name, text in table.items():
        dtype, _, shape = text.partition(" ")
        dimensions = json.loads(shape)
        size = math.prod(dimensions) * {"BF16": 2, "F32": 4}[dtype]
        header[name] = {"dtype": dtype, "shape": dimensions, "data_offsets": [at, at + size]}
        at += size
    return json.dumps(header).encode()
