"""Reads the matrices of a folder of safetensors as numbers, whatever they are stored as. Only the rows that are
asked for are read.

Everything comes from a team. Dimensions follow from the tensors' own, which the checker has compared with the
config; a shape that is stored as data has to agree with them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

_LAYER = re.compile(r"(.*\.layers\.)(\d+)(\..*)")
_ENDS = (".weight", ".weight_packed", ".qweight")
_FP4 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
_AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)  # where AWQ's kernel finds the eight values of a word


class Weights:
    """The matrices of a folder, by module name."""

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        self._files: list[Any] = [
            safe_open(str(file), "pt") for file in sorted(folder.glob("*.safetensors"))
        ]
        self._where: dict[str, Any] = {name: file for file in self._files for name in file.keys()}  # noqa: SIM118
        self._by_kind: dict[str, list[str]] = defaultdict(list)
        for module in self.modules():
            self._by_kind[_kind(module)].append(module)

    def __enter__(self) -> Weights:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.__exit__(None, None, None)

    def modules(self) -> list[str]:
        """Return the names of all matrices, readable or not."""
        return [
            name.rpartition(".")[0]
            for name in sorted(self._where)
            if name.endswith(_ENDS) and len(self._shape(name)) == 2
        ]

    def namesakes(self, module: str) -> list[str]:
        """Return the module itself first, then the same module in every other layer."""
        others = [other for other in self._by_kind[_kind(module)] if other != module]
        return [module, *others] if module in self._by_kind[_kind(module)] else others

    def shape(self, module: str) -> tuple[int, int] | None:
        """Return rows and columns; None if the matrix is stored in a way that is not known."""
        if self._has(module, "qweight"):
            rows = self._shape(f"{module}.scales")[1]
            inputs = self._shape(f"{module}.qweight")[0]
            return rows, inputs if self._is_awq(module) else inputs * self._per_word(module)
        if name := self._fp4(module):
            rows, pairs = self._shape(name)
            return rows, 2 * pairs
        if self._has(module, "weight_packed"):
            layout = self._layout(module)
            return (self._shape(f"{module}.weight_packed")[0], layout[1]) if layout else None
        rows, columns = self._shape(f"{module}.weight")
        return rows, columns

    def rows(self, module: str, most: int) -> Any:
        """Return the first rows, at most so many, dequantized to float32, but for a factor of the matrix."""
        shape = self.shape(module)
        assert shape is not None, "for the caller to know"
        n = min(most, shape[0])
        if self._has(module, "qweight"):
            return self._awq(module, n) if self._is_awq(module) else self._gptq(module, n)
        if name := self._fp4(module):
            values = _fp4_values(self._first(name, n))
        elif self._has(module, "weight_packed"):
            values = self._unpacked(module, n, shape)
        else:
            values = self._first(f"{module}.weight", n).float()
            if self._has(module, "weight_zero_point"):
                points = self._first(f"{module}.weight_zero_point", n)
                values = values - points.float().reshape(-1, 1)
        for suffix in ("weight_scale", "weight_scale_inv"):
            if self._has(module, suffix):
                values = values * _spread(self._whole(f"{module}.{suffix}"), shape)[:n]
        return values

    def _gptq(self, module: str, n: int) -> Any:
        """GPTQ: packed along the inputs, zero points stored less one."""
        per_word = self._per_word(module)
        bits = 32 // per_word
        packed = self._files_slice(f"{module}.qweight")[:, :n]
        values = _fields(packed.T.contiguous(), bits)  # outputs × inputs
        zeros = _fields(self._whole(f"{module}.qzeros"), bits)[:, :n].T + 1
        scales = self._whole(f"{module}.scales")[:, :n].T.float()
        return _grouped(values, zeros, scales)

    def _awq(self, module: str, n: int) -> Any:
        """AWQ: packed along the outputs, eight values of a word in the order of its kernel."""
        words = -(-n // 8)
        packed = self._files_slice(f"{module}.qweight")[:, :words]
        values = _awq_values(packed).T[:n]
        zeros = _awq_values(self._whole(f"{module}.qzeros")[:, :words]).T[:n]
        scales = self._whole(f"{module}.scales")[:, :n].T.float()
        return _grouped(values, zeros, scales)

    def _is_awq(self, module: str) -> bool:
        return self._shape(f"{module}.qweight")[1] != self._shape(f"{module}.scales")[1]

    def _per_word(self, module: str) -> int:
        return self._shape(f"{module}.scales")[1] // self._shape(f"{module}.qzeros")[1]

    def _fp4(self, module: str) -> str:
        """Return the name of the tensor with pairs of 4-bit floats, of MXFP4 and NVFP4; empty for others."""
        for suffix in ("weight_packed", "weight"):
            name = f"{module}.{suffix}"
            if name in self._where and self._dtype(name) == "U8":
                return name
        return ""

    def _layout(self, module: str) -> tuple[int, int, bool] | None:
        """Return bits, columns and whether values cross from word to word."""
        if not self._has(module, "weight_shape"):
            return None
        rows, columns = self._whole(f"{module}.weight_shape").tolist()
        held, words = self._shape(f"{module}.weight_packed")
        if rows != held or not 0 < columns <= 32 * words:
            return None
        for bits in range(2, 9):
            if words == -(-columns * bits // 32):
                return bits, columns, True
        for bits in (3, 5, 6):  # older tools leave the rest of each word empty
            if words == -(-columns // (32 // bits)):
                return bits, columns, False
        return None

    def _unpacked(self, module: str, n: int, shape: tuple[int, int]) -> Any:
        layout = self._layout(module)
        assert layout is not None, "for the caller to know"
        bits, columns, crosses = layout
        values = _unpack(self._first(f"{module}.weight_packed", n), bits, columns, crosses)
        if self._has(module, "weight_zero_point"):
            words = self._whole(f"{module}.weight_zero_point").T.contiguous()
            points = _unpack(words, bits, shape[0], crosses).T[:n]  # packed along the rows
            values = (
                values
                - points.repeat_interleave(-(-columns // points.shape[1]), dim=1)[:, :columns]
            )
        return values

    def _has(self, module: str, suffix: str) -> bool:
        return f"{module}.{suffix}" in self._where

    def _files_slice(self, name: str) -> Any:
        return self._where[name].get_slice(name)

    def _shape(self, name: str) -> list[int]:
        shape: list[int] = self._files_slice(name).get_shape()
        return shape

    def _dtype(self, name: str) -> str:
        return str(self._files_slice(name).get_dtype())

    def _first(self, name: str, n: int) -> Any:
        part = self._files_slice(name)
        return part[:n] if part.get_shape() else self._whole(name)

    def _whole(self, name: str) -> Any:
        return self._where[name].get_tensor(name)


def _kind(module: str) -> str:
    """Return the module's name without the number of its layer."""
    return _LAYER.sub(r"\1*\3", module)


