"""The engine's side, in a separate process: ``python -m tests.differential.engine < configs > verdicts``.

vLLM chooses the method, reads the config, and builds each layer of an EXAONE 4 decoder with that method on this
CPU: parameters and kernels are selected by the engine's own code. No weights are read and no engine starts.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

HEADS, KV_HEADS, HEAD_DIM = 4, 2, 32


def main() -> None:
    cases = json.load(sys.stdin)
    verdicts = os.dup(1)  # the engine logs to standard output
    os.dup2(2, 1)
    with _engine(), os.fdopen(verdicts, "w") as out:
        json.dump({case["id"]: _verdict(case) for case in cases}, out)


def _engine() -> Any:
    """A context for building layers: one process is the whole tensor-parallel group."""
    import torch
    from vllm.config import VllmConfig, set_current_vllm_config
    from vllm.distributed import (
        init_distributed_environment,
        initialize_model_parallel,
    )

    # Use the same verdict on every machine: that of a CPU without AMX, which few have.
    torch.cpu._is_amx_tile_supported = lambda: False
    torch.set_default_dtype(torch.bfloat16)
    config = VllmConfig()
    config.model_config = SimpleNamespace(dtype=torch.bfloat16, is_moe=False)  # type: ignore[assignment]
    with set_current_vllm_config(config):
        _, store = tempfile.mkstemp()
        init_distributed_environment(1, 0, f"file://{store}", 0, "gloo")
        initialize_model_parallel()
        os.unlink(store)
    return set_current_vllm_config(config)


def _verdict(case: dict[str, Any]) -> dict[str, Any]:
    """``layers``: quantized layer -> [bits, group size]; ``refused``: stage and error, if any.

    ``layers`` is kept if a kernel fails, so that the reading of the config is compared on any device.
    """
    stage = "config"
    layers: dict[str, list[int]] = {}
    failed = ""
    run: set[Any] = set()  # run one layer of each kind through its kernel
    try:
        config = _config(case)
        stage = "layer"
        for names, layer in _layers(case, config):
            if described := _described(layer, config, names[0]):
                layers |= dict.fromkeys(names, described)
                if hasattr(layer, "org_vocab_size"):
                    stage = "load"
                    _load(layer)
                    stage = "layer"
                if (kind := (type(layer), *described)) not in run:
                    run.add(kind)
                    failed = failed or _run(layer)
    except Exception as error:  # any exception is how the engine refuses a config
        return {"refused": _words(stage, error)}
    return {"refused": failed, "layers": layers}


def _words(stage: str, error: Exception) -> str:
    return f"{stage}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _config(case: dict[str, Any]) -> Any:
    """Like ``ModelConfig._verify_quantization`` and ``get_quant_config``: overrides first, then the class."""
    from vllm.model_executor.layers import quantization
    from vllm.model_executor.layers.quantization import auto_awq, auto_gptq
    from vllm.model_executor.models.exaone4 import Exaone4ForCausalLM

    value = case["quantization"]
    hf_config = SimpleNamespace(model_type="exaone4", architectures=["Exaone4ForCausalLM"])
    method = str(value["quant_method"]).lower()
    for name in ("auto_gptq", "auto_awq", "inc", "modelopt", "modelopt_fp4", "mxfp4"):
        chosen = quantization.get_quantization_config(name)
        if other := chosen.override_quantization_method(value, None, hf_config=hf_config):
            method = other
            break
    config = quantization.get_quantization_config(method).from_config(value)
    headers = {name: {"dtype": "I32"} for name in case["held"]}
    headers |= {name: {"dtype": "BF16"} for name in case["dense"]}
    # These read from the folder's headers which layers are quantized.
    for module in (auto_gptq, auto_awq):
        module.get_safetensors_params_metadata = lambda *_, **__: headers
    config.maybe_update_config("model", hf_config)
    mapper = getattr(Exaone4ForCausalLM, "hf_to_vllm_mapper", None)
    if mapper is not None:
        config.apply_vllm_mapper(mapper.get_rename_mapper())
    config.packed_modules_mapping = Exaone4ForCausalLM.packed_modules_mapping
    return config


def _layers(case: dict[str, Any], config: Any) -> Iterator[tuple[list[str], Any]]:
    """Return (the checkpoint's layers, the engine layer that contains them), built as the model's class
    does."""
    import torch
    from vllm.model_executor.layers import linear
    from vllm.model_executor.layers.vocab_parallel_embedding import (
        ParallelLMHead,
        VocabParallelEmbedding,
    )

    hidden, inner, vocab = case["hidden"], case["inner"], case["vocab"]
    width = HEADS * HEAD_DIM
    common: dict[str, Any] = {"bias": False, "quant_config": config}
    with torch.device("cpu"):
        embedding = VocabParallelEmbedding(vocab, hidden, quant_config=config)
        for index in range(case["layers"]):
            attention = f"model.layers.{index}.self_attn."
            mlp = f"model.layers.{index}.mlp."
            yield (
                [attention + name for name in ("q_proj", "k_proj", "v_proj")],
                linear.QKVParallelLinear(
                    hidden, HEAD_DIM, HEADS, KV_HEADS, prefix=f"{attention}qkv_proj", **common
                ),
            )
            yield (
                [f"{attention}o_proj"],
                linear.RowParallelLinear(width, hidden, prefix=f"{attention}o_proj", **common),
            )
            yield (
                [f"{mlp}gate_proj", f"{mlp}up_proj"],
                linear.MergedColumnParallelLinear(
                    hidden, [inner, inner], prefix=f"{mlp}gate_up_proj", **common
                ),
            )
            yield (
                [f"{mlp}down_proj"],
                linear.RowParallelLinear(inner, hidden, prefix=f"{mlp}down_proj", **common),
            )
        head = ParallelLMHead(vocab, hidden, quant_config=config, prefix="lm_head")
        if not case["untied"]:
            head = head.tie_weights(embedding)
        yield ["lm_head"], head
        yield ["model.embed_tokens"], embedding


def _load(layer: Any) -> None:
    """Load zeros into a layer of the vocabulary's size, which the engine pads, as from a checkpoint."""
    import torch

    for parameter in layer.parameters():
        dimension = getattr(parameter, "output_dim", None)
        if dimension is not None:
            is_packed = getattr(parameter, "packed_dim", None) == dimension
            shape = list(parameter.shape)
            shape[dimension] = layer.org_vocab_size // (parameter.packed_factor if is_packed else 1)
            parameter.weight_loader(parameter, torch.zeros(shape, dtype=parameter.dtype))


def _run(layer: Any) -> str:
    """Return why the kernel that the engine has selected fails with weights of zeros, if it does."""
    import torch

    for name, parameter in layer.named_parameters():
        parameter.data.zero_()
        # All different: some kernels take a shortcut if a fused layer has one scale
        if "scale" in name:
            scales = torch.arange(1, parameter.numel() + 1).reshape(parameter.shape)
            parameter.data.copy_(scales)
    columns = getattr(layer, "embedding_dim", 0) or layer.input_size
    try:
        layer.quant_method.process_weights_after_loading(layer)
        if type(layer).__name__ == "VocabParallelEmbedding":
            layer.quant_method.embedding(layer, torch.tensor([0, 1]))
        else:
            layer.quant_method.apply(layer, torch.zeros(2, columns, dtype=torch.bfloat16))
    except Exception as error:
        return _words("run", error)
    return ""


def _described(layer: Any, config: Any, name: str) -> list[int] | None:
    """Return [bits, group size] of a layer's weights, 0 for one scale per channel; ``None``: not quantized."""
    method = layer.quant_method
    if type(method).__name__.startswith("Unquantized"):
        return None
    weights = None
    if hasattr(config, "get_scheme_dict"):
        prefix = "" if name == "model.embed_tokens" else getattr(layer, "prefix", name)
        weights = (config.get_scheme_dict(layer, prefix) or {}).get("weights")
        bits, size = weights.num_bits, weights.group_size
    else:
        own = getattr(method, "quant_config", config)
        bits = getattr(own, "weight_bits", 8)
        size = getattr(own, "group_size", None)
    return [int(bits), max(int(size or 0), 0)]


if __name__ == "__main__":
    main()
