"""A contest's base model in W8A8, rounded to nearest with numpy alone: a real checkpoint, made fast."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import numpy as np

from grader.gallery.quantised import W8A8
from grader.gallery.tiny import Raw, safetensors


def w8a8(base: Path) -> dict[str, bytes]:
    """Write config and weights: int8 per output channel in every linear layer except ``lm_head``."""
    data = (base / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    tensors: dict[str, Raw] = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        raw = Raw(entry["dtype"], tuple(entry["shape"]), data[start:end])
        if name.endswith("_proj.weight"):
            tensors |= _rounded(name, raw)
        else:
            tensors[name] = raw
    config = json.loads((base / "config.json").read_text("utf-8")) | {"quantization_config": W8A8}
    return {"config.json": json.dumps(config).encode(), "model.safetensors": safetensors(tensors)}


def archive(path: Path, files: dict[str, bytes]) -> Path:
    """An uncompressed zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def _rounded(name: str, raw: Raw) -> dict[str, Raw]:
    weights = (np.frombuffer(raw.data, "<u2").astype(np.uint32) << 16).view(np.float32)
    weights = weights.reshape(raw.shape)
    scale = _bfloat16(np.abs(weights).max(axis=1, keepdims=True) / 127)
    exact = (scale.astype(np.uint32) << 16).view(np.float32)
    rounded = np.clip(np.rint(weights / exact), -128, 127).astype(np.int8)
    return {
        name: Raw("I8", raw.shape, rounded.tobytes()),
        f"{name}_scale": Raw("BF16", (raw.shape[0], 1), scale.tobytes()),
    }


def _bfloat16(values: np.ndarray) -> np.ndarray:
    """Return the upper halves of float32, rounded up so that the largest weight still fits."""
    return ((values.astype(np.float32).view(np.uint32) + 0xFFFF) >> 16).astype("<u2")
