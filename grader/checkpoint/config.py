"""Compares ``config.json`` with the base model's, key by key, and rewrites it from the allowed keys.

Different spellings of the same setting are equal: newer versions of transformers write
``dtype`` for ``torch_dtype``, ``rope_parameters`` for ``rope_theta`` and ``rope_scaling``, and defaults that
older versions omit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from grader.checkpoint.architecture import is_per_layer, per_layer_keys
from grader.checkpoint.finding import display, problem
from grader.checkpoint.strictjson import Json
from grader.contest import Contest
from grader.problems.catalogue import Problem

_REMOTE_CODE = frozenset({"auto_map", "custom_pipelines"})
_FORBIDDEN = frozenset({
    "trust_remote_code", "code_revision", "model_impl", "speculators_config", "speculators_model_type",
    "text_config", "vision_config", "audio_config", "llm_config", "thinker_config", "talker_config",
    "quantization_method", "compression_config", "kv_cache_quant_algo", "adapter_config", "peft_config",
    "base_model_name_or_path",
})  # fmt: skip
_FORBIDDEN_PARTS = ("attn_implementation", "experts_implementation")

# Sizes: positive and at most the base model's.
_SIZES = frozenset({
    "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads",
    "vocab_size", "max_position_embeddings", "head_dim",
})  # fmt: skip
_DTYPES = ("bfloat16", "float16", "float32")
_DTYPE_KEYS = ("dtype", "torch_dtype")
_ROPE_TABLES = ("rope_scaling", "rope_parameters")
_ROPE_KEYS = (*_ROPE_TABLES, "rope_theta")
# What transformers and Unsloth note for themselves.
_TOOL_KEYS = {"_attn_implementation_autoset": bool, "unsloth_version": str, "unsloth_fixed": bool}
_BOOKKEEPING = frozenset({"transformers_version", "_name_or_path", "use_cache"})

# Values that a config class fills in if the base model's file omits the key. Source: Exaone4Config and
# PreTrainedConfig of transformers 4.57 and 5.19.
_DEFAULTS: Json = {
    "attention_dropout": 0.0, "attention_bias": False, "mlp_bias": False, "hidden_act": "silu",
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-5, "sliding_window": None, "pretraining_tp": 1, "bos_token_id": 0, "eos_token_id": 2,
    "pad_token_id": None, "use_cache": True, "chunk_size_feed_forward": 0, "is_encoder_decoder": False,
    "output_attentions": False, "output_hidden_states": False, "return_dict": True, "problem_type": None,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1},
}  # fmt: skip
# No attention window: all ways to write "no pattern" are equal.
_NO_PATTERN = (None, 0, "")


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that determine the tensor table."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        return cls(
            layers=config["num_hidden_layers"],
            hidden=hidden,
            intermediate=config.get("intermediate_size") or 0,
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or hidden // heads,
            vocab=config["vocab_size"],
            tied=bool(config.get("tie_word_embeddings", False)),
        )


def find_config_problems(config: Json, base: Json, contest: Contest) -> list[Problem]:
    """Find what the contest does not allow in ``config``; ``base`` is the base model's config."""
    if problems := list(_forbidden(config)):
        return problems
    wanted = ([contest.base_model.architecture], base.get("model_type"))
    if (config.get("architectures"), config.get("model_type", wanted[1])) != wanted:
        found = f"{config.get('architectures')} {config.get('model_type', '')}"
        return [problem("CONFIG_ARCHITECTURE", "architectures", found)]
    rules = contest.checkpoint
    skipped = {
        "architectures",
        "model_type",
        "quantization_config",
        *rules.config_ignored,
        *_ROPE_KEYS,
    }
    for key, value in config.items():
        if key not in skipped and not _is_tool_key(key, value) and not _is_unset_dtype(key, config):
            problems += _key_problems(key, value, base, key in rules.config_may_differ)
    if "quantization_config" in config and "quantization_config" not in rules.config_may_differ:
        problems.append(problem("CONFIG_FIXED_KEY", "quantization_config"))
    own = base.get("quantization_config")
    if own and config.get("quantization_config") != own:
        # The tensors of a quantized base model are read as its config says, and no other way.
        method = (config.get("quantization_config") or {}).get("quant_method")
        problems.append(
            problem("CONFIG_FIXED_KEY", "quantization_config", f"{method} ≠ {own['quant_method']}")
        )
    if not set(_ROPE_KEYS).isdisjoint(config) and _rope(config) != _rope(base):
        where = next(key for key in _ROPE_KEYS if key in config)
        problems.append(problem("CONFIG_FIXED_KEY", where, f"{_rope(config)} ≠ {_rope(base)}"))
    return problems or _fit_problems(config, base, contest)


