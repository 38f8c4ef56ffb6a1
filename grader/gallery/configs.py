"""Cases about ``config.json``: its text, its keys, its numbers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from grader.gallery import packing
from grader.gallery.case import Bench, Case

_EVIL = "import os\nos.mkdir({marker!r})\n"


def _text(text: bytes) -> Callable[[Bench], Path]:
    return lambda b: b.with_config_text(text)


def _config(**changes: object) -> Callable[[Bench], Path]:
    return lambda b: b.with_config(**changes)


def _spliced(text: bytes) -> Callable[[Bench], Path]:
    """Return the base config with raw text inserted before its first key."""
    return lambda b: b.with_config_text(b"{" + text + b"," + json.dumps(b.config()).encode()[1:])


def _auto_map(**changes: object) -> Callable[[Bench], Path]:
    """Request remote code, and include code in an ignored file that would create the marker."""

    def build(bench: Bench) -> Path:
        files = bench.files() | {"config.json": json.dumps(bench.config(**changes)).encode()}
        return bench.zip(files | {"README.md": _EVIL.format(marker=str(bench.marker)).encode()})

    return build


def _large(bench: Bench) -> Path:
    """Far more than a parser should handle, in an archive that the contest allows."""
    text = b'{"x": "' + random.Random(0).randbytes(20 << 20).hex().encode() + b'"}'
    return bench.write("s.tar", packing.tar_bytes(bench.files() | {"config.json": text}))


def cases() -> Iterator[Case]:
    syntax = {
        "broken": b'{"hidden_size": 64',
        "bom": b"\xef\xbb\xbf{}",
        "trailing-text": b"{} {}",
        "list": b"[]",
        "null": b"null",
        "empty": b"",
        "not-utf8": b'{"a": "\xff"}',
        "surrogate": b'{"a": "\\ud800"}',
        "comment": b'{"a": 1} // x',
        "single-quotes": b"{'a': 1}",
        "nul": b'{"a": 1}\0',
    }
    for name, text in syntax.items():
        yield Case(f"json-{name}", "JSON_SYNTAX", _text(text))
    yield Case(
        "json-duplicate-key",
        "JSON_DUPLICATE_KEY",
        _spliced(b'"hidden_size": 64, "hidden_size": 128'),
    )
    yield Case("json-duplicate-nested", "JSON_DUPLICATE_KEY", _spliced(b'"x": {"a": 1, "a": 2}'))
    for number in ("NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 5000):
        yield Case(f"json-number-{number[:9]}", "JSON_NUMBER", _spliced(f'"x": {number}'.encode()))
    yield Case(
        "json-depth-200000",
        "JSON_TOO_DEEP",
        _text(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    )
    yield Case("json-depth-40", "JSON_TOO_DEEP", _spliced(b'"x": ' + b"[" * 40 + b"]" * 40))
    yield Case("json-3-mb", "JSON_TOO_LARGE", _spliced(b" " * (3 << 20) + b'"x": 1'))
    yield Case("json-40-mb", "JSON_TOO_LARGE", _large, any_contest=False)

    auto_map = {"AutoModelForCausalLM": "modeling_x.Evil"}
    yield Case("auto-map", "CONFIG_REMOTE_CODE", _auto_map(auto_map=auto_map), marker=True)
    yield Case(
        "auto-map-nested",
        "CONFIG_REMOTE_CODE",
        _auto_map(extra={"auto_map": auto_map}),
        marker=True,
    )
    for key, value in {
        "trust_remote_code": True,
        "_attn_implementation_internal": "evil/kernel",
        "attn_implementation": "evil/kernel",
        "_experts_implementation": "x",
        "model_impl": "transformers",
        "vision_config": {},
        "speculators_config": {"verifier": {"name_or_path": "paretoboard/tiny-exaone4"}},
    }.items():
        yield Case(f"forbidden-{key}", "CONFIG_FORBIDDEN_KEY", _config(**{key: value}))
    yield Case(
        "forbidden-nested", "CONFIG_FORBIDDEN_KEY", _config(extra=[{"trust_remote_code": True}])
    )
    yield Case("architecture-other", "CONFIG_ARCHITECTURE", _config(architectures=["NemotronVL"]))
    yield Case(
        "architecture-two",
        "CONFIG_ARCHITECTURE",
        _config(architectures=["Exaone4ForCausalLM", "X"]),
    )
    yield Case("architecture-missing", "CONFIG_ARCHITECTURE", _config(architectures=...))
    yield Case("model-type-speculators", "CONFIG_ARCHITECTURE", _config(model_type="speculators"))
    yield Case("empty-object", "CONFIG_ARCHITECTURE", _text(b"{}"))
    yield Case("unknown-key", "CONFIG_UNKNOWN_KEY", _config(secret_speedup=True))
    yield Case("generation-key", "CONFIG_UNKNOWN_KEY", _config(temperature=0.0))
    fixed = {"rms_norm_eps": 1.0, "hidden_act": "relu", "rope_theta": 5.0, "attention_dropout": 0.5}
    for key, value in fixed.items():
        yield Case(f"fixed-{key}", "CONFIG_FIXED_KEY", _config(**{key: value}))
    yield Case(
        "fixed-rope-factor",
        "CONFIG_FIXED_KEY",
        _config(rope_scaling={"rope_type": "yarn", "factor": 1e308}),
    )
    yield Case("fixed-vocabulary", "CONFIG_FIXED_KEY", _config(vocab_size=8))
    for key, value in {
        "num_hidden_layers": 1_000_000,
        "hidden_size": 1 << 31,
        "vocab_size": 1 << 31,
        "intermediate_size": 1 << 40,
        "max_position_embeddings": 10**12,
        "num_attention_heads": 1 << 20,
    }.items():
        yield Case(f"bomb-{key}", "CONFIG_RANGE", _config(**{key: value}), limit_s=1.0)
    yield Case(
        "bomb-layer-types",
        "CONFIG_LAYER_TYPES",
        _config(layer_types=["full_attention"] * 9000),
        limit_s=1.0,
    )
    yield Case("unknown-layer-type", "CONFIG_RANGE", _config(layer_types=["sliding_attention"] * 2))
    yield Case("unknown-dtype", "CONFIG_RANGE", _config(torch_dtype="float8"))
    yield Case(
        "positions-below-contest",
        "CONFIG_RANGE",
        _config(max_position_embeddings=16),
        any_contest=False,
    )
    for value in ("64", 64.0, True, -1, 0, None, [64], {}):
        yield Case(f"type-hidden-{json.dumps(value)}", "CONFIG_TYPE", _config(hidden_size=value))
    yield Case("type-layers", "CONFIG_TYPE", _config(num_hidden_layers="2"))
    yield Case("type-tie", "CONFIG_TYPE", _config(tie_word_embeddings=1))
    yield Case("type-layer-types", "CONFIG_TYPE", _config(layer_types="full_attention"))
    for heads, kv_heads in ((3, 1), (3, 2), (1, 2)):
        change = _config(num_attention_heads=heads, num_key_value_heads=kv_heads)
        yield Case(f"heads-{heads}-kv-{kv_heads}", "CONFIG_INCONSISTENT", change, any_contest=False)
    yield Case(
        "two-dtypes",
        "CONFIG_INCONSISTENT",
        _config(torch_dtype="float16", dtype="bfloat16"),
        any_contest=False,
    )
    yield Case("layer-types-not-pruned", "CONFIG_LAYER_TYPES", _config(num_hidden_layers=1))

    yield Case("eos-list", "", _config(eos_token_id=[13, 198]), notice="CONFIG_IGNORED")
