"""Reads from the installed vLLM how it treats each architecture's linear layers: which are fused or left dense.

``python -m grader.worker.engine.architectures`` writes the table that the checker reads. The site has no vLLM,
so the table is committed, and a test compares it with the engine. Run this command when the vLLM pin changes.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from grader.checkpoint.engine_layers import TABLE

_LAYER_KEYS = ("layer", "pattern", "dense", "sparse")


def generate() -> dict[str, Any]:
    """Build the table: the engine's version, and an entry for every text-generation architecture it
    registers."""
    import vllm
    from vllm.model_executor.models import registry

    models = {name: _entry(*place) for name, place in registry._TEXT_GENERATION_MODELS.items()}
    # Run with transformers' own code, in which the engine replaces single layers and fuses none.
    models |= {
        name: {"backend": module}
        for name, (module, model) in registry._TRANSFORMERS_SUPPORTED_MODELS.items()
        if model in ("TransformersForCausalLM", "TransformersMoEForCausalLM")
    }
    sorted_models = dict(sorted(models.items()))
    return {"vllm": vllm.__version__.partition("+")[0], "architectures": sorted_models}


def dump(table: dict[str, Any]) -> str:
    """Write one line per architecture, so that the diff of a new pin lists what has changed."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps(entry, sort_keys=True)}"
        for name, entry in table["architectures"].items()
    ]
    head = f'{{\n"vllm": {json.dumps(table["vllm"])},\n"architectures": {{\n'
    return head + ",\n".join(lines) + "\n}\n}\n"


def _entry(module: str, name: str) -> dict[str, Any]:
    path = module if module.startswith("vllm.") else f"vllm.model_executor.models.{module}"
    try:
        model = getattr(importlib.import_module(path), name)
    except ModuleNotFoundError as error:
        return {"needs": error.name}
    packed = dict(getattr(model, "packed_modules_mapping", None) or {})
    layers: dict[str, str] = {}
    quantised: set[str] = set()
    reads: set[str] = set()
    embedding = ""
    for part in _reachable(model):
        tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (leaf := _leaf(node)):
                layers.setdefault(leaf, _name(node.func))
                if _is_quantised(node):
                    quantised.add(leaf)
            elif isinstance(node, ast.Call) and _name(node.func) == "VocabParallelEmbedding":
                embedding = embedding or _embedding(node)
            elif isinstance(node, ast.Assign):
                packed |= _packed(node)
            reads |= _key(node)
    fused = {new: parts for new, parts in packed.items() if list(parts) != [new]}
    entry: dict[str, Any] = {"fused": fused, "layers": layers, "reads": sorted(reads)}
    if dense := sorted(layers.keys() - quantised):
        entry["dense"] = dense
    if embedding:
        entry["embedding"] = embedding
    if renamed := _renamed(model):
        entry["renamed"] = renamed
    return entry


def _reachable(model: type) -> Iterator[type]:
    """Return the model's class and every module class of the engine's models that its code names."""
    from torch import nn

    waiting, seen = [model], set()
    while waiting:
        part = waiting.pop(0)
        if part in seen or not _is_model_code(part.__module__):
            continue
        seen.add(part)
        yield part
        module: ModuleType = sys.modules[part.__module__]
        waiting += [base for base in part.__mro__[1:] if issubclass(base, nn.Module)]
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(part)))):
            found = getattr(module, node.id, None) if isinstance(node, ast.Name) else None
            if inspect.isclass(found) and issubclass(found, nn.Module):
                waiting.append(found)


def _is_model_code(module: str) -> bool:
    return module.startswith(("vllm.model_executor.models.", "vllm.models."))


def _leaf(call: ast.Call) -> str:
    """Return ``qkv_proj`` for ``QKVParallelLinear(…, prefix=f"{prefix}.qkv_proj")``; empty for other calls."""
    if not _name(call.func).endswith(("Linear", "LMHead", "FusedMoEFactory", "FusedMoE")):
        return ""
    for prefix in (word.value for word in call.keywords if word.arg == "prefix"):
        texts = [n.value for n in ast.walk(prefix) if isinstance(n, ast.Constant)]
        if texts and isinstance(texts[-1], str):
            return texts[-1].rpartition(".")[2]
    return ""


def _is_quantised(call: ast.Call) -> bool:
    """Return whether the layer receives the checkpoint's quantization."""
    given = [word.value for word in call.keywords if word.arg == "quant_config"]
    return any(not (isinstance(value, ast.Constant) and value.value is None) for value in given)


def _embedding(call: ast.Call) -> str:
    """Return under what name the engine asks about the embedding's quantization, if it does."""
    if not _is_quantised(call):
        return ""
    return "named" if any(word.arg == "prefix" for word in call.keywords) else "unnamed"


def _packed(node: ast.Assign) -> dict[str, list[str]]:
    """Read ``self.packed_modules_mapping["qkv_proj"] = […]``, which some models set after reading the
    config."""
    target = node.targets[0]
    if isinstance(target, ast.Subscript) and _name(target.value) == "packed_modules_mapping":
        return {ast.literal_eval(target.slice): ast.literal_eval(node.value)}
    return {}


def _key(node: ast.AST) -> set[str]:
    """Return the config key that distinguishes layers, if this node reads one."""
    key = ""
    if isinstance(node, ast.Attribute) and _name(node.value).endswith("config"):
        key = node.attr
    elif isinstance(node, ast.Call) and _name(node.func) == "getattr" and len(node.args) > 1:
        key = str(getattr(node.args[1], "value", ""))
    return {key} if any(word in key for word in _LAYER_KEYS) and key.islower() else set()


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _renamed(model: type) -> dict[str, str]:
    """Return parts of names that the engine changes before looking up a layer's quantization."""
    mapper = getattr(model, "hf_to_vllm_mapper", None)
    if mapper is None:
        return {}
    parts = {**mapper.orig_to_new_prefix, **mapper.orig_to_new_substr}
    return {old: new for old, new in parts.items() if new is not None and "." in old}


if __name__ == "__main__":
    TABLE.write_text(dump(generate()), "utf-8")
