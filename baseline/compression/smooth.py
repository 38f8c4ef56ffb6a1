"""Smoothing that is exact on EXAONE-4, where the usual SmoothQuant mappings are wrong.

SmoothQuant folds a per-channel scale into the RMSNorm *before* a linear layer. EXAONE-4 normalizes *after*
attention and MLP: q, k, v, gate and up read the residual stream itself, with no norm in between. Folding
into ``post_attention_layernorm`` would change the residual stream that every later layer reads.

Two pairs of layers have only linear operations between them, so a scale moved from one to the other cancels
out:

``up_down``  down(act(gate(x)) · up(x)): row j of up divided, column j of down multiplied.
``v_o``      attention mixes rows of v linearly: channel c of a KV head divided, multiplied back in the
             column c of every query head that shares this KV head (one scale per KV channel under GQA).

Scales are powers of two: in bf16 the smoothed model is bit-for-bit equivalent to the original.
"""

from __future__ import annotations

from typing import Any

from baseline.compression.recipe import Smooth

# Families that have been tried: nothing but linear algebra between v and o, and between up and down. A norm of
# v (Gemma 4) or clipping (OLMo) would make a scale change the answers, and headers do not show either.
EXACT_FOR = (
    "Exaone4ForCausalLM",
    "Gemma3ForCausalLM",
    "GraniteForCausalLM",
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Olmo2ForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "SmolLM3ForCausalLM",
)
LARGEST_EXPONENT = 8  # 2^±8: more than calibration can justify


def smooth(model: Any, step: Smooth, batches: list[dict[str, Any]]) -> None:
    """Smooth every layer in place, using the activation peaks seen on ``batches``."""
    peaks = _activation_peaks(model, batches)
    config = model.config
    head_dim = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    shared = config.num_attention_heads // config.num_key_value_heads
    for layer in model.model.layers:
        if "up_down" in step.pairs:
            down = layer.mlp.down_proj
            scale = _scale(peaks[down], _column_peaks(down), step.strength)
            _fold(layer.mlp.up_proj, down, scale, scale)
        if "v_o" in step.pairs:
            out = layer.self_attn.o_proj
            by_group = (config.num_key_value_heads, shared, head_dim)
            activation = peaks[out].view(by_group).amax(1).flatten()
            weight = _column_peaks(out).view(by_group).amax(1).flatten()
            scale = _scale(activation, weight, step.strength)
            repeated = scale.view(-1, 1, head_dim).expand(by_group).reshape(-1)
            _fold(layer.self_attn.v_proj, out, scale, repeated)


def _activation_peaks(model: Any, batches: list[dict[str, Any]]) -> dict[Any, Any]:
    """Return the largest |input| per channel of every down_proj and o_proj, which the quantizer has to
    round."""
    import torch

    peaks: dict[Any, Any] = {}

    def hook(module: Any, inputs: tuple[Any, ...]) -> None:
        seen = inputs[0].detach().abs().flatten(0, -2).amax(0).float()
        peaks[module] = torch.maximum(peaks[module], seen) if module in peaks else seen

    handles = [
        module.register_forward_pre_hook(hook)
        for layer in model.model.layers
        for module in (layer.mlp.down_proj, layer.self_attn.o_proj)
    ]
    try:
        with torch.no_grad():
            for batch in batches:
                model(**batch, use_cache=False, logits_to_keep=1)
    finally:
        for handle in handles:
            handle.remove()
    return peaks


def _column_peaks(linear: Any) -> Any:
    return linear.weight.detach().abs().amax(0).float()


def _scale(activation: Any, weight: Any, strength: float) -> Any:
    """activation^strength / weight^(1 - strength), centered on 1 and rounded to powers of two."""
    import torch

    tiny = 1e-5
    exponent = strength * activation.clamp(min=tiny).log2() - (1 - strength) * (
        weight.clamp(min=tiny).log2()
    )
    exponent = (exponent - exponent.median()).round()
    return torch.exp2(exponent.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT))


def _fold(first: Any, second: Any, divide_rows: Any, multiply_columns: Any) -> None:
    import torch

    with torch.no_grad():
        first.weight.div_(divide_rows.to(first.weight.dtype).unsqueeze(1))
        if first.bias is not None:
            first.bias.div_(divide_rows.to(first.bias.dtype))
        second.weight.mul_(multiply_columns.to(second.weight.dtype).unsqueeze(0))
