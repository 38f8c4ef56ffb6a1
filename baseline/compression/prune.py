"""Drops the decoder layers that change their input least (block influence, as in ShortGPT)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from baseline.compression.recipe import PruneLayers
from baseline.terminal.errors import usage
from grader.checkpoint.architecture import per_layer_keys


def prune_layers(
    model: Any, step: PruneLayers, batches: list[dict[str, Any]], stated: dict[str, Any]
) -> list[int]:
    """Drop layers in place and update the config. Returns the dropped indices, counted from 0.

    Args:
        stated: the base model's config as it is written.

    Raises:
        CliError: LAYERS_COUNTED_BY_INDEX.
    """
    kinds = kinds_by_index(model, stated)
    choose([0.0] * len(kinds), kinds, step)  # refuse before anything is measured
    dropped = choose(block_influence(model, batches), kinds, step)
    drop_layers(model, dropped)
    return dropped


def choose(influence: Sequence[float], kinds: Sequence[Hashable], step: PruneLayers) -> list[int]:
    """Return the layers with the least influence whose removal leaves a layer of the same kind at each index.

    Raises:
        CliError: LAYERS_COUNTED_BY_INDEX.
    """
    kept = list(range(len(kinds)))
    candidates = range(step.keep_first, len(kinds) - step.keep_last)
    order = sorted(candidates, key=lambda i: (influence[i], i))
    for number in range(step.layers):
        for layer in order:
            left = [i for i in kept if i != layer]
            if layer in kept and all(kinds[i] == kinds[j] for j, i in enumerate(left)):
                kept = left
                break
        else:
            raise usage(
                "LAYERS_COUNTED_BY_INDEX",
                f"Only {number} of the {step.layers} layers can go: this model's config tells kinds of layers "
                "apart by their index, so the layers after a dropped one would be run as another kind.",
                f"Use --set prune_layers.layers={number}."
                if number
                else "Use a recipe without this step.",
            )
    return [i for i in range(len(kinds)) if i not in kept]


def kinds_by_index(model: Any, stated: dict[str, Any]) -> list[Hashable]:
    """Return for every layer what only its index says about it.

    What a list in the config says moves with the layer. What transformers works out from other keys does not
    (``sliding_window_pattern``, ``first_k_dense_replace``): dense layers among layers with experts, and kinds
    of attention that the written config has no list of.
    """
    config = model.config.to_dict()
    lists = per_layer_keys(config)
    moving = [key for key in lists if key in stated]
    tensors = [_shapes(layer) for layer in model.model.layers]
    of_list: dict[Hashable, Hashable] = {}
    for index, found in enumerate(tensors):
        if of_list.setdefault(tuple(config[key][index] for key in moving), found) != found:
            break
    else:
        tensors = [()] * len(tensors)  # the lists say all there is to say
    worked_out = [key for key in lists if key not in stated]
    return [
        (found, *(config[key][index] for key in worked_out)) for index, found in enumerate(tensors)
    ]


def _shapes(layer: Any) -> Hashable:
    return tuple((name, tuple(weight.shape)) for name, weight in layer.named_parameters())


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
