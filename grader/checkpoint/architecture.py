"""The structure of a base model, read from its headers: the tensors of each layer and those outside the layers.

Layers with the same tensors are treated as one kind. Models whose first layers are dense and the rest are MoE,
or whose attention alternates between layers, therefore need no handwritten table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from grader.checkpoint.engine_layers import EngineLayers, engine_layers
from grader.checkpoint.finding import refuse
from grader.checkpoint.quantization.schemes import FLOATS, Expected
from grader.checkpoint.strictjson import Json
from grader.checkpoint.widths import measures, resize
from grader.protocol.documents import Tensor

HEAD = "lm_head"
_INDEXED = re.compile(r"(.+?\.)(\d+)\.(.+)")
_EMBEDDING = re.compile(
    r"(?:.+\.)?(?:embed_tokens|wte|word_embeddings|tok_embeddings|embed_in)\.weight"
)
# Derived from the config. Some tools save them, but no engine needs them.
_BUFFERS = re.compile(r".*\.(?:rotary_emb\.inv_freq|attn\.bias|attn\.masked_bias)")

Shapes = Mapping[str, Expected]


@dataclass(frozen=True, slots=True)
class Embedding:
    """The input embedding: its name, (rows, columns), and whether the head shares its weights."""

    name: str
    size: tuple[int, int]
    tied: bool


class Linears(Mapping[str, tuple[int, int]]):
    """A linear layer's (rows, columns), which are its (outputs, inputs). ``engine`` says how they are run.

    ``stacked`` names the layers whose experts are stored in one tensor each.
    """

    def __init__(
        self,
        sizes: Mapping[str, tuple[int, int]],
        engine: EngineLayers,
        stacked: tuple[str, ...] = (),
        embedding: Embedding | None = None,
    ) -> None:
        self._sizes = sizes
        self.embedding = embedding
        self.engine = engine
        self.stacked = stacked

    def __getitem__(self, layer: str) -> tuple[int, int]:
        return self._sizes[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """The tensors of one checkpoint before quantization.

    Attributes:
        linears: layers that may be quantized, including ``lm_head`` unless it is tied.
        others: everything else by its full name: embeddings, norms, biases, routers.
        embedding: the tensor of the input embedding.
        tied: whether the head is the embedding.
    """

    linears: Linears
    others: Shapes
    embedding: str
    tied: bool


@dataclass(frozen=True, slots=True, eq=False)
class Architecture:
    """A base model. ``layers`` maps name suffixes to tensors for each layer; ``outside`` holds all other
    tensors.
    """

    name: str
    config: Json
    stem: str
    layers: tuple[Shapes, ...]
    outside: Shapes

    @classmethod
    def of(cls, config: Json, tensors: Iterable[Tensor]) -> Architecture:
        """Build the model from ``config`` and the tensors in its files.

        Raises:
            ValueError: the two do not match; the message says what is missing.
        """
        stems: dict[str, dict[int, dict[str, Expected]]] = {}
        outside: dict[str, Expected] = {}
        for tensor in tensors:
            floats = tensor.dtype in FLOATS
            dtypes = FLOATS if floats else frozenset({tensor.dtype})
            optional = _BUFFERS.fullmatch(tensor.name) is not None
            expected = Expected((tensor.shape,), dtypes, optional)
            if found := _INDEXED.fullmatch(tensor.name):
                layers = stems.setdefault(found[1], {})
                layers.setdefault(int(found[2]), {})[found[3]] = expected
            else:
                outside[tensor.name] = expected
        count = config.get("num_hidden_layers")
        stem = max(stems, key=lambda name: len(stems[name]), default="")
        if type(count) is not int or not stem or set(range(count)) - stems[stem].keys():
            have = f"{len(stems.get(stem, ()))} layers below {stem!r}"
            raise ValueError(f"num_hidden_layers is {count}, and its tensors are of {have}")
        if not any(map(_EMBEDDING.fullmatch, outside)):
            raise ValueError("no tensor of an input embedding")
        for other, layers in stems.items():
            for index, parts in layers.items():
                # Other towers, and layers for multi-token prediction
                if other != stem or index >= count:
                    named = {f"{other}{index}.{rest}": e for rest, e in parts.items()}
                    outside |= {n: Expected(e.shapes, e.dtypes, True) for n, e in named.items()}
        name = str((config.get("architectures") or [""])[0])
        return cls(name, config, stem, tuple(stems[stem][i] for i in range(count)), outside)

    def decoder(self, config: Json) -> Decoder:
        """Return the tensors of a checkpoint with this checked config. The result is shared; do not modify it.

        Raises:
            Refused: CONFIG_LAYER_KIND, CONFIG_WIDTH.
        """
        count = config["num_hidden_layers"]
        keys = per_layer_keys(self.config)
        lists = tuple((key, tuple(config.get(key) or self.config[key][:count])) for key in keys)
        tied = config.get("tie_word_embeddings")
        if not isinstance(tied, bool):  # then the base model decides: it is tied if it has no head
            tied = f"{HEAD}.weight" not in self.outside
        widths = tuple(measures(config).items())
        return _decoder(self, count, lists, widths, tied)


def per_layer_keys(config: Mapping[str, Any]) -> list[str]:
    """Return keys with one value per layer, such as ``layer_types``."""
    return [key for key in config if is_per_layer(key, config)]


def is_per_layer(key: str, config: Mapping[str, Any]) -> bool:
    """Return whether ``config`` has one value per layer under this key."""
    value = config.get(key)
    return (
        "layer" in key
        and isinstance(value, list)
        and len(value) == config.get("num_hidden_layers")
        and all(isinstance(item, str | int | float) for item in value)
    )


@lru_cache(maxsize=64)
def _decoder(
    base: Architecture,
    count: int,
    lists: tuple[tuple[str, tuple[Any, ...]], ...],
    widths: tuple[tuple[str, int], ...],
    tied: bool,
) -> Decoder:
    engine = engine_layers(base.name)
    old, new = measures(base.config), dict(widths)
    sized = _Resized(old, new) if old != new else None
    sizes: dict[str, tuple[int, int]] = {}
    others: dict[str, Expected] = {}
    stacked: dict[str, None] = {}
    kinds: dict[int, tuple[dict[str, tuple[int, int]], Shapes]] = {}  # by the layer that matches
    for index, source in enumerate(_sources(base, engine, count, dict(lists))):
        if source not in kinds:
            kinds[source] = _split(base.layers[source], engine, sized)
        linear, rest = kinds[source]
        stem = f"{base.stem}{index}."
        sizes |= {stem + name: size for name, size in linear.items()}
        others |= {stem + name: expected for name, expected in rest.items()}
        experts = (name.partition(".experts.") for name, e in rest.items() if len(e.shapes[0]) == 3)
        stacked |= {f"{stem}{before}.experts": None for before, dot, _ in experts if dot}
    for name, expected in base.outside.items():
        others[name] = sized(name, expected) if sized and not expected.optional else expected
    embedding = next(filter(_EMBEDDING.fullmatch, base.outside))
    head = others[embedding]
    stored = others.pop(f"{HEAD}.weight", None)
    if tied:
        others[f"{HEAD}.weight"] = Expected(head.shapes, head.dtypes, optional=True)
    elif HEAD in engine.dense:
        others[f"{HEAD}.weight"] = head
    elif stored or not _has_head_of_another_name(base, embedding):
        sizes[HEAD] = (head.shapes[0][0], head.shapes[0][1])
    rows, columns = head.shapes[0]
    named = Embedding(embedding.removesuffix(".weight"), (rows, columns), tied)
    return Decoder(Linears(sizes, engine, tuple(stacked), named), others, embedding, tied)


def _has_head_of_another_name(base: Architecture, embedding: str) -> bool:
    """Output layers such as ``output``, which are never quantized; a base model without one is tied."""
    shapes = [e.shapes[0] for name, e in base.outside.items() if name != embedding]
    return base.outside[embedding].shapes[0] in shapes


class _Resized:
    """The base model's tensors, resized to a checkpoint's widths."""

    def __init__(self, base: Mapping[str, int], new: Mapping[str, int]) -> None:
        self._base, self._new = base, new

    def __call__(self, name: str, expected: Expected) -> Expected:
        shape = resize(name, expected.shapes[0], self._base, self._new)
        return Expected((shape,), expected.dtypes, expected.optional)


def _split(
    layer: Shapes, engine: EngineLayers, sized: _Resized | None
) -> tuple[dict[str, tuple[int, int]], Shapes]:
    """Return one layer's (linear layers the engine may quantize, attention first; all other tensors)."""
    linear: dict[str, tuple[int, int]] = {}
    others: dict[str, Expected] = {}
    for name, expected in sorted(layer.items(), key=lambda item: "attn" not in item[0]):
        expected = sized(name, expected) if sized else expected  # noqa: PLW2901
        stem, shape = name.removesuffix(".weight"), expected.shapes[0]
        leaf = stem.rpartition(".")[2]
        is_float = expected.dtypes is FLOATS
        if stem != name and len(shape) == 2 and is_float and leaf not in engine.dense:
            linear[stem] = (shape[0], shape[1])
        else:
            others[name] = expected
    return linear, others


def _sources(
    base: Architecture, engine: EngineLayers, count: int, lists: Mapping[str, tuple[Any, ...]]
) -> list[int]:
    """For each layer of a checkpoint, find a base model layer with the same tensors.

    The engine builds a layer from the config's per-layer lists, or from its index if it reads none.
    """
    if all(layer == base.layers[0] for layer in base.layers):
        return [0] * count
    keys = [key for key in lists if key in engine.reads]
    by_kind: dict[tuple[Any, ...], int] = {}
    for index, layer in enumerate(base.layers):
        first = by_kind.setdefault(tuple(base.config[key][index] for key in keys), index)
        if base.layers[first] != layer:
            return list(range(count))
    sources = []
    for index in range(count):
        kind = tuple(lists[key][index] for key in keys)
        if kind not in by_kind:
            detail = f"{index}: {', '.join(map(str, kind))}"
            raise refuse("CONFIG_LAYER_KIND", ", ".join(keys), detail)
        sources.append(by_kind[kind])
    return sources
