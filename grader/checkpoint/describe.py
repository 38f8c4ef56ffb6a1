"""Describes a checkpoint in words and as groups of bytes, from its config and headers alone, without judging
it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from grader.checkpoint.architecture import Decoder, Linears
from grader.checkpoint.config import Shape
from grader.checkpoint.dense import ROUTERS, SIDE, dense_shapes, linears_of, parameters_of
from grader.checkpoint.finding import Refused
from grader.checkpoint.quantization.compressed_tensors import read_groups
from grader.checkpoint.quantization.plan import Plan, read_plan
from grader.checkpoint.quantization.schemes import FLOATS
from grader.checkpoint.strictjson import Json
from grader.checkpoint.tensors import decoder_parameters
from grader.contest import CheckpointRules
from grader.protocol.documents import Tensor

# Any method the checker knows, whether or not a contest allows it.
_ANY = CheckpointRules((), (), ("compressed-tensors", "gptq", "awq", "fp8"), "ignore", "ignore")

_UNREAD = (".g_idx", "_g_idx", ".k_scale", ".v_scale")

GROUP_SIZES = (128, 64, 32)

# Names of the parts of a checkpoint: (English, Korean), in forward-pass order.
PARTS = {
    "embedding": ("embedding", "임베딩"),
    "attention": ("attention", "어텐션"),
    "mlp": ("MLP", "MLP"),
    "norms": ("norms", "정규화"),
    "head": ("output head", "출력 헤드"),
    "scales": ("scales", "스케일"),
    "other": ("other", "기타"),
}

# (English, Korean)
SAVINGS = {
    "duplicate_head": (
        "lm_head.weight is a second copy of the tied embedding; leave it out",
        "lm_head.weight는 공유 임베딩의 복사본이므로 빼 주세요",
    ),
    "float32": (
        "32-bit tensors; save them as bfloat16, because the engine computes in 16 bits",
        "32비트 텐서입니다. 엔진은 16비트로 계산하므로 bfloat16으로 저장해 주세요",
    ),
    "unread": (
        "tensors that the engine does not read (g_idx, KV cache scales)",
        "엔진이 읽지 않는 텐서입니다(g_idx, KV 캐시 scale)",
    ),
    "dense_8bit": (
        "linear layers in 16 bits; 8-bit weights would save about half",
        "16비트 선형 레이어입니다. 8비트로 저장하면 약 절반을 줄일 수 있습니다",
    ),
    "dense_4bit": (
        "linear layers in 16 bits; 4-bit weights in groups of {group_size} would save about three quarters",
        "16비트 선형 레이어입니다. 그룹 크기 {group_size}의 4비트로 저장하면 약 4분의 3을 줄일 수 있습니다",
    ),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A group of tensors; ``name`` is a key of :data:`PARTS`."""

    name: str
    size_bytes: int
    tensors: int
    dtypes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Saving:
    """Bytes that could still be saved. ``name`` is a key of :data:`SAVINGS`.

    Attributes:
        free: saves bytes without changing any answer; otherwise accuracy has to be measured.
        group_size: weights per scale, where the saving is counted with groups.
    """

    name: str
    size_bytes: int
    tensors: int
    free: bool
    group_size: int = 0

    def words(self, language: str) -> str:
        text = SAVINGS[self.name][language.startswith("ko")]
        return text.format(group_size=self.group_size)


@dataclass(frozen=True, slots=True)
class Description:
    """The description of a checkpoint.

    Attributes:
        scheme: quantization in words (``W4A16 g128``), or the dtype.
        shape: None if the config does not have a decoder's sizes.
        parameters: number in the model, however stored; 0 if no tensor is known.
        dense_bytes: the model's size in 16 bits; 0 if no tensor is known.
        quantised_layers, linear_layers: how many layers are quantized, out of how many; 0 if unknown.
    """

    architecture: str
    scheme: str
    shape: Shape | None
    parameters: int
    dense_bytes: int
    quantised_layers: int
    linear_layers: int
    data_bytes: int
    parts: tuple[Part, ...] = field(default=())
    savings: tuple[Saving, ...] = field(default=())

    def sentence(self, language: str) -> str:
        """Describe the config in one sentence."""
        return (_korean if language.startswith("ko") else _english)(self)


