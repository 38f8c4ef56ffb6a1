"""Run by the compress environment's Python: ``make_models.py OUT NAME…`` writes ``OUT/NAME/base_model``.

The weights are random with a fixed seed, in bfloat16, with the demo's tokenizer.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from grader.contest import CONTESTS
from tests.matrix.configs import NOT_WRITTEN, config_of

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def make(name: str, folder: Path) -> None:
    model_type, keys = config_of(name)
    config = AutoConfig.for_model(model_type, **keys)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.generation_config = GenerationConfig(eos_token_id=1, pad_token_id=0)
    model.save_pretrained(folder)
    for file in TOKENIZER:
        shutil.copyfile(CONTESTS / "demo" / "base_model" / file, folder / file)
    stored = json.loads((folder / "config.json").read_text("utf-8"))
    for key in NOT_WRITTEN.get(name, ()):
        del stored[key]
    (folder / "config.json").write_text(json.dumps(stored | {"bos_token_id": None}), "utf-8")


if __name__ == "__main__":
    for each in sys.argv[2:]:
        make(each, Path(sys.argv[1]) / each / "base_model")
