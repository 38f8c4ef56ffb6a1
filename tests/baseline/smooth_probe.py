"""Run by the Python of the compress environment: checks that smoothing leaves the logits unchanged bit for
bit. ``smooth_probe.py MODEL…`` prints one JSON object for all models.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from baseline.compression.recipe import Smooth
from baseline.compression.smooth import smooth

IDS = torch.arange(5, 69).view(1, -1)


def probe(base: str, pair: str) -> dict[str, bool]:
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto").eval()
    for layer in model.model.layers:  # outliers, as real models have them
        layer.mlp.up_proj.weight.data[7] *= 64
        layer.self_attn.v_proj.weight.data[3] *= 64
    with torch.no_grad():
        before = model(IDS).logits
        weights = model.model.layers[0].mlp.up_proj.weight.clone()
        values = model.model.layers[0].self_attn.v_proj.weight.clone()
        smooth(model, Smooth(pairs=(pair,)), [{"input_ids": IDS}])
        after = model(IDS).logits
    layer = model.model.layers[0]
    changed = not torch.equal(weights, layer.mlp.up_proj.weight) or not torch.equal(
        values, layer.self_attn.v_proj.weight
    )
    return {"equal": torch.equal(before, after), "changed": changed}


if __name__ == "__main__":
    results = {
        Path(base).parent.name: {pair: probe(base, pair) for pair in ("v_o", "up_down")}
        for base in sys.argv[1:]
    }
    print(json.dumps(results))
