"""The lecture's script: ``lecture_script.py MODEL DATA.jsonl SAMPLES TOKENS OUT``.

Unchanged line by line, except for the paths of model, data and output, and without the sample generation at the
end.
"""

import os
import sys

import torch
from datasets import load_dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import GPTQModifier
from transformers import AutoModelForCausalLM, AutoTokenizer

os.environ["TOKENIZERS_PARALLELISM"] = "false"

MODEL_ID, DATA, SAVE_DIR = sys.argv[1], sys.argv[2], sys.argv[5]
model = AutoModelForCausalLM.from_pretrained(MODEL_ID, torch_dtype=torch.bfloat16)
tokenizer = AutoTokenizer.from_pretrained(MODEL_ID)

NUM_CALIBRATION_SAMPLES = int(sys.argv[3])
MAX_SEQUENCE_LENGTH = int(sys.argv[4])

ds = load_dataset("json", data_files=DATA, split=f"train[:{NUM_CALIBRATION_SAMPLES}]")


def preprocess(example):
    return {
        "text": tokenizer.apply_chat_template(
            example["messages"], add_generation_prompt=True, tokenize=False
        )
    }


ds = ds.map(preprocess)

recipe = [GPTQModifier(ignore=["embed_tokens", "lm_head"], scheme="W4A16", targets=["Linear"])]

oneshot(
    model=model,
    dataset=ds,
    recipe=recipe,
    max_seq_length=MAX_SEQUENCE_LENGTH,
    num_calibration_samples=NUM_CALIBRATION_SAMPLES,
)

model.save_pretrained(SAVE_DIR, save_compressed=True)
tokenizer.save_pretrained(SAVE_DIR)
