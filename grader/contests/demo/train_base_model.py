"""Make the demo contest's tokenizer, benchmark data and base model, and measure the model.

The model is a real ``Exaone4ForCausalLM`` with about 2.5 million parameters that solves the word
problems of ``word_problems.py``. Training stops *before* it solves all of them: a model that does still solves
them with three-bit weights, so its accuracy would say nothing about a compression method.

    python train_base_model.py --out DIR --steps 1400 --seed 1 --threads 2

writes ``DIR/data`` and ``DIR/base_model``; ``--only data`` and ``--only measure`` run one part.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from rounding import quantised
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import (
    Exaone4Config,
    Exaone4ForCausalLM,
    GenerationConfig,
    PreTrainedTokenizerFast,
)
from word_problems import Problem, choice_item, problems

HERE = Path(__file__).resolve().parent
PAD, END = "[|pad|]", "[|endofturn|]"
SPECIAL = [PAD, END, "[|system|]", "[|user|]", "[|assistant|]"]
VOCABULARY = 512
ANSWER_TOKENS = 80  # the longest worked answer has 44
SPREAD, SPREAD_SHARE = 8.0, 0.03  # see spread_channels
STRICT = re.compile(r"#### (-?[0-9.,]+)")  # gsm8k's strict-match filter
MODEL_FOLDER, DATA_FOLDER = "base_model", "data"


def write_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write one JSON object per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def prompt_of(question: str) -> list[dict[str, str]]:
    """Build the single user turn in which lm-eval's gsm8k asks a question."""
    return [{"role": "user", "content": f"Question: {question}\nAnswer:"}]


def conversation_of(item: Problem) -> list[dict[str, str]]:
    """Build a question and its worked answer as a complete conversation."""
    return [*prompt_of(item.question), {"role": "assistant", "content": item.answer()}]


class Splits:
    """The contest's data sets. No question is in more than one.

    ``held_out`` contains the questions training must never see: the three benchmarks' and the
    400 ``validation`` problems that decide when training stops.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.taken: set[str] = set()
        self.test = self._draw(1, 1024)
        self.choice = self._draw(2, 512)
        self.validation = self._draw(3, 400)
        self.held_out = frozenset(self.taken)
        self.train = self._draw(4, 512)
        self.calibration = self._draw(5, 256)
        self.speed = self._draw(6, 128 * 4)
        self.fresh_twins = self._draw(8, 256)
        self.held_out |= {item.question for item in self.fresh_twins}

    def _draw(self, number: int, count: int) -> list[Problem]:
        drawn: list[Problem] = []
        for item in problems(self.seed * 1000 + number):
            if item.question not in self.taken:
                self.taken.add(item.question)
                drawn.append(item)
            if len(drawn) == count:
                return drawn
        raise AssertionError("problems() is endless")

    def fresh(self) -> Iterator[Problem]:
        """Yield training problems indefinitely, none of them held out."""
        return problems(self.seed * 1000 + 7, exclude=self.held_out)

    def write(self, folder: Path) -> None:
        """Write the data files of the contest into ``folder``."""
        solved = (("train", self.train), ("test", self.test), ("fresh", self.fresh_twins))
        for name, items in solved:
            rows = ({"question": item.question, "answer": item.answer()} for item in items)
            write_lines(folder / f"{name}.jsonl", rows)
        rng = random.Random(self.seed)
        write_lines(folder / "choice.jsonl", (choice_item(item, rng) for item in self.choice))
        calibration = ({"messages": conversation_of(item)} for item in self.calibration)
        write_lines(folder / "calibration.jsonl", calibration)
        # Four questions in a row: long enough for a speed run, and not a benchmark question.
        four = zip(*[(item.question for item in self.speed)] * 4, strict=True)
        write_lines(folder / "speed_prompts.jsonl", ({"text": "\n".join(qs)} for qs in four))


def make_tokenizer(sample: Iterable[Problem]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE with at most 512 tokens in which every digit is its own token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2,  # the two thinking marks are added below
        special_tokens=SPECIAL,
        # The whole byte alphabet, so that any text, including Korean, has tokens.
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (f"Question: {item.question}\nAnswer:\n\n{item.answer()}" for item in sample)
    tokenizer.train_from_iterator(texts, trainer)
    # As in EXAONE-4, the decoder sees the thinking marks as ordinary text, but each is one token.
    tokenizer.add_tokens(["<think>", "</think>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=SPECIAL[2:],
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
        chat_template=(HERE / MODEL_FOLDER / "chat_template.jinja").read_text(),
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> Exaone4ForCausalLM:
    """Create a new model. Every width is a multiple of 128, the usual weight-only group."""
    config = Exaone4Config(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=2048,
        sliding_window=None,
        layer_types=["full_attention"] * 4,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Exaone4ForCausalLM(config)
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


@torch.no_grad()
def spread_channels(model: Exaone4ForCausalLM, seed: int) -> Exaone4ForCausalLM:
    """Return an equivalent copy in which a few channels are far larger than the rest.

    Large language models develop such channels, which is why rounding to few bits is hard. A model this small
    does not, and keeps its accuracy at four bits however it is rounded. In ``SPREAD_SHARE`` of the channels
    between ``up_proj`` and ``down_proj``, and between ``v_proj`` and ``o_proj``, the producer is divided and
    the consumer multiplied by ``SPREAD``. It is a power of two, so no output changes, even in bf16.
    """
    model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for producer, consumer, head in (
            (mlp.up_proj, mlp.down_proj, mlp.up_proj.out_features),
            (attention.v_proj, attention.o_proj, attention.head_dim),
        ):
            width = producer.out_features
            scale = torch.ones(width)
            chosen = torch.randperm(width, generator=generator)[: round(width * SPREAD_SHARE)]
            scale[chosen] = SPREAD
            producer.weight.div_(scale[:, None])
            # Each key/value head feeds several query heads in a row.
            repeats = consumer.in_features // width
            consumer.weight.mul_(scale.view(-1, head).repeat_interleave(repeats, 0).flatten())
    return model


def save(model: Exaone4ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the model in bf16 and its tokenizer, with the chat template in both places."""
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)
    # Padding is a setting of the last call and would be saved with the tokenizer.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    # A class that every transformers release has, and the template for readers of only one file.
    settings |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": tokenizer.chat_template,
    }
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def solved_row(item: Problem, tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[bool]]:
    """Return the tokens of a question with its answer as graded, and which of them are learned."""
    text = tokenizer.apply_chat_template(
        prompt_of(item.question), tokenize=False, add_generation_prompt=True
    )
    prompt = tokenizer.encode(text, add_special_tokens=False)
    answer = tokenizer.encode(item.answer() + END, add_special_tokens=False)
    return prompt + answer, [False] * len(prompt) + [True] * len(answer)


