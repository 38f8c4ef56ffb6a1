"""Maps each tensor dimension to a config key, so that a table can also be computed for narrower models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from grader.checkpoint.finding import refuse

_SIZE = re.compile(r"(?:_size|_dim|_rank|_heads|_experts)$")

_HIDDEN, _VOCAB, _HEAD = ("hidden_size",), ("vocab_size",), ("head_dim",)
_QUERIES, _KEYS = ("queries",), ("keys",)
_INNER = ("intermediate_size", "moe_intermediate_size", "shared_expert_intermediate_size")
_GATED = ("gate and up", "gate and up of an expert")
# Last part of a layer's name -> keys for its rows and columns; the first match is used. If two keys have the
# same value in the base model, the name decides.
_BY_NAME: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "q_proj": (_QUERIES, _HIDDEN),
    "k_proj": (_KEYS, _HIDDEN),
    "v_proj": (_KEYS, _HIDDEN),
    "o_proj": (_HIDDEN, _QUERIES),
    "qkv_proj": (("queries, keys and values",), _HIDDEN),
    "gate_proj": (_INNER, _HIDDEN),
    "up_proj": (_INNER, _HIDDEN),
    "gate_up_proj": (_GATED, _HIDDEN),
    "down_proj": (_HIDDEN, _INNER),
    "q_norm": ((*_HEAD, *_QUERIES),),
    "k_norm": ((*_HEAD, *_KEYS),),
    "embed_tokens": (_VOCAB, _HIDDEN),
    "lm_head": (_VOCAB, _HIDDEN),
}


def measures(config: Mapping[str, Any]) -> dict[str, int]:
    """Return every width that a config states, and those derived from several of its keys."""
    found = {k: v for k, v in config.items() if type(v) is int and v > 0 and _SIZE.search(k)}
    heads, hidden = found.get("num_attention_heads", 0), found.get("hidden_size", 0)
    if heads:
        head = found.setdefault("head_dim", hidden // heads)
        queries, keys = heads * head, (found.get("num_key_value_heads") or heads) * head
        found |= {"queries": queries, "keys": keys, "queries, keys and values": queries + 2 * keys}
    found["gate and up"] = 2 * found.get("intermediate_size", 0)
    found["gate and up of an expert"] = 2 * found.get("moe_intermediate_size", 0)
    if "kv_lora_rank" in found:  # multi-head latent attention
        rope, plain = found.get("qk_rope_head_dim", 0), found.get("qk_nope_head_dim", 0)
        value = found.get("v_head_dim", 0)
        found |= {
            "latent queries": heads * (plain + rope),
            "latent keys": found["kv_lora_rank"] + rope,
            "latent keys and values": heads * (plain + value),
            "latent values": heads * value,
        }
    return {name: value for name, value in found.items() if value}


def resize(
    name: str, shape: tuple[int, ...], base: Mapping[str, int], new: Mapping[str, int]
) -> tuple[int, ...]:
    """Return the shape of a base model tensor under another config, each given by its :func:`measures`.

    Raises:
        Refused: CONFIG_WIDTH, a dimension matches no key, or several keys that differ.
    """
    layer = name.removesuffix(".weight").removesuffix(".bias").rpartition(".")[2]
    by_name = _BY_NAME.get(layer, (_HIDDEN,) if "norm" in layer else ())
    resized = []
    for axis, length in enumerate(shape):
        keys = [key for key, value in base.items() if value == length]
        if length == 1 and not keys:
            resized.append(1)
            continue
        preferred = by_name[axis] if len(by_name) >= len(shape) else ()
        keys = [key for key in preferred if key in keys][:1] or keys
        lengths = {new.get(key) for key in keys}
        if len(lengths) != 1 or None in lengths:
            raise refuse(
                "CONFIG_WIDTH", name, f"{list(shape)}: {length} = {', '.join(keys) or '?'}"
            )
        resized.append(new[keys[0]])
    return tuple(resized)
