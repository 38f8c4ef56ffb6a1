"""Fake quantization: shows what simple rounding of the weights would cost, without a quantization library."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from transformers import Exaone4ForCausalLM


def round_weight(weight: Tensor, bits: int, group: int) -> Tensor:
    """Symmetric round-to-nearest of ``[out, in]`` weights, one scale per ``group`` inputs."""
    grouped = weight.reshape(weight.shape[0], -1, group)
    levels = 2 ** (bits - 1)
    scale = grouped.abs().amax(-1, keepdim=True).clamp_min(1e-8) / (levels - 0.5)
    return ((grouped / scale).round().clamp(-levels, levels - 1) * scale).reshape(weight.shape)


def round_token(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Dynamic int8 activations: one symmetric scale per token (a forward pre-hook)."""
    (x,) = inputs
    scale = x.abs().amax(-1, keepdim=True).clamp_min(1e-8) / 127.5
    return ((x / scale).round().clamp(-128, 127) * scale,)


@torch.no_grad()
def quantised(
    model: Exaone4ForCausalLM, bits: int, group: int | None, activations: bool = False
) -> Exaone4ForCausalLM:
    """Copy the model with all linear layers except ``lm_head`` rounded; ``group=None`` is per channel."""
    model = copy.deepcopy(model)
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and name != "lm_head":
            layer.weight.copy_(round_weight(layer.weight, bits, group or layer.in_features))
            if activations:
                layer.register_forward_pre_hook(round_token)
    return model