def find_config_notices(config: Json, base: Json, contest: Contest) -> list[Problem]:
    """Keys that are dropped even though they differ from the base model's."""
    ignored = set(contest.checkpoint.config_ignored) - _BOOKKEEPING
    differing = sorted(
        k for k in ignored & config.keys() if config[k] != base.get(k, _DEFAULTS.get(k))
    )
    differing += sorted(k for k, v in config.items() if _is_tool_key(k, v) and k not in base)
    return [problem("CONFIG_IGNORED", "config.json", ", ".join(differing))] if differing else []


def canonical_config(config: Json, base: Json, contest: Contest) -> Json:
    """Build the config to grade: the base model's with the allowed differences from ``config``.

    ``config`` must have no problems. ``quantization_config`` is copied unchanged; it has its own schema.
    """
    result = dict(base)
    for key in contest.checkpoint.config_may_differ:
        if config.get(key) is not None and key not in _DTYPE_KEYS:
            result[key] = config[key]
    dtype = next((config[key] for key in _DTYPE_KEYS if config.get(key)), None)
    if dtype and set(_DTYPE_KEYS) & set(contest.checkpoint.config_may_differ):
        result[next((key for key in _DTYPE_KEYS if key in base), "dtype")] = dtype
    if config.get("head_dim") is not None:
        result["head_dim"] = config["head_dim"]
    for key in per_layer_keys(base):
        result[key] = config.get(key) or base[key][: result["num_hidden_layers"]]
    return result


