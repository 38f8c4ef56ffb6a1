"""``quantization_config`` of compressed-tensors: its schema, and the scheme that vLLM selects for each layer.

Sources: ``QuantizationArgs``, ``QuantizationScheme`` and ``QuantizationConfig`` of compressed-tensors 0.19;
``CompressedTensorsConfig._get_scheme_from_parts`` of vLLM 0.32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from grader.checkpoint.finding import display, refuse
from grader.checkpoint.quantization import patterns
from grader.checkpoint.quantization.fields import Fields
from grader.checkpoint.quantization.reading import WHERE
from grader.checkpoint.quantization.schemes import Layout, Scheme
from grader.checkpoint.strictjson import Json

_CONFIG_KEYS = frozenset({
    "config_groups", "format", "global_compression_ratio", "ignore", "kv_cache_scheme", "quant_method",
    "quantization_status", "sparsity_config", "transform_config", "version",
})  # fmt: skip
_GROUP_KEYS = frozenset({"targets", "weights", "input_activations", "output_activations", "format"})
_ARGS_KEYS = frozenset({
    "num_bits", "type", "symmetric", "group_size", "strategy", "block_structure", "dynamic", "actorder",
    "scale_dtype", "zp_dtype", "observer", "observer_kwargs",
})  # fmt: skip
_FORMATS = frozenset({
    "dense", "pack-quantized", "int-quantized", "float-quantized", "naive-quantized", "mixed-precision",
    "mxfp4-pack-quantized", "mxfp8-quantized", "nvfp4-pack-quantized",
})  # fmt: skip
_SPARSE_FORMATS = frozenset({"sparse-bitmask", "sparse-24-bitmask", "marlin-24"})
_STORED_FORMATS = frozenset({"int-quantized", "float-quantized", "naive-quantized"})
# Not written again: nothing in the engine depends on them, or the contest sets it.
_DROPPED = frozenset({"kv_cache_scheme", "sparsity_config"})
_MAX_GROUPS = 16


@dataclass(frozen=True, slots=True)
class _Args:
    """One ``QuantizationArgs``: how weights or activations are quantized."""

    bits: int
    kind: str
    strategy: str
    symmetric: bool
    group_size: int
    block: tuple[int, int]
    dynamic: bool
    scale_dtype: str
    actorder: str


@dataclass(frozen=True, slots=True)
class Group:
    """Targets that share a scheme."""

    targets: tuple[str, ...]
    scheme: Scheme


@dataclass(frozen=True, slots=True)
class Groups:
    """A config's groups in the engine's order of precedence, and its ignored layers.

    Attributes:
        config: what the engine gets.
        unread: keys that the engine does not read.
        has_attention: whether there were groups for attention, which are left out.
    """

    groups: tuple[Group, ...]
    ignore: tuple[str, ...]
    config: Json
    unread: tuple[str, ...] = ()
    has_attention: bool = False


def read_groups(config: Json) -> Groups:
    """Read the groups of a config, and write it again for the engine.

    Raises:
        Refused: QUANT_SYNTAX, QUANT_RANGE, QUANT_PATTERN, QUANT_UNSUPPORTED, QUANT_ACTORDER or QUANT_SPARSITY.
    """
    unread: list[str] = []
    fields = Fields(config, WHERE, _CONFIG_KEYS, unread)
    formats = fields.choice("format", _FORMATS | _SPARSE_FORMATS, "dense")
    _refuse_sparsity(fields.table("sparsity_config"), formats)
    if fields.table("transform_config"):
        raise refuse("QUANT_UNSUPPORTED", f"{WHERE}.transform_config")
    fields.choice(
        "quantization_status", {"compressed", "frozen", "initialized", "calibration"}, "compressed"
    )
    ignore = fields.patterns("ignore")
    groups = fields.table("config_groups")
    if len(groups) > _MAX_GROUPS:
        raise refuse("QUANT_RANGE", f"{WHERE}.config_groups", f"{len(groups)} > {_MAX_GROUPS}")
    found: list[Group] = []
    written: Json = {}
    for name, value in groups.items():
        where = f"{WHERE}.config_groups.{name}"
        if _is_for_attention(value):
            continue
        found.append(_group(value, where, formats, unread))
        written[name] = {key: value[key] for key in value if key in _GROUP_KEYS}
    expressions = sum(
        p.startswith("re:") for p in (*ignore, *(t for g in found for t in g.targets))
    )
    if expressions > patterns.MAX_EXPRESSIONS:
        raise refuse("QUANT_PATTERN", WHERE, f"{expressions} > {patterns.MAX_EXPRESSIONS}")
    canonical = {k: v for k, v in config.items() if k in _CONFIG_KEYS and k not in _DROPPED}
    if "config_groups" in config:
        canonical["config_groups"] = written
    return Groups(tuple(found), ignore, canonical, tuple(unread), len(found) < len(groups))


def _refuse_sparsity(sparsity: Json, form: str) -> None:
    """Older llm-compressor wrote ``format: dense`` without targets beside everything; that does nothing."""
    stored = sparsity.get("format") or form
    if form in _SPARSE_FORMATS or sparsity.get("targets") or stored in _SPARSE_FORMATS:
        raise refuse("QUANT_SPARSITY", f"{WHERE}.sparsity_config.format", stored)


def _is_for_attention(value: Any) -> bool:
    """Whether a group has activations of attention to quantize and no weights; the engine skips it."""
    targets = value.get("targets") if isinstance(value, dict) else None
    if not isinstance(targets, list) or value.get("weights") or not targets:
        return False
    return all(
        isinstance(t, str) and t.lower().rstrip("$").endswith(("attention", "attn"))
        for t in targets
    )


def _group(value: Any, where: str, default_format: str, unread: list[str]) -> Group:
    fields = Fields(value, where, _GROUP_KEYS, unread)
    targets = fields.patterns("targets")
    if not targets:
        raise refuse("QUANT_RANGE", f"{where}.targets", "[]")
    if fields.table("output_activations"):
        raise refuse("QUANT_UNSUPPORTED", f"{where}.output_activations")
    weights = _args(fields.table("weights"), f"{where}.weights")
    inputs = _args(fields.table("input_activations"), f"{where}.input_activations")
    if weights is None:
        raise refuse("QUANT_UNSUPPORTED", f"{where}.weights", "null")
    form = fields.choice("format", _FORMATS | _SPARSE_FORMATS, default_format)
    if form in _SPARSE_FORMATS:
        raise refuse("QUANT_SPARSITY", f"{where}.format", form)
    if weights.actorder in ("group", "dynamic"):
        raise refuse("QUANT_ACTORDER", f"{where}.weights.actorder", weights.actorder)
    scheme = _scheme(weights, inputs, form)
    if scheme is None:
        raise refuse("QUANT_UNSUPPORTED", where, f"{form}: {_words(weights)} × {_words(inputs)}")
    return Group(targets, scheme)


def _args(value: Json, where: str) -> _Args | None:
    if not value:
        return None
    fields = Fields(value, where, _ARGS_KEYS)
    size = fields.integer("group_size", -1, 1 << 16, -1)
    if size == 0:
        raise refuse("QUANT_RANGE", f"{where}.group_size", 0)
    kind = fields.choice("type", {"int", "float"}, "int", any_case=True)
    bits = fields.integer("num_bits", 1, 16, 8)
    inferred = "group" if size > 0 else "channel" if value.get("group_size") == -1 else "tensor"
    strategies = {"tensor", "channel", "group", "block", "token", "tensor_group"}
    strategy = fields.choice("strategy", strategies, inferred, any_case=True)
    if (size > 0) != (strategy in ("group", "tensor_group")):
        raise refuse("QUANT_RANGE", f"{where}.group_size", f"{strategy}, group_size {size}")
    block = fields.block("block_structure")
    if (strategy == "block") != (block != (0, 0)):
        raise refuse("QUANT_RANGE", f"{where}.block_structure", strategy)
    fields.table("observer_kwargs")
    fields.text("observer")
    dynamic = value.get("dynamic", False)
    if dynamic not in (True, False, "local"):  # neither null nor an empty text is one
        raise refuse("QUANT_SYNTAX", f"{where}.dynamic", display(dynamic, 40) or '""')
    actorder = value.get("actorder")
    actorder = actorder.lower() if isinstance(actorder, str) else actorder
    if actorder not in (None, True, False, "group", "weight", "static", "dynamic"):
        raise refuse("QUANT_SYNTAX", f"{where}.actorder", display(actorder, 40) or '""')
    fields.dtype("zp_dtype")
    return _Args(
        bits=bits,
        kind=kind,
        strategy=strategy,
        symmetric=fields.boolean("symmetric", True),
        group_size=max(size, 0),
        block=block,
        dynamic=bool(dynamic),
        scale_dtype=fields.dtype("scale_dtype"),
        actorder="group" if actorder is True else actorder or "",
    )


def _scheme(weights: _Args, inputs: _Args | None, form: str) -> Scheme | None:
    """Find the scheme, testing in the engine's order. Returns ``None`` if the engine has none."""
    if weights.dynamic:
        return None
    group, whole = weights.strategy == "group", weights.strategy in ("tensor", "channel")
    if weights.kind == "float":
        if weights.bits == 4 and weights.strategy == "tensor_group" and weights.group_size == 16:
            fits = inputs is None or (inputs.bits == 4 and inputs.strategy == "tensor_group")
            return _make("nvfp4", weights, inputs) if fits and weights.symmetric else None
        micro = group and weights.group_size == 32 and weights.symmetric
        if micro and (weights.bits == 4 or (weights.bits == 8 and "uint8" in weights.scale_dtype)):
            return _make("mx", weights, inputs) if inputs is None or inputs.dynamic else None
        fits = weights.bits == 8 and weights.symmetric and (whole or weights.strategy == "block")
        if inputs is not None:
            static = (
                inputs.strategy == "tensor" and inputs.symmetric and weights.strategy != "block"
            )
            fits = (
                fits and inputs.kind == "float" and inputs.bits == 8 and (inputs.dynamic or static)
            )
        return _make("stored", weights, inputs) if fits and form in _STORED_FORMATS else None
    if inputs is None:
        fits = (
            form == "pack-quantized"
            and 2 <= weights.bits <= 8
            and weights.strategy in ("group", "channel")
        )
        return _make("pack", weights, None) if fits else None
    token = inputs.dynamic and inputs.strategy == "token"
    if form == "pack-quantized":
        by_row = weights.strategy in ("group", "channel") and 2 <= weights.bits <= 8
        fits = (
            by_row
            and token
            and inputs.symmetric
            and (inputs.kind == "float" or inputs.bits in (4, 8))
        )
        return _make("pack", weights, inputs) if fits else None
    if form not in _STORED_FORMATS or not weights.symmetric:
        return None
    if weights.bits == 8 and whole and inputs.bits == 8 and inputs.kind == "int":
        static = not inputs.dynamic and inputs.strategy == "tensor"
        return _make("stored", weights, inputs) if token or static else None
    four = weights.bits == 4 and weights.strategy in ("group", "channel") and inputs.bits == 8
    return _make("stored", weights, inputs) if four and token and inputs.kind == "int" else None


def _make(layout: Layout, weights: _Args, inputs: _Args | None) -> Scheme:
    scheme = Scheme(
        layout=layout,
        bits=weights.bits,
        kind="int" if weights.kind == "int" else "float",
        strategy="group" if weights.group_size else weights.strategy,
        group_size=weights.group_size,
        block=weights.block,
        symmetric=weights.symmetric,
    )
    if inputs is None:
        return scheme
    return replace(
        scheme,
        inputs="dynamic" if inputs.dynamic else "static",
        input_bits=inputs.bits,
        input_kind=inputs.kind,
        input_symmetric=inputs.symmetric,
    )


def _words(args: _Args | None) -> str:
    if args is None:
        return "-"
    size = f" {args.group_size}" if args.group_size else ""
    return f"{args.kind}{args.bits} {args.strategy}{size}{' dynamic' if args.dynamic else ''}"
