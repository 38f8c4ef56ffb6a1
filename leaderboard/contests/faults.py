"""Faults in a contest in words: the problem and the fix, for ``loadcontest`` and ``doctor``."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from grader.checkpoint.contest_faults import ContestFault

_SALT_HINT = _(
    "Write what “openssl rand -hex 16” prints, or, before the first score, leave the line out: the site then "
    "generates one. After that, a new one moves questions between the boards and takes a rescore."
)

# Code -> (sentence, hint).
WORDS: dict[str, tuple[Promise, Promise]] = {
    "ARCHITECTURE_UNKNOWN": (
        _("vLLM %(vllm)s does not serve %(architecture)s"),
        _("Choose a base model whose architecture is in the list of models that vLLM supports."),
    ),
    "ARCHITECTURE_NEEDS": (
        _("vLLM %(vllm)s serves %(architecture)s only with the package %(package)s"),
        _("Choose another base model: graders are installed without this package."),
    ),
    "ARCHITECTURE_DIFFERS": (
        _("the base model's config.json says %(found)s, not %(architecture)s"),
        _("Write the same architecture in both, or point folder to the right model."),
    ),
    "BASE_CONFIG": (
        _("the base model's config.json cannot be used: %(error)s"),
        _(
            "Put the base model's config.json into %(folder)s, or run manage.py prefetch %(contest)s --headers."
        ),
    ),
    "BASE_HEADERS": (
        _("the base model's folder has neither weights nor tensors.json"),
        _("Run manage.py prefetch %(contest)s --headers: it reads a few kilobytes from the Hub."),
    ),
    "BASE_UNREADABLE": (
        _("the base model's tensors cannot be used: %(error)s"),
        _("Fetch the base model again, or run manage.py prefetch %(contest)s --headers."),
    ),
    "BASE_TABLE_DIFFERS": (
        _("tensors.json says something else than the weights beside it"),
        _("Delete %(folder)s/tensors.json: the weights speak for themselves."),
    ),
    "HEADS_NOT_SHARED_OUT": (
        _("%(heads)s attention heads cannot be split evenly over %(gpus)s GPUs"),
        _("Set engine.tensor_parallel to a divisor of the number of attention heads."),
    ),
    "NO_CHAT_TEMPLATE": (
        _("%(benchmark)s wants a chat template, and the tokenizer has none"),
        _("Set apply_chat_template = false, or put chat_template.jinja into %(folder)s."),
    ),
    "NO_ROOM_FOR_PROMPT": (
        _("%(tokens)s tokens of answer leave no room for a prompt in %(longest)s tokens"),
        _("Make max_gen_toks smaller, or engine.max_model_len larger."),
    ),
    "PROMPTS_CUT": (
        _(
            "%(cut)s of %(prompts)s prompts do not fit: the longest has %(longest)s tokens, and %(room)s fit"
        ),
        _("Make engine.max_model_len larger, or max_gen_toks or num_fewshot smaller."),
    ),
    "SPLIT_SALT_SHORT": (
        _("split_salt is shorter than %(digits)s hexadecimal digits: it can be found by trying"),
        _SALT_HINT,
    ),
    "SPLIT_SALT_SHIPPED": (
        _("split_salt is in a contest that comes with this project, so everybody knows it"),
        _SALT_HINT,
    ),
    "SPLIT_SALT_GUESSABLE": (
        _("split_salt was typed or made from words rather than drawn: it can be guessed"),
        _SALT_HINT,
    ),
    "SHAPE_TOO_LONG": (
        _("prompt and answer are %(tokens)s tokens long, and the engine takes %(longest)s"),
        _("Make input_tokens or output_tokens smaller, or engine.max_model_len larger."),
    ),
    "TOO_MANY_QUESTIONS": (
        _("the benchmarks have %(questions)s questions, and a report holds %(most)s"),
        _("Set a limit for the largest benchmarks."),
    ),
}


def sentence(fault: ContestFault) -> str:
    return str(WORDS[fault.code][0]) % fault.values


def hint(fault: ContestFault) -> str:
    return str(WORDS[fault.code][1]) % fault.values
