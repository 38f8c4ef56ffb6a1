"""The configs of the matrix's models, by name: the shape of a family with a few layers."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
LEFT_OUT = object()  # its class has a different rule

_COMMON: Json = {
    "vocab_size": 512,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
_HYBRID: Json = {"sliding_window": 64, "num_hidden_layers": 4}
_SLIDING = ["sliding_attention"] * 3 + ["full_attention"]
_EXPERTS: Json = {"moe_intermediate_size": 128, "num_experts_per_tok": 2}

# Name -> (model_type of transformers, differences from the common shape).
CONFIGS: dict[str, tuple[str, Json]] = {
    "llama": ("llama", {"tie_word_embeddings": True}),
    "qwen2": ("qwen2", {"head_dim": LEFT_OUT}),
    "qwen3": ("qwen3", {"tie_word_embeddings": True}),
    "gemma3": (
        "gemma3_text",
        {
            "num_hidden_layers": 5,
            "sliding_window": 64,
            "sliding_window_pattern": 3,
            "tie_word_embeddings": True,
            "query_pre_attn_scalar": 64,
        },
    ),
    "mistral": ("mistral", {"sliding_window": None}),
    "phi3": ("phi3", {"head_dim": LEFT_OUT, "sliding_window": None}),
    "smollm3": ("smollm3", {"head_dim": LEFT_OUT, "tie_word_embeddings": True}),
    "olmo2": ("olmo2", {"head_dim": LEFT_OUT}),
    "granite": ("granite", {"head_dim": LEFT_OUT, "tie_word_embeddings": True}),
    "exaone4": (
        "exaone4",
        {
            "tie_word_embeddings": True,
            "sliding_window": None,
            "layer_types": ["full_attention"] * 3,
        },
    ),
    "exaone4-hybrid": (
        "exaone4",
        {**_HYBRID, "sliding_window_pattern": "LLLG", "layer_types": _SLIDING},
    ),
    "qwen3-moe": ("qwen3_moe", {**_EXPERTS, "num_experts": 4, "mlp_only_layers": [0]}),
    "exaone-moe": (
        "exaone_moe",
        {
            **_EXPERTS,
            "num_experts": 4,
            "num_shared_experts": 1,
            "n_group": 1,
            "topk_group": 1,
            "sliding_window": 64,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
            "mlp_layer_types": ["dense", "sparse", "sparse"],
        },
    ),
    "gpt-oss": (
        "gpt_oss",
        {
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "sliding_window": 64,
        },
    ),
    "deepseek-v3": (
        "deepseek_v3",
        {
            **_EXPERTS,
            "num_hidden_layers": 4,
            "head_dim": LEFT_OUT,
            "num_key_value_heads": 4,
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 2,
            "kv_lora_rank": 512,  # what the engine's latent attention kernels support
            "q_lora_rank": 128,
            "qk_nope_head_dim": 64,
            "qk_rope_head_dim": 64,
            "v_head_dim": 64,
            # set in its configs on the Hub but not in transformers' class
            "topk_method": "noaux_tc",
            "scoring_func": "sigmoid",
        },
    ),
}


# Keys that transformers works out and saves, and that configs on the Hub lack: there, layers are told
# apart by their index alone.
NOT_WRITTEN = {"gemma3": ("layer_types", "_sliding_window_pattern")}


def config_of(name: str) -> tuple[str, Json]:
    """Return (model_type, keys) of a model."""
    model_type, changes = CONFIGS[name]
    keys = _COMMON | changes
    return model_type, {key: value for key, value in keys.items() if value is not LEFT_OUT}
