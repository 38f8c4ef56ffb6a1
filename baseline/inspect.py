"""``baseline inspect``: what a checkpoint holds, read from headers only."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from baseline.errors import CliError, Exit, usage
from baseline.options import Json
from baseline.output import bytes_text, emit, json_wanted, language, out, use_json

GROUPS = (  # first match wins
    ("scales", ("_scale", "_zero_point", "_g_idx", "weight_shape")),
    ("embedding", ("embed_tokens", "lm_head")),
    ("norms", ("norm",)),
    ("attention", ("self_attn",)),
    ("mlp", ("mlp",)),
)


def command(
    path: Annotated[Path, typer.Argument(help="Checkpoint folder.")],
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
    json_output: Json = False,
) -> None:
    """Show a checkpoint's scheme and where its bytes are."""
    use_json(json_output)
    facts = describe(path)
    if json_wanted():
        emit(facts)
        return
    from rich.table import Table

    console = out()
    console.print(f"[bold]{path}[/bold]  {facts['architecture']}, {facts['layers']} layers, "
                  f"{facts['scheme']}, {'tied' if facts['tied'] else 'untied'} embedding")  # fmt: skip
    console.print(bytes_text(facts["safetensors_bytes"]) + " of safetensors")
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "bytes", "share", "dtypes"):
        table.add_column(heading, justify="left" if heading in ("part", "dtypes") else "right")
    for name, part in facts["parts"].items():
        table.add_row(name, f"{part['bytes']:,}", f"{part['bytes'] / facts['data_bytes']:.1%}",
                      ", ".join(part["dtypes"]))  # fmt: skip
    console.print(table)
    if tensors:
        for tensor in facts["tensors"]:
            console.print(f"{tensor['bytes']:>12,}  {tensor['dtype']:<8} {tensor['shape']!s:<18} "
                          f"{tensor['name']}", markup=False)  # fmt: skip


def describe(folder: Path) -> dict[str, Any]:
    """Facts of a checkpoint folder.

    Raises:
        CliError: not a checkpoint, or a header that cannot be read.
    """
    config = _config(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise usage("CHECKPOINT_WITHOUT_WEIGHTS", f"{folder} has no .safetensors file.")
    tensors = [tensor for file in files for tensor in header(file)]
    sizes: Counter[str] = Counter()
    dtypes: dict[str, set[str]] = {}
    for tensor in tensors:
        group = _group(tensor["name"])
        sizes[group] += tensor["bytes"]
        dtypes.setdefault(group, set()).add(tensor["dtype"])
    return {
        "path": str(folder),
        "architecture": (config.get("architectures") or ["?"])[0],
        "layers": config.get("num_hidden_layers"),
        "scheme": scheme(config),
        "tied": not any(tensor["name"] == "lm_head.weight" for tensor in tensors),
        "safetensors_bytes": sum(file.stat().st_size for file in files),
        "data_bytes": max(1, sum(sizes.values())),
        "parts": {
            name: {"bytes": size, "dtypes": sorted(dtypes[name])}
            for name, size in sizes.most_common()
        },
        "tensors": tensors,
    }


def header(file: Path) -> list[dict[str, Any]]:
    """Name, dtype, shape and bytes of every tensor, by the grader's own strict reader."""
    from baseline.preflight import in_words
    from grader.checkpoint import Refused, read_header

    try:
        tensors = [slot.tensor for slot in read_header(file)]
    except Refused as error:
        words = in_words(error.problems[0], language())
        where = " ".join(filter(None, (words["where"], words["detail"])))
        message = f"{words['sentence']} ({where})"
        raise CliError(words["code"], message, words["hint"], Exit.PROBLEM) from error
    return [
        {"name": t.name, "dtype": t.dtype, "shape": list(t.shape), "bytes": t.size_bytes}
        for t in tensors
    ]


def scheme(config: dict[str, Any]) -> str:
    """``W4A16 g128``-like words for a quantization_config."""
    quantisation = config.get("quantization_config")
    if not isinstance(quantisation, dict):
        return str(config.get("dtype") or config.get("torch_dtype") or "unquantised")
    groups = quantisation.get("config_groups")
    if not isinstance(groups, dict) or not groups:
        return str(quantisation.get("quant_method", "?"))
    words = []
    for group in groups.values():
        weights, inputs = group.get("weights") or {}, group.get("input_activations") or {}
        kind = "FP" if weights.get("type") == "float" else ""
        name = f"{kind}W{weights.get('num_bits', 16)}A{inputs.get('num_bits', 16)}"
        size = weights.get("group_size")
        words.append(name + (f" g{size}" if size and size > 0 else "")
                     + (" dynamic" if inputs.get("dynamic") else ""))  # fmt: skip
    return ", ".join(dict.fromkeys(words))


def _group(name: str) -> str:
    return next((group for group, marks in GROUPS if any(mark in name for mark in marks)), "other")


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise usage(
            "CHECKPOINT_WITHOUT_CONFIG",
            f"{folder} has no readable config.json.",
            "Give the folder that holds config.json and the weights.",
        ) from error
    if not isinstance(config, dict):
        raise usage("CHECKPOINT_WITHOUT_CONFIG", f"{folder}/config.json is not an object.")
    return config