def _forbidden(value: Any, path: str = "") -> Iterator[Problem]:
    """Find keys at any depth that select code or another model. The JSON reader limits the depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            where = f"{path}.{key}" if path else key
            if key in _REMOTE_CODE:
                yield problem("CONFIG_REMOTE_CODE", where)
            elif path.startswith("quantization_config") and key == "kv_cache_quant_algo":
                continue  # ModelOpt's, judged with the rest of quantization_config
            elif _is_tool_key(key, item) and not path:
                continue
            elif key in _FORBIDDEN or any(part in key for part in _FORBIDDEN_PARTS):
                yield problem("CONFIG_FORBIDDEN_KEY", where)
            else:
                yield from _forbidden(item, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _forbidden(item, f"{path}[{index}]")


def _is_tool_key(key: str, value: Any) -> bool:
    """Whether a tool wrote the key for itself and no engine reads it."""
    return _TOOL_KEYS.get(key) is type(value)


def _is_unset_dtype(key: str, config: Json) -> bool:
    """``torch_dtype: null`` beside a ``dtype``, or the other way around: a renaming that was half done."""
    other = any(config.get(name) is not None for name in _DTYPE_KEYS)
    return key in _DTYPE_KEYS and config[key] is None and other


def _key_problems(key: str, value: Any, base: Json, may_differ: bool) -> list[Problem]:
    expected = _base_value(key, base)
    if expected is _UNKNOWN and not may_differ:
        return [problem("CONFIG_UNKNOWN_KEY", key, display(value, 60))]
    if key in _SIZES:
        return _size_problems(key, value, expected, may_differ)
    if key in _DTYPE_KEYS:
        fits = value in _DTYPES
        return (
            []
            if fits
            else [problem("CONFIG_RANGE", key, f"{display(value, 40)} ∉ {', '.join(_DTYPES)}")]
        )
    if key == "layer_types" or is_per_layer(key, base):
        return _per_layer_problems(key, value, base)
    if key == "tie_word_embeddings" and not isinstance(value, bool):
        return [problem("CONFIG_TYPE", key, display(value, 40))]
    if _equal(value, expected) or (may_differ and (value is None or expected is _UNKNOWN)):
        return []
    no_window = base.get("sliding_window") is None and value in _NO_PATTERN
    if key == "sliding_window_pattern" and no_window:
        return []
    if expected is not None and type(value) is not type(expected):
        return [problem("CONFIG_TYPE", key, f"{display(value, 40)}, {type(expected).__name__}")]
    if may_differ:
        return []
    return [problem("CONFIG_FIXED_KEY", key, f"{display(value, 60)} ≠ {display(expected, 60)}")]


def _size_problems(key: str, value: Any, expected: Any, may_differ: bool) -> list[Problem]:
    if key == "head_dim" and value is None:
        return []
    if type(value) is not int or value < 1:
        return [problem("CONFIG_TYPE", key, display(value, 40))]
    if type(expected) is int and value > expected:
        return [problem("CONFIG_RANGE", key, f"{display(value, 40)} > {expected}")]
    if value != expected and not may_differ:
        return [problem("CONFIG_FIXED_KEY", key, f"{value} ≠ {display(expected, 40)}")]
    return []


def _per_layer_problems(key: str, value: Any, base: Json) -> list[Problem]:
    known = base.get(key) or ["full_attention"]
    if value is None:
        return []
    if not isinstance(value, list) or any(type(item) is not type(known[0]) for item in value):
        return [problem("CONFIG_TYPE", key, display(value, 60))]
    if strange := sorted(set(value) - set(known)):
        allowed = ", ".join(map(str, sorted(set(known))))
        return [problem("CONFIG_RANGE", key, f"{display(strange, 60)} ∉ {allowed}")]
    return []


def _fit_problems(config: Json, base: Json, contest: Contest) -> list[Problem]:
    """Find values that are valid individually but not in combination."""
    problems = []
    merged = base | {key: value for key, value in config.items() if value is not None}
    hidden, heads = merged["hidden_size"], merged["num_attention_heads"]
    kv_heads = merged.get("num_key_value_heads") or heads
    if not merged.get("head_dim") and hidden % heads:
        detail = f"hidden_size {hidden}, num_attention_heads {heads}"
        problems.append(problem("CONFIG_INCONSISTENT", "num_attention_heads", detail))
    if kv_heads > heads or heads % kv_heads:
        detail = f"num_attention_heads {heads}, num_key_value_heads {kv_heads}"
        problems.append(problem("CONFIG_INCONSISTENT", "num_key_value_heads", detail))
    layers = merged["num_hidden_layers"]
    for key in dict.fromkeys(("layer_types", *per_layer_keys(base))):
        own, kinds = config.get(key), base.get(key) or ()
        if isinstance(own, list) and len(own) != layers:
            problems.append(problem("CONFIG_LAYER_TYPES", key, f"{len(own)} ≠ {layers}"))
        elif own is None and layers < len(kinds) and len(set(kinds)) > 1:
            problems.append(problem("CONFIG_LAYER_TYPES", key, f"0 ≠ {layers}"))
    positions = merged.get("max_position_embeddings", contest.engine.max_model_len)
    if positions < contest.engine.max_model_len:
        detail = f"{positions} < {contest.engine.max_model_len}"
        problems.append(problem("CONFIG_RANGE", "max_position_embeddings", detail))
    if len({config[key] for key in _DTYPE_KEYS if config.get(key)}) > 1:
        problems.append(problem("CONFIG_INCONSISTENT", "dtype", "dtype ≠ torch_dtype"))
    return problems


_UNKNOWN = object()


def _base_value(key: str, base: Json) -> Any:
    """The base model's value for a key, from its file or its config class's default."""
    if key in base:
        return base[key]
    if key in _DTYPE_KEYS:
        return next((base[k] for k in _DTYPE_KEYS if k in base), "bfloat16")
    if key == "head_dim":
        return base["hidden_size"] // base["num_attention_heads"]
    if key == "sliding_window_pattern" and base.get("sliding_window") is None:
        return None
    if key == "layer_types":
        return None
    return _DEFAULTS.get(key, _UNKNOWN)


def _rope(config: Json) -> Json:
    """Convert rotary parameters to one spelling. Contradictory spellings never equal a base model's."""
    tables = ({"rope_theta": config.get("rope_theta")}, *(config.get(k) for k in _ROPE_TABLES))
    merged: Json = {"rope_type": "default"}
    for table in tables:
        if table is None:
            continue
        if not isinstance(table, dict):
            merged["invalid"] = table
            continue
        for key, value in table.items():
            name = "rope_type" if key == "type" else key
            if name != "rope_type" and merged.get(name, value) != value:
                merged[f"{name} again"] = merged[name]
            if value is not None:
                merged[name] = value
    return merged


def _equal(left: Any, right: Any) -> bool:
    """Compare as JSON does: ``1`` equals neither ``true`` nor ``"1"``."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)
