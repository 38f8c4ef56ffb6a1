"""How one layer is stored: its quantization scheme, the scheme's name in words, and its tensors.

Names and shapes follow the compressors of compressed-tensors 0.17–0.19 and the parameters vLLM 0.32
creates; ``tests/grader/checkpoint/real_checkpoints.json`` contains headers written by the real tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FLOATS = frozenset({"BF16", "F16", "F32"})
MARLIN_GROUPS = (0, 32, 64, 128)  # 0: whole channels

Layout = Literal["dense", "pack", "stored", "mx", "nvfp4", "gptq", "awq", "fp8"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the engine expects under one tensor name.

    Attributes:
        shapes: accepted shapes; messages name the first.
        dtypes: accepted safetensors dtypes.
        optional: may be absent.
    """

    shapes: tuple[tuple[int, ...], ...]
    dtypes: frozenset[str]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Scheme:
    """Quantization of one linear layer.

    Attributes:
        layout: how values are laid out in tensors: ``pack`` (32-bit words), ``stored`` (one value per item),
            ...
        bits, kind: of a weight.
        strategy: what one scale covers: ``tensor``, ``channel``, ``group`` or ``block``.
        group_size: inputs per scale; 0 unless ``strategy`` is ``group``.
        block: rows and columns per scale; only for ``block``.
        inputs: activation quantization: ``""``, ``dynamic`` or ``static``.
        modelopt: names and shapes are ModelOpt's.
    """

    layout: Layout = "dense"
    bits: int = 16
    kind: Literal["int", "float"] = "float"
    strategy: str = "channel"
    group_size: int = 0
    block: tuple[int, int] = (0, 0)
    symmetric: bool = True
    inputs: Literal["", "dynamic", "static"] = ""
    input_bits: int = 16
    input_kind: str = "float"
    input_symmetric: bool = True
    modelopt: bool = False

    @property
    def words(self) -> str:
        """``W4A16 g128``, ``W8A8``, ``FP8 dynamic``, ``MXFP4``."""
        if self.layout in ("mx", "nvfp4"):
            name = f"{'NV' if self.layout == 'nvfp4' else 'MX'}FP{self.bits}"
            return name if self.inputs else f"{name}A16"
        if self.kind == "float":
            if self.strategy == "block":
                return "FP8 block"
            return f"FP8 {self.inputs}" if self.inputs else "FP8 A16"
        activations = (
            f"FP{self.input_bits}"
            if self.inputs and self.input_kind == "float"
            else self.input_bits
        )
        name = f"W{self.bits}A{activations}"
        name += f" g{self.group_size}" if self.group_size else ""
        return name if self.symmetric else f"{name} asym"

    def tensors(self, rows: int, columns: int) -> dict[str, Expected]:
        """Return the tensors of a linear layer with ``rows`` outputs and ``columns`` inputs, by suffix."""
        layouts = _MODELOPT if self.modelopt else _LAYOUTS
        return layouts[self.layout](self, rows, columns)


DENSE = Scheme()


def _one(shape: tuple[int, ...], *dtypes: str, optional: bool = False) -> Expected:
    return Expected((shape,), frozenset(dtypes), optional)


def _scalar(*dtypes: str) -> Expected:
    return Expected(((1,), ()), frozenset(dtypes))


