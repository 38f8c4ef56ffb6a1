"""Which layers the groups of compressed-tensors select, as the engine looks them up.

The tools select by the checkpoint's names and torch's classes; the engine by the names and classes of its own,
fused layers. Where the input embedding would be taken for another, the config for the engine is corrected.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from grader.checkpoint.architecture import HEAD, Embedding, Linears
from grader.checkpoint.finding import refuse
from grader.checkpoint.quantization import patterns
from grader.checkpoint.quantization.compressed_tensors import Group, Groups, read_groups
from grader.checkpoint.quantization.fused import EXPERTS, Unit, all_or_none, stacked_units, units
from grader.checkpoint.quantization.reading import Reading
from grader.checkpoint.quantization.schemes import Scheme
from grader.checkpoint.strictjson import Json

_EMBEDDING_CLASS = "VocabParallelEmbedding"
_NO_NAME = (
    "re:$"  # matches the empty name, under which some models have their embedding asked about
)
_EMBEDDING_BITS = (2, 4, 8)


def read_compressed(config: Json, linears: Linears, held: Collection[str]) -> Reading:
    read = read_groups(config)
    groups = tuple(replace(g, targets=_renamed(g.targets, linears)) for g in read.groups)
    ignore = _renamed(read.ignore, linears)

    def ignored(unit: Unit, part: str) -> bool:
        return _matches(ignore, (part,) if unit.class_name == EXPERTS else (unit.name, part))

    schemes: dict[str, Scheme] = {}
    for unit in units(linears):
        if not all_or_none(unit, [ignored(unit, part) for part in unit.parts]):
            scheme = _target(unit, groups)
            if scheme is not None:
                schemes |= dict.fromkeys(unit.layers, scheme)
    for unit in stacked_units(linears):
        if not all(ignored(unit, part) for part in unit.parts) and (found := _target(unit, groups)):
            raise refuse("QUANT_STACKED_EXPERTS", unit.name, found.words)
    if HEAD not in linears and (group := _by_name(HEAD, groups)) and not _matches(ignore, (HEAD,)):
        raise refuse("QUANT_LM_HEAD", HEAD, group.scheme.words)
    embedding, canonical = _embedding(replace(read, groups=groups, ignore=ignore), linears, held)
    return Reading(schemes, canonical, read.unread, embedding, read.has_attention)


def _renamed(names: tuple[str, ...], linears: Linears) -> tuple[str, ...]:
    """Layers listed by name are looked up under the engine's name; patterns and classes are not."""
    return tuple(
        name if name.startswith("re:") or "." not in name else linears.engine.name(name)
        for name in names
    )


def _target(unit: Unit, groups: tuple[Group, ...]) -> Scheme | None:
    """The engine's lookup order: the unit's own name, the names of its parts, its class."""
    by_part = [_by_name(part, groups) for part in unit.parts]
    if unit.class_name != EXPERTS and (own := _by_name(unit.name, groups)):
        if any(group and group.scheme != own.scheme for group in by_part):
            parts = " ≠ ".join(g.scheme.words if g else "-" for g in by_part)
            raise refuse("QUANT_FUSED", unit.name, f"{own.scheme.words}: {parts}")
        return own.scheme
    if all_or_none(unit, [group is not None for group in by_part]):
        schemes = {group.scheme for group in by_part if group}
        if len(schemes) > 1:
            raise refuse("QUANT_FUSED", unit.name, " ≠ ".join(sorted(s.words for s in schemes)))
        return schemes.pop()
    found = _by_class(unit.class_name, groups)
    return found.scheme if found else None


def _by_name(layer: str, groups: tuple[Group, ...]) -> Group | None:
    return next((g for g in groups if any(patterns.matches(t, layer) for t in g.targets)), None)


def _by_class(class_name: str, groups: tuple[Group, ...]) -> Group | None:
    for group in groups:
        for target in group.targets:
            if patterns.matches_class(target, class_name):
                return group
            if target == "Linear" and class_name == EXPERTS:
                return group
    return None


def _matches(ignore: tuple[str, ...], names: Collection[str]) -> bool:
    return any(patterns.matches(pattern, name) for pattern in ignore for name in names)


def _embedding(read: Groups, linears: Linears, held: Collection[str]) -> tuple[Scheme | None, Json]:
    """(the input embedding's scheme, the config that makes the engine see it so).

    Patterns hit it without being meant to, and many tools leave it in 16 bits all the same: its tensors tell.
    """
    embedding = linears.embedding
    if embedding is None or not linears.engine.embedding:
        return None, read.config
    own = linears.engine.name(embedding.name)
    asked = own if linears.engine.embedding == "named" else ""
    engine = _embedding_group(asked, read)
    if f"{embedding.name}.weight_packed" not in held:
        if engine is None:
            return None, read.config
        extra = embedding.name if asked else _NO_NAME
        given = read.config.get("ignore") or []
        return None, read.config | {"ignore": [*given, extra]}
    meant = _embedding_group(own, read)
    if meant is None:
        return None, read.config
    _refuse_embedding(embedding, meant.scheme)
    if engine is meant:
        return meant.scheme, read.config
    index = read.groups.index(meant)
    name = list(read.config["config_groups"])[index]
    group = read.config["config_groups"][name]
    changed = group | {"targets": [*group["targets"], _EMBEDDING_CLASS]}
    groups = read.config["config_groups"] | {name: changed}
    if engine is not None:
        raise refuse("QUANT_EMBEDDING", embedding.name, meant.scheme.words)
    return meant.scheme, read.config | {"config_groups": groups}


def _embedding_group(name: str, read: Groups) -> Group | None:
    if _matches(read.ignore, (name,)):
        return None
    return _by_name(name, read.groups) or _by_class(_EMBEDDING_CLASS, read.groups)


def _refuse_embedding(embedding: Embedding, scheme: Scheme) -> None:
    """The engine looks up packed, symmetric integers, and a tied head would find no weights."""
    fits = scheme.layout == "pack" and not scheme.inputs and scheme.symmetric
    if embedding.tied or not fits or scheme.bits not in _EMBEDDING_BITS:
        words = f"{scheme.words}{', tied' if embedding.tied else ''}"
        raise refuse("QUANT_EMBEDDING", embedding.name, words)
