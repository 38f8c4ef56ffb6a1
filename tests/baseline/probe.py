"""Run by the Python of the compress environment: ``probe.py BASE FOLDER …`` loads checkpoints and compares.

Prints one JSON object per folder: relative error of the logits against the base model, and whether it is tied.
"""

import json
import sys
import warnings

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.quantization_config import CompressedTensorsConfig

warnings.filterwarnings("ignore")
IDS = torch.arange(5, 69).view(1, -1)


def logits(folder: str, **options: object) -> tuple[torch.Tensor, object]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", **options).eval()
    with torch.no_grad():
        return model(IDS).logits.float(), model


def main(base: str, folders: list[str]) -> None:
    expected, _ = logits(base)
    for folder in folders:
        plain = CompressedTensorsConfig(run_compressed=False)
        found, model = logits(folder, quantization_config=plain)
        tied = torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)
        error = float((found - expected).norm() / expected.norm())
        print(json.dumps({"folder": folder, "error": error, "tied": tied}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
