"""Checks that weights derive from the base model's, by the cosine of dequantized samples, balanced for scaling.

Smoothing and AWQ multiply a layer's rows and columns by constants and divide a neighbor's by the same; only
the matrix up to such a scaling is preserved. Both samples are therefore balanced first: rows and columns are
normalized in turn, which gives the same result for every scaling of a matrix (Sinkhorn and Knopp, 1967, on
squares).
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

TENSORS, ROWS = 64, 64
_LAYER = re.compile(r"(.*\.layers\.)(\d+)(\..*)")


def cosine(candidate: Path, base: Path, enough: float) -> tuple[float, int] | None:
    """Return the median cosine over sampled matrices and their number; None if none can be compared.

    A layer whose similarity to its counterpart is below ``enough`` is also compared with the base model's other
    layers, and the best one counts, because layers shift when others are removed. Matrices of different widths
    and unsupported formats (GPTQ, AWQ, MXFP4, NVFP4, integers of 3, 5, 6 or 7 bits) are left out.
    """
    import torch

    threads = torch.get_num_threads()
    # Small matrices: more threads would only wait for each other, next to two engines
    torch.set_num_threads(1)
    with _Weights(candidate) as own, _Weights(base) as known:
        modules = [m for m in own.modules() if own.shape(m) is not None]
        chosen = modules[:: max(1, -(-len(modules) // TENSORS))]
        found = [best for m in chosen if (best := _best(own, known, m, enough)) is not None]
    torch.set_num_threads(threads)
    return (statistics.median(found), len(found)) if found else None


def _best(own: _Weights, known: _Weights, module: str, enough: float) -> float | None:
    best = None
    for other in known.namesakes(module):
        if known.shape(other) != own.shape(module):
            continue
        value = _cosine(own.rows(module), known.rows(other))
        best = value if best is None else max(best, value)
        if best >= enough:
            break
    return best


def _cosine(own: Any, base: Any) -> float:
    a, b = _balanced(own).flatten(), _balanced(base).flatten()
    return float(a @ b / (a.norm() * b.norm()).clamp_min(1e-12))


def _balanced(matrix: Any) -> Any:
    for _ in range(10):
        matrix = matrix / matrix.norm(dim=1, keepdim=True).clamp_min(1e-12)
        matrix = matrix / matrix.norm(dim=0, keepdim=True).clamp_min(1e-12)
    return matrix


class _Weights:
    """The matrices of a folder of safetensors, by module name. Only sampled rows are read."""

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        self._files: list[Any] = [
            safe_open(str(file), "pt") for file in sorted(folder.glob("*.safetensors"))
        ]
        self._where: dict[str, Any] = {name: file for file in self._files for name in file.keys()}  # noqa: SIM118
        self._by_kind: dict[str, list[str]] = defaultdict(list)
        for module in self.modules():
            self._by_kind[_kind(module)].append(module)

    def __enter__(self) -> _Weights:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.__exit__(None, None, None)

    def modules(self) -> list[str]:
        ends = (".weight", ".weight_packed")
        return [n.rpartition(".")[0] for n in sorted(self._where) if n.endswith(ends)]

    def namesakes(self, module: str) -> list[str]:
        """Return the module itself first, then the same module in every other layer."""
        others = [other for other in self._by_kind[_kind(module)] if other != module]
        return [module, *others] if module in self._by_kind[_kind(module)] else others

    def shape(self, module: str) -> tuple[int, int] | None:
        """Return rows and columns; None if it is not a matrix, or packed in an unsupported way."""
        if f"{module}.weight_packed" in self._where:
            return self._packed_shape(module)
        shape = self._shape(f"{module}.weight")
        return (shape[0], shape[1]) if len(shape) == 2 else None

    def rows(self, module: str) -> Any:
        """Return the first rows, dequantized to float32."""
        import torch
        from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

        shape = self.shape(module)
        assert shape is not None
        n, columns = min(ROWS, shape[0]), shape[1]
        if packed := self._first(f"{module}.weight_packed", n):
            bits = _bits(packed[0].shape[1], columns)
            values = unpack_from_int32(packed[0], bits, torch.Size((n, columns))).float()
            if f"{module}.weight_zero_point" in self._where:
                points = self._whole(f"{module}.weight_zero_point")
                size = torch.Size((shape[0], points.shape[1]))
                points = unpack_from_int32(points, bits, size, packed_dim=0)[:n].float()
                values = values - points.repeat_interleave(columns // points.shape[1], dim=1)
        else:
            values = self._first(f"{module}.weight", n)[0].float()
            if points := self._first(f"{module}.weight_zero_point", n):
                values = values - points[0].float().reshape(-1, 1)
        for name in (f"{module}.weight_scale", f"{module}.weight_scale_inv"):
            if name in self._where:
                values = values * _spread(self._whole(name), shape)[:n]
        return values

    def _packed_shape(self, module: str) -> tuple[int, int] | None:
        if f"{module}.weight_shape" not in self._where:
            return None  # MXFP4, NVFP4
        # From the team, so not trusted
        rows, columns = self._whole(f"{module}.weight_shape").tolist()
        words = self._shape(f"{module}.weight_packed")[1]
        return (rows, columns) if columns > 0 and _bits(words, columns) in (2, 4, 8) else None

    def _shape(self, name: str) -> list[int]:
        shape: list[int] = self._where[name].get_slice(name).get_shape()
        return shape

    def _first(self, name: str, n: int) -> list[Any]:
        """Return a list with the first ``n`` rows of a tensor, or an empty list if there is no such tensor."""
        if name not in self._where:
            return []
        part = self._where[name].get_slice(name)
        return [part[:n] if part.get_shape() else self._whole(name)]

    def _whole(self, name: str) -> Any:
        return self._where[name].get_tensor(name)


def _kind(module: str) -> str:
    """Return the module's name without the number of its layer."""
    return _LAYER.sub(r"\1*\3", module)


def _bits(words: int, columns: int) -> int:
    """Return the bits per value if ``words`` of 32 bits hold a row. Odd widths are packed in more than one
    way."""
    return round(32 * words / columns)


def _spread(scale: Any, shape: tuple[int, int]) -> Any:
    """Expand the scale of a tensor, its rows, groups of columns, or blocks to every row and column."""
    import torch

    # Microscaling stores the exponent of a power of two.
    scale = torch.exp2(scale.float() - 127) if scale.dtype == torch.uint8 else scale.float()
    if scale.ndim == 4:  # ModelOpt's blocks
        scale = scale[:, 0, :, 0]
    scale = scale.reshape(-1, 1) if scale.ndim < 2 else scale
    for dimension, length in enumerate(shape):
        each, rest = divmod(length, scale.shape[dimension])
        if rest:  # the last block is cut off
            each = 1 << each.bit_length()
        scale = scale.repeat_interleave(each, dim=dimension).narrow(dimension, 0, length)
    return scale
