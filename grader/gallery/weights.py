"""Cases about the tensors: missing, extra, of the wrong shape or type, not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from grader.gallery.case import Bench, Case
from grader.gallery.tiny import Raw

Tensors = dict[str, Raw]

_NORM = "model.norm.weight"
_DOWN = "model.layers.1.mlp.down_proj"


def changed(change: Callable[[Tensors], object], **config: object) -> Callable[[Bench], Path]:
    """Write a checkpoint of the changed config whose tensors were changed in place."""
    return lambda b: b.with_weights(change, **config)


def without(name: str, **config: object) -> Callable[[Bench], Path]:
    return changed(lambda tensors: tensors.pop(name), **config)


def added(name: str, tensor: Raw, **config: object) -> Callable[[Bench], Path]:
    return changed(lambda tensors: tensors.update({name: tensor}), **config)


def reread(
    name: str, shape: tuple[int, ...], dtype: str, **config: object
) -> Callable[[Bench], Path]:
    """Store the same bytes of one tensor under another shape and type."""

    def change(tensors: Tensors) -> None:
        tensors[name] = Raw(dtype, shape, tensors[name].data)

    return changed(change, **config)


def filled(name: str, value: bytes) -> Callable[[Bench], Path]:
    """Fill one tensor with a value."""

    def change(tensors: Tensors) -> None:
        old = tensors[name]
        tensors[name] = Raw(old.dtype, old.shape, value * (len(old.data) // len(value)))

    return changed(change)


def _drop_layer(tensors: Tensors) -> None:
    for name in [name for name in tensors if name.startswith("model.layers.1.")]:
        del tensors[name]


def _renumber(name: str, old: int, new: int) -> str:
    return name.replace(f"model.layers.{old}.", f"model.layers.{new}.")


def _leave_gap(tensors: Tensors) -> None:
    """What pruning without numbering anew leaves: layers 0 and 2 of two."""
    for name in [name for name in tensors if name.startswith("model.layers.1.")]:
        tensors[_renumber(name, 1, 2)] = tensors.pop(name)


def _repeat_layer(tensors: Tensors) -> None:
    for name in [name for name in tensors if name.startswith("model.layers.1.")]:
        tensors[_renumber(name, 1, 2)] = tensors[name]


def _copy_embedding(tensors: Tensors) -> None:
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]


def cases() -> Iterator[Case]:
    def tiny(name: str, code: str, build: Callable[[Bench], Path], notice: str = "") -> Case:
        return Case(name, code, build, notice, any_contest=False)

    yield Case("nan", "WEIGHTS_NONFINITE", filled(_NORM, b"\xc0\x7f"), scan=True)
    yield Case("infinity", "WEIGHTS_NONFINITE", filled(_NORM, b"\x80\xff"), scan=True)
    yield Case("all-zero", "", filled(_NORM, b"\0\0"), notice="WEIGHTS_ZERO", scan=True)
    yield Case("missing-tensor", "WEIGHTS_MISSING", without(_NORM))
    yield Case("missing-layer", "WEIGHTS_MISSING", changed(_drop_layer))
    yield tiny("layers-with-a-gap", "WEIGHTS_LAYER_NUMBERS", changed(_leave_gap))
    yield tiny("layer-twice", "WEIGHTS_UNEXPECTED", changed(_repeat_layer))
    payload = Raw("U8", (1 << 20,), bytes(1 << 20))
    yield Case("hidden-payload", "WEIGHTS_UNEXPECTED", added("x.payload", payload))
    bias = Raw("BF16", (128,), bytes(256))
    yield Case("extra-bias", "WEIGHTS_UNEXPECTED", added(f"{_DOWN}.bias", bias))
    narrower = lambda b: b.with_config(intermediate_size=b.config()["intermediate_size"] // 2)  # noqa: E731
    yield Case("config-says-narrower", "WEIGHTS_SHAPE", narrower)

    yield tiny("transposed", "WEIGHTS_SHAPE", reread(f"{_DOWN}.weight", (256, 128), "BF16"))
    yield tiny("norm-as-matrix", "WEIGHTS_SHAPE", reread(_NORM, (128, 1), "BF16"))
    yield tiny("norm-as-integers", "WEIGHTS_DTYPE", reread(_NORM, (128,), "I16"))
    copy = added("lm_head.weight", Raw("BF16", (96, 128), b"\0<" * (96 * 128)))
    same = changed(_copy_embedding)
    for name, build, notice in (
        ("second-copy-of-embedding", same, "WEIGHTS_DUPLICATE_HEAD"),
        ("second-head-differs", copy, "WEIGHTS_HEAD_DIFFERS"),
    ):
        yield Case(name, "", build, notice, any_contest=False, scan=True)
    untied = lambda b: b.with_config(tie_word_embeddings=False)  # noqa: E731
    yield tiny("untied-without-head", "WEIGHTS_MISSING", untied)