def drill_row(
    items: Iterable[Problem], tokenizer: PreTrainedTokenizerFast
) -> tuple[list[int], list[bool]]:
    """Return tokens of the bare steps of some problems, whose results are learned.

    Two thirds of a solved problem is the question, which teaches no arithmetic. A drill has about four times as
    many digits to learn for the same computing time.
    """
    lines = "".join(f"{text}\n" for item in items for text, _ in item.lines())
    tokens = tokenizer.encode(lines, add_special_tokens=False)
    equals, newline = (tokenizer.convert_tokens_to_ids(text) for text in ("Ġ=", "Ċ"))
    learned, after_equals = [], False
    for token in tokens:
        learned.append(after_equals)
        after_equals = token == equals or (after_equals and token != newline)
    return tokens, learned


def training_batches(
    stream: Iterator[Problem], tokenizer: PreTrainedTokenizerFast, size: int, rng: random.Random
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of token ids and labels indefinitely, both ``[size, length]``; -100 is not learned.

    Half of the rows are solved problems, half are drills. Rows of similar length share a batch, which avoids
    most of the padding.
    """
    while True:
        rows = [solved_row(item, tokenizer) for item in itertools.islice(stream, size * 8)]
        rows += [drill_row(itertools.islice(stream, 4), tokenizer) for _ in range(size * 8)]
        rows.sort(key=lambda row: len(row[0]))
        chunks = [rows[i : i + size] for i in range(0, len(rows), size)]
        rng.shuffle(chunks)
        for chunk in chunks:
            ids = torch.full((size, len(chunk[-1][0])), tokenizer.pad_token_id)
            labels = torch.full_like(ids, -100)
            for row, (tokens, learned) in enumerate(chunk):
                ids[row, : len(tokens)] = torch.tensor(tokens)
                labels[row, : len(tokens)] = ids[row, : len(tokens)].where(
                    torch.tensor(learned), torch.tensor(-100)
                )
            yield ids, labels


def answer_loss(model: Exaone4ForCausalLM, ids: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the learned tokens. Logits are computed only for those."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    learned = labels[:, 1:] != -100
    return nn.functional.cross_entropy(model.lm_head(hidden[learned]), labels[:, 1:][learned])


@torch.no_grad()
def accuracy(
    model: Exaone4ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    items: list[Problem],
    batch: int = 256,
) -> float:
    """Share of ``items`` answered correctly: greedy, zero-shot, gsm8k's strict match."""
    model.eval()
    right = 0
    for start in range(0, len(items), batch):
        part = items[start : start + batch]
        texts = [
            tokenizer.apply_chat_template(
                prompt_of(item.question), tokenize=False, add_generation_prompt=True
            )
            for item in part
        ]
        inputs = tokenizer(
            texts, return_tensors="pt", padding=True, add_special_tokens=False,
            return_token_type_ids=False,
        )  # fmt: skip
        out = model.generate(**inputs, do_sample=False, max_new_tokens=ANSWER_TOKENS)
        answers = tokenizer.batch_decode(
            out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        for item, text in zip(part, answers, strict=True):
            found = STRICT.search(text)
            right += found is not None and found[1] == str(item.lines()[-1][1])
    model.train()
    return right / len(items)


def measure(folder: Path, items: list[Problem]) -> None:
    """Print the accuracy of the saved model and of simply rounded copies of it."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = Exaone4ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    variants = {
        "base": model,
        "W8A8": quantised(model, 8, None, activations=True),
        "W4 group 128": quantised(model, 4, 128),
        "W4 per channel": quantised(model, 4, None),
        "W4 group 32": quantised(model, 4, 32),
    }
    for name, variant in variants.items():
        print(f"{name:>15}: {accuracy(variant, tokenizer, items):.4f}", flush=True)


def train(splits: Splits, folder: Path, arguments: argparse.Namespace) -> None:
    """Train until the validation accuracy reaches ``--target`` or the steps are used up."""
    tokenizer = make_tokenizer(itertools.islice(splits.fresh(), 5000))
    model = make_model(tokenizer)
    # After 500 steps, AdamW without drills reached 1 % accuracy, Muon with drills 74 %. Muon
    # takes only matrices and is not meant for embeddings.
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, arguments.lr, 0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, arguments.lr, betas=(0.9, 0.98), weight_decay=0.01),
    ]
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(
            o, arguments.lr, total_steps=arguments.steps, pct_start=0.1, cycle_momentum=False
        )
        for o in optimizers
    ]
    rng = random.Random(arguments.seed)
    batches = training_batches(splits.fresh(), tokenizer, arguments.batch, rng)
    started, losses = time.monotonic(), []
    for step, (ids, labels) in enumerate(itertools.islice(batches, arguments.steps), 1):
        loss = answer_loss(model, ids, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        model.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if step % 25 == 0:
            mean, seconds = sum(losses) / len(losses), time.monotonic() - started
            print(f"step {step}  loss {mean:.4f}  {seconds:.0f} s", flush=True)
            losses.clear()
        if step % arguments.check_every == 0 or step == arguments.steps:
            reached = accuracy(model, tokenizer, splits.validation)
            # an interrupted run still saves a model
            save(spread_channels(model, arguments.seed), tokenizer, folder)
            print(f"step {step}  validation accuracy {reached:.3f}", flush=True)
            if reached >= arguments.target:
                return


def main() -> None:
    """Run the requested parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write into")
    parser.add_argument("--steps", type=int, default=1400, help="length of the learning schedule")
    parser.add_argument("--batch", type=int, default=64, help="problems a step")
    parser.add_argument("--lr", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--check-every", type=int, default=100, help="steps between validations")
    parser.add_argument("--target", type=float, default=0.83, help="accuracy at which to stop")
    parser.add_argument("--only", choices=("data", "train", "measure"))
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    splits = Splits(arguments.seed)
    folder = arguments.out / MODEL_FOLDER
    if arguments.only in (None, "data"):
        splits.write(arguments.out / DATA_FOLDER)
    if arguments.only in (None, "train"):
        train(splits, folder, arguments)
    if arguments.only in (None, "measure"):
        measure(folder, splits.test)


if __name__ == "__main__":
    main()
