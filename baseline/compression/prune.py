"""Drops the decoder layers that change their input least (block influence, as in ShortGPT)."""

from __future__ import annotations

from typing import Any

from baseline.compression.recipe import PruneLayers
from grader.checkpoint.architecture import per_layer_keys


def prune_layers(model: Any, step: PruneLayers, batches: list[dict[str, Any]]) -> list[int]:
    """Drop layers in place and update the config. Returns the dropped indices, counted from 0."""
    influence = block_influence(model, batches)
    candidates = range(step.keep_first, len(influence) - step.keep_last)
    dropped = sorted(sorted(candidates, key=lambda i: (influence[i], i))[: step.layers])
    drop_layers(model, dropped)
    return dropped


def block_influence(model: Any, batches: list[dict[str, Any]]) -> list[float]:
    """1 - mean cosine between a layer's input and output. Layers near 0 can be dropped."""
    import torch

    totals = [0.0] * len(model.model.layers)
    tokens = 0

    def hook(module: Any, inputs: Any, output: Any) -> None:
        before, after = inputs[0], output[0] if isinstance(output, tuple) else output
        cosine = torch.nn.functional.cosine_similarity(before.float(), after.float(), dim=-1)
        totals[module.self_attn.layer_idx] += float((1 - cosine).sum())

    handles = [layer.register_forward_hook(hook) for layer in model.model.layers]
    try:
        with torch.no_grad():
            for batch in batches:
                tokens += batch["input_ids"].numel()
                model.model(**batch, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return [total / max(1, tokens) for total in totals]


def drop_layers(model: Any, dropped: list[int]) -> None:
    """Remove layers and keep the config consistent: ``num_hidden_layers``, lists by layer, cache indices."""
    import torch

    kept = [i for i in range(len(model.model.layers)) if i not in set(dropped)]
    model.model.layers = torch.nn.ModuleList(model.model.layers[i] for i in kept)
    for new_index, layer in enumerate(model.model.layers):
        layer.self_attn.layer_idx = new_index
    config = model.config
    stated = config.to_dict()
    config.num_hidden_layers = len(kept)
    for key in per_layer_keys(stated):
        setattr(config, key, [stated[key][i] for i in kept])
