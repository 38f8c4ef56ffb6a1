"""The last step of a recipe: one llmcompressor ``oneshot`` run on the loaded model."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from typing import Any

from baseline.compression.recipe import Awq, Gptq, Quantiser, left_alone
from baseline.compression.schemes import SCHEMES
from baseline.terminal.errors import usage

Batch = list[dict[str, Any]]


def quantise(model: Any, quantiser: Quantiser, batches: Batch, verbose: bool = False) -> None:
    """Quantize ``model`` in place. ``batches`` are ``{input_ids, attention_mask}`` tensors and may be empty."""
    quiet_libraries(verbose)
    from llmcompressor import oneshot

    _without_accelerator()
    needs_data = not _data_free(quantiser)
    oneshot(
        model=model,
        processor=_NoProcessor(),
        recipe=_modifiers(quantiser),
        dataset=_loader(batches) if needs_data else None,
        num_calibration_samples=max(1, len(batches)),
        pipeline="sequential" if needs_data else "datafree",
        shuffle_calibration_samples=False,
    )


def need_awq_mappings(architecture: str) -> None:
    """Refuse AWQ for a family that llmcompressor would treat like Llama whether or not that is correct.

    Raises:
        CliError: AWQ_NOT_FOR_MODEL.
    """
    quiet_libraries(verbose=False)
    from llmcompressor.modifiers.transform.awq.dynamic_mappings import AWQ_DYNAMIC_MAPPING_REGISTRY
    from llmcompressor.modifiers.transform.awq.mappings import AWQ_MAPPING_REGISTRY

    known = AWQ_MAPPING_REGISTRY.keys() | AWQ_DYNAMIC_MAPPING_REGISTRY.keys()
    if architecture not in known:
        raise usage(
            "AWQ_NOT_FOR_MODEL",
            f"AWQ needs to know which layers of {architecture} scale each other; llmcompressor does not.",
            "Use w4a16-gptq, which works for every decoder.",
        )


def quiet_libraries(verbose: bool) -> None:
    """Before a library is first imported: allow progress bars on a terminal, drop logs and warnings.

    The libraries write through loguru, logging, warnings and tqdm, but none of it is a result.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if verbose:
        return
    os.environ.setdefault("LLM_COMPRESSOR_LOG_LEVEL", "CRITICAL")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        _no_bars()
    warnings.filterwarnings("ignore")
    for name in (
        "torch",
        "transformers",
        "torch.fx._symbolic_trace",
        "huggingface_hub",
        "httpx",
        "lm_eval",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        from transformers.utils import logging as transformers_logging
    except ImportError:
        return
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def _no_bars() -> None:
    """Disable tqdm. Its own switch (TQDM_DISABLE) has no effect on callers that pass ``disable=False``."""
    try:
        tqdm = importlib.import_module("tqdm.std").tqdm
    except ImportError:
        return
    original = tqdm.__init__

    def silent(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **(options | {"disable": True}))

    tqdm.__init__ = silent


def _without_accelerator() -> None:
    """Disable pinning: AWQ pins its cache for faster copies to a GPU, which torch refuses without a GPU."""
    import torch
    from llmcompressor.pipelines.cache import IntermediatesCache

    if not torch.accelerator.is_available():
        IntermediatesCache.pin_memory = lambda *_arguments, **_options: None


class _NoProcessor:
    """The data is already tokenized; this keeps llmcompressor from looking for a tokenizer."""


def _data_free(quantiser: Quantiser) -> bool:
    return not isinstance(quantiser, Gptq | Awq) and not (
        SCHEMES[quantiser.scheme].static_activations
    )


def _modifiers(quantiser: Quantiser) -> list[Any]:
    from compressed_tensors.quantization import preset_name_to_scheme
    from llmcompressor.modifiers.quantization import GPTQModifier, QuantizationModifier

    scheme = preset_name_to_scheme(quantiser.scheme, list(quantiser.targets))
    if quantiser.group_size:
        scheme.weights.group_size = quantiser.group_size
    common = {"config_groups": {"group_0": scheme}, "ignore": list(left_alone(quantiser))}
    if isinstance(quantiser, Gptq):
        return [
            GPTQModifier(
                **common,
                dampening_frac=quantiser.dampening,
                block_size=quantiser.block_size,
                actorder=None if quantiser.actorder == "none" else quantiser.actorder,
            )
        ]
    if isinstance(quantiser, Awq):
        from llmcompressor.modifiers.transform.awq import AWQModifier

        # its EXAONE-4 mappings are the exact ones: v→o (where shapes allow) and up→down.
        return [
            AWQModifier(n_grid=quantiser.grid, duo_scaling=quantiser.duo_scaling),
            QuantizationModifier(**common),
        ]
    return [QuantizationModifier(**common)]


def _loader(batches: Batch) -> Any:
    from torch.utils.data import DataLoader

    # One conversation per batch: no padding, so calibration sees none.
    return DataLoader(batches, batch_size=1, shuffle=False, collate_fn=lambda items: items[0])