def describe(config: Json, tensors: Iterable[Tensor]) -> Description:
    """Describe any decoder checkpoint. Fields the config does not determine stay empty; nothing is refused."""
    found = tuple(tensors)
    tied = config.get("tie_word_embeddings") is True
    return replace(outline(config, found), parts=parts(found), savings=savings(found, tied=tied))


def outline(config: Json, found: Collection[Tensor], decoder: Decoder | None = None) -> Description:
    """Return what the sentence needs, without ``parts`` and ``savings``, which take as long as checking the
    header.

    ``decoder`` is the checker's model of the checkpoint; without it, the tensors are used.
    """
    architecture = _architecture(config)
    if decoder:
        linears, parameters = decoder.linears, decoder_parameters(decoder)
    else:
        shapes = dense_shapes(config, found)
        linears, parameters = linears_of(architecture, shapes), parameters_of(shapes)
    plan = Plan({})
    scheme = Plan({}).words(str(config.get("dtype") or config.get("torch_dtype") or ""))
    if quantization := config.get("quantization_config"):
        plan, scheme = _quantisation(quantization, linears, {t.name for t in found})
    return Description(
        architecture=architecture,
        scheme=scheme or "?",
        shape=_shape(config),
        parameters=parameters,
        dense_bytes=2 * parameters,
        quantised_layers=len(plan.schemes),
        linear_layers=len(linears),
        data_bytes=sum(tensor.size_bytes for tensor in found),
    )


def parts(tensors: Iterable[Tensor]) -> tuple[Part, ...]:
    """Return where the bytes go, in the order of :data:`PARTS`, without empty parts."""
    members: dict[str, list[Tensor]] = {name: [] for name in PARTS}
    for tensor in tensors:
        members[part_of(tensor.name)].append(tensor)
    return tuple(
        Part(name, sum(t.size_bytes for t in of), len(of), tuple(sorted({t.dtype for t in of})))
        for name, of in members.items()
        if of
    )


def part_of(name: str) -> str:
    """Return the part a tensor belongs to, by its name."""
    if name.endswith(SIDE):
        return "scales"
    if "embed_tokens" in name:
        return "embedding"
    if name.startswith("lm_head."):
        return "head"
    if "norm" in name:
        return "norms"
    if ".self_attn." in name:
        return "attention"
    return "mlp" if ".mlp." in name else "other"


def savings(tensors: Iterable[Tensor], tied: bool) -> tuple[Saving, ...]:
    """Return what could still be saved, free savings first."""
    found = tuple(tensors)
    head = [t for t in found if t.name == "lm_head.weight" and tied]
    unread = [t for t in found if t.name.endswith(_UNREAD)]
    layers = [t for t in found if t.name.split(".")[-2:][0] not in ROUTERS]
    wide = [t for t in layers if t.dtype == "F32" and t not in head and t not in unread]
    dense = [t for t in layers if _is_dense_linear(t)]
    counted = (
        ("duplicate_head", head, 1.0, True),
        ("float32", wide, 0.5, True),
        ("unread", unread, 1.0, True),
        ("dense_8bit", dense, 0.5, False),
    )
    saved = [
        Saving(name, int(share * sum(_sixteen(t, name) for t in of)), len(of), free)
        for name, of, share, free in counted
        if of
    ]
    if size := largest_group(found):
        share = 1 - (4 + 16 / size) / 16
        size_bytes = int(share * sum(_sixteen(t, "dense_4bit") for t in dense))
        saved.append(Saving("dense_4bit", size_bytes, len(dense), False, size))
    return tuple(saved)