def _up(value: int, divisor: int) -> int:
    return -(-value // divisor)


def _groups(scheme: Scheme, columns: int) -> int:
    return _up(columns, scheme.group_size) if scheme.group_size else 1


def _scale(scheme: Scheme, rows: int, columns: int, *dtypes: str) -> Expected:
    if scheme.strategy == "tensor":
        return _scalar(*dtypes)
    if scheme.strategy == "block":
        return _one((_up(rows, scheme.block[0]), _up(columns, scheme.block[1])), *dtypes)
    return _one((rows, _groups(scheme, columns)), *dtypes)


def _inputs(scheme: Scheme) -> dict[str, Expected]:
    if scheme.inputs != "static":
        return {}
    parts = {"input_scale": _scalar(*FLOATS)}
    if not scheme.input_symmetric:
        parts["input_zero_point"] = _scalar("I8")
    return parts


def _dense(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    return {"weight": _one((rows, columns), *FLOATS)}


def _pack(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    """Every 32 values in a row share ``bits`` words; zero points are packed along the rows."""
    parts = {
        "weight_packed": _one((rows, _up(columns * scheme.bits, 32)), "I32"),
        "weight_scale": _scale(scheme, rows, columns, *FLOATS),
        "weight_shape": _one((2,), "I64", "I32"),
    }
    if not scheme.symmetric:
        shape = (_up(rows * scheme.bits, 32), _groups(scheme, columns))
        parts["weight_zero_point"] = _one(shape, "I32")
    return parts | _inputs(scheme)


def _stored(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    dtype = "I8" if scheme.kind == "int" else "F8_E4M3"
    parts = {
        "weight": _one((rows, columns), dtype),
        "weight_scale": _scale(scheme, rows, columns, *FLOATS),
    }
    return parts | _inputs(scheme)


def _mx(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    """Microscaling: one power of two per 32 columns; two 4-bit values share a byte."""
    scale = {"weight_scale": _one((rows, _up(columns, 32)), "U8", "F8_E8M0")}
    if scheme.bits == 8:
        return {"weight": _one((rows, columns), "F8_E4M3"), **scale}
    return {"weight_packed": _one((rows, _up(columns, 2)), "U8"), **scale}


def _nvfp4(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    parts = {
        "weight_packed": _one((rows, _up(columns, 2)), "U8"),
        "weight_scale": _one((rows, _up(columns, 16)), "F8_E4M3"),
        "weight_global_scale": _scalar("F32"),
    }
    return parts | ({"input_global_scale": _scalar("F32")} if scheme.inputs else {})


def _gptq(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    """GPTQ packs along the inputs. Tools write ``g_idx``; the engine skips it."""
    per_word, groups = 32 // scheme.bits, _groups(scheme, columns)
    return {
        "qweight": _one((columns // per_word, rows), "I32"),
        "qzeros": _one((groups, rows // per_word), "I32"),
        "scales": _one((groups, rows), *FLOATS),
        "g_idx": _one((columns,), "I32", optional=True),
    }


def _awq(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    per_word, groups = 32 // scheme.bits, _groups(scheme, columns)
    return {
        "qweight": _one((columns, rows // per_word), "I32"),
        "qzeros": _one((groups, rows // per_word), "I32"),
        "scales": _one((groups, rows), *FLOATS),
    }


def _fp8(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    """Hugging Face's ``fp8`` method; block scales use DeepSeek's name."""
    name = "weight_scale_inv" if scheme.strategy == "block" else "weight_scale"
    parts = {
        "weight": _one((rows, columns), "F8_E4M3"),
        name: _scale(scheme, rows, columns, *FLOATS),
    }
    return parts | _inputs(scheme)


_LAYOUTS = {
    "dense": _dense, "pack": _pack, "stored": _stored, "mx": _mx, "nvfp4": _nvfp4,
    "gptq": _gptq, "awq": _awq, "fp8": _fp8,
}  # fmt: skip


def _modelopt_nvfp4(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    """Older exports of weights alone hold an ``input_scale``, which the engine drops."""
    input_scale = Expected(((), (1,)), frozenset({"F32"}), optional=not scheme.inputs)
    return {
        "weight": _one((rows, _up(columns, 2)), "U8"),
        "weight_scale": _one((rows, _up(columns, 16)), "F8_E4M3"),
        "weight_scale_2": _scalar("F32"),
        "input_scale": input_scale,
    }


def _modelopt_mx(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    scale = _one((rows, _up(columns, 32)), "U8")
    return {"weight": _one((rows, columns), "F8_E4M3"), "weight_scale": scale}


def _modelopt_fp8(scheme: Scheme, rows: int, columns: int) -> dict[str, Expected]:
    """Scales of rows without a second dimension, scales of blocks with four."""
    shape: tuple[int, ...] = (rows,)
    if scheme.strategy == "block":
        shape = (_up(rows, scheme.block[0]), 1, _up(columns, scheme.block[1]), 1)
    return {"weight": _one((rows, columns), "F8_E4M3"), "weight_scale": _one(shape, *FLOATS)}


_MODELOPT = {
    "fp8": _fp8,
    "nvfp4": _modelopt_nvfp4,
    "mx": _modelopt_mx,
    "stored": _modelopt_fp8,
}