def _fields(words: Any, bits: int) -> Any:
    """Return the fields of ``bits`` in each 32-bit word along the last axis, lowest first, as floats."""
    import torch

    shifts = torch.arange(32 // bits, dtype=torch.int32) * bits
    fields = (words.unsqueeze(-1) >> shifts) & (2**bits - 1)
    return fields.flatten(-2).float()


def _unpack(words: Any, bits: int, count: int, crosses: bool) -> Any:
    """Return signed values of ``bits``, ``count`` a row; with ``crosses`` a value may lie in two words."""
    import torch

    if not crosses or 32 % bits == 0:
        return _fields(words, bits)[:, :count] - 2 ** (bits - 1)
    each = (words.unsqueeze(-1) >> torch.arange(32, dtype=torch.int32)) & 1
    each = each.flatten(-2)[:, : count * bits].reshape(words.shape[0], count, bits)
    powers = 2.0 ** torch.arange(bits)
    return (each.float() * powers).sum(-1) - 2 ** (bits - 1)


def _awq_values(words: Any) -> Any:
    import torch

    fields = _fields(words, 4).unflatten(-1, (-1, 8))
    return fields[..., torch.tensor(_AWQ_ORDER)].flatten(-2)


def _grouped(values: Any, zeros: Any, scales: Any) -> Any:
    """Apply zero points and scales with one column for each group of inputs."""
    columns, groups = values.shape[1], scales.shape[1]
    each = -(-columns // groups)
    if columns % groups:  # the last group is cut off: sizes are powers of two
        each = 1 << (columns // groups).bit_length()
    spread = [one.repeat_interleave(each, dim=1)[:, :columns] for one in (zeros, scales)]
    return (values - spread[0]) * spread[1]


def _fp4_values(pairs: Any) -> Any:
    """Two 4-bit floats a byte, the lower half first: a sign and one of eight magnitudes."""
    import torch

    table = torch.tensor([*_FP4, *(-value for value in _FP4)])
    halves = torch.stack((pairs & 15, pairs >> 4), dim=-1).flatten(-2)
    return table[halves.long()]


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
