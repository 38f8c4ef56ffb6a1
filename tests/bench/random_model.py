"""Run by the compress environment's Python: ``random_model.py FOLDER LAYERS WIDTH`` makes a random EXAONE-4.

Its data goes to ``data.jsonl`` next to FOLDER.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import Exaone4Config, Exaone4ForCausalLM, PreTrainedTokenizerFast

SPECIAL = ["[|pad|]", "[|endofturn|]", "[|system|]", "[|user|]", "[|assistant|]"]
TEMPLATE = (
    "{% for m in messages %}{{ '[|' + m.role + '|]\n' + m.content + '[|endofturn|]\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[|assistant|]\n' }}{% endif %}"
)


def main(folder: Path, layers: int, width: int) -> None:
    lines = [f"{a} + {b} = {a + b}" for a in range(40) for b in range(40)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(lines, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=SPECIAL[0], eos_token=SPECIAL[1]
    )
    fast.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = Exaone4Config(
        vocab_size=500,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 128,
        head_dim=64,
        sliding_window=None,
        layer_types=["full_attention"] * layers,
        tie_word_embeddings=True,
        max_position_embeddings=1024,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    Exaone4ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    fast.save_pretrained(folder)
    path = folder / "config.json"
    stored = json.loads(path.read_text())
    stored["dtype"] = "bfloat16"
    path.write_text(json.dumps(stored))
    turns = [{"messages": [{"role": "user", "content": line}]} for line in lines[::50]]
    (folder.parent / "data.jsonl").write_text("".join(json.dumps(t) + "\n" for t in turns))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