def largest_group(tensors: Iterable[Tensor]) -> int:
    """The largest group size in use that divides the rows of every dense linear layer; 0 if none does."""
    columns = {tensor.shape[1] for tensor in tensors if _is_dense_linear(tensor)}
    fitting = (n for n in GROUP_SIZES if columns and not any(width % n for width in columns))
    return next(fitting, 0)


def _quantisation(config: object, linears: Linears, held: Collection[str]) -> tuple[Plan, str]:
    """Return the plan (empty if the checker would refuse it) and the scheme in words."""
    if not isinstance(config, dict):
        return Plan({}), "?"
    with suppress(Refused):
        if words := (plan := read_plan(config, _ANY, linears, held)).words(""):
            return plan, words
    with suppress(Refused):  # unknown architecture: apply the groups wherever they match
        groups = read_groups(config).groups
        return Plan({}), " + ".join(dict.fromkeys(group.scheme.words for group in groups))
    return Plan({}), str(config.get("quant_method") or "?")[:40]


def _sixteen(tensor: Tensor, saving: str) -> int:
    """Bytes a saving is computed from: ``float32`` already halves a dense 32-bit layer."""
    halved = saving.startswith("dense") and tensor.dtype == "F32"
    return tensor.size_bytes // 2 if halved else tensor.size_bytes


def _is_dense_linear(tensor: Tensor) -> bool:
    return (
        part_of(tensor.name) in ("attention", "mlp")
        and tensor.name.endswith(".weight")
        and len(tensor.shape) == 2
        and tensor.dtype in FLOATS
    )


def _architecture(config: Json) -> str:
    listed = config.get("architectures")
    first = listed[0] if isinstance(listed, list) and listed else ""
    return first if isinstance(first, str) else ""


def _shape(config: Json) -> Shape | None:
    wanted = (
        "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size",
    )  # fmt: skip
    optional = ("num_key_value_heads", "head_dim")
    sizes = [config.get(key) for key in wanted]
    sizes += [config[key] for key in optional if config.get(key) is not None]
    if not all(type(size) is int and 0 < size < 1 << 31 for size in sizes):
        return None
    # a table of a million layers is of no use
    return Shape.of(config) if config["num_hidden_layers"] <= 1000 else None


def _english(found: Description) -> str:
    shape = found.shape
    if shape is None:
        return f"{found.architecture or 'Unknown architecture'}, {found.scheme}"
    words = (
        f"{found.architecture}: {shape.layers} layers, {shape.hidden:,} wide, MLP {shape.intermediate:,}, "
        f"{shape.heads} heads and {shape.kv_heads} KV heads of {shape.head_dim}, "
        f"vocabulary {shape.vocab:,}, {'tied' if shape.tied else 'untied'} embedding"
    )
    if found.parameters:
        words += f"; {found.parameters:,} parameters"
    words += f"; {found.scheme}"
    if found.quantised_layers:
        words += f" in {found.quantised_layers} of {found.linear_layers} linear layers"
    return words


def _korean(found: Description) -> str:
    shape = found.shape
    if shape is None:
        return f"{found.architecture or '알 수 없는 아키텍처'}, {found.scheme}"
    words = (
        f"{found.architecture}: 레이어 {shape.layers}개, 폭 {shape.hidden:,}, MLP {shape.intermediate:,}, "
        f"헤드 {shape.heads}개와 KV 헤드 {shape.kv_heads}개(각 {shape.head_dim}), "
        f"어휘 {shape.vocab:,}개, 임베딩 {'공유' if shape.tied else '비공유'}"
    )
    if found.parameters:
        words += f"; 파라미터 {found.parameters:,}개"
    if found.quantised_layers:
        return f"{words}; 선형 레이어 {found.linear_layers}개 중 {found.quantised_layers}개가 {found.scheme}"
    return f"{words}; {found.scheme}"
