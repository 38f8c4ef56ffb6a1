"""Errors in drafting a contest, in words: the problem and the fix."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from leaderboard.core.errors import Refused

# Code -> (sentence, hint).
WORDS: dict[str, tuple[Promise, Promise]] = {
    "BASE_NOT_A_MODEL": (
        _("%(base)s is no model: %(why)s"),
        _(
            "Name a folder with config.json and safetensors weights, or a repository of the Hub as owner/name."
        ),
    ),
    "BASE_WITHOUT_HEADERS": (
        _("%(base)s has neither safetensors weights nor tensors.json"),
        _("Save the model again with save_pretrained: other formats are not read."),
    ),
    "BASE_WITHOUT_TOKENIZER": (
        _("%(base)s has no tokenizer.json, which graders read"),
        _("Save it into the folder with AutoTokenizer.from_pretrained(…).save_pretrained(…)."),
    ),
    "BASE_FAILS_CHECK": (
        _("the base model itself would be refused as an entry: %(problems)s"),
        _("Choose another base model, or fetch this one again."),
    ),
    "BASE_ON_HUB": (
        _("%(base)s cannot be read from the Hub: %(error)s"),
        _("Check the name, the revision and the network. For a private repository, set HF_TOKEN."),
    ),
    "HUB_GATED": (
        _("%(base)s is gated"),
        _("Accept its terms on the Hub, then set HF_TOKEN to a token of that account."),
    ),
    "HUB_RENAMED": (
        _("%(base)s is called %(name)s now"),
        _("Use the new name: --base %(name)s."),
    ),
    "NO_CHAT_TEMPLATE": (
        _("%(benchmark)s wants a chat template, and the tokenizer of %(base)s has none"),
        _("Add --no-chat-template, or put chat_template.jinja into the base model's folder."),
    ),
    "BENCHMARK_UNKNOWN": (
        _("there is no benchmark %(name)s here; known: %(known)s"),
        _("%(near)sAnother task of lm-eval can be added to the written file by hand."),
    ),
    "BENCHMARK_TOO_LONG": (
        _("%(benchmark)s needs %(tokens)s tokens, and the model reads %(longest)s"),
        _("Leave it out with --benchmarks, or choose a base model with a longer context."),
    ),
    "TWINS_UNREADABLE": (
        _("%(file)s cannot be read as questions: %(error)s"),
        _("It needs a JSON object with question and answer in every line."),
    ),
    "TWINS_NONE": (
        _("none of the %(count)s questions in %(file)s can be rewritten"),
        _("Solutions need their arithmetic, <<48/2=24>>, and a last line #### 24."),
    ),
    "TWINS_TOO_FEW": (
        _("only %(count)s questions of %(file)s can be rewritten, and a twin needs %(least)s"),
        _("Give more questions, for example the whole test set."),
    ),
    "TWINS_NO_BENCHMARK": (
        _("there is no benchmark to make a twin of; it can be made of: %(known)s"),
        _("Name one of them with --benchmarks, or leave out --twins."),
    ),
    "GPU_UNKNOWN": (
        _("there is no GPU %(name)s here; known: %(known)s"),
        _("%(near)sFor another one, take the nearest and change [hardware] in the written file."),
    ),
    "GPU_TOO_SMALL": (
        _("one engine needs %(needed)s GB of each GPU, and of %(gpu)s %(has)s GB can be used"),
        _("Choose one with enough memory: %(enough)s."),
    ),
    "CONTEST_ID": (
        _("%(name)s cannot be the id of a contest"),
        _("Give --id with at most 50 letters, digits, dots, dashes and underscores."),
    ),
    "FOLDER_EXISTS": (
        _("%(folder)s exists already"),
        _("Choose another folder with --out, or add --force to replace a contest there."),
    ),
    "FOLDER_NOT_A_CONTEST": (
        _("%(folder)s is not a contest's folder, so it is not replaced"),
        _("Choose another folder with --out."),
    ),
    "FOLDER_UNWRITABLE": (
        _("%(folder)s cannot be written: %(error)s"),
        _("Choose another folder with --out, or make room."),
    ),
}

# Notices: the contest is written anyway. Code -> (sentence, hint).
NOTICES: dict[str, tuple[Promise, Promise]] = {
    "REFERENCE_LEFT_OUT": (
        _("no reference %(recipe)s: %(why)s"),
        _("Nothing has to be done."),
    ),
    "BENCHMARK_LEFT_OUT": (
        _(
            "no benchmark %(benchmark)s: it needs %(tokens)s tokens, and the model reads %(longest)s"
        ),
        _("Nothing has to be done."),
    ),
    "DATASET_NOT_PINNED": (
        _("the data set %(dataset)s is not pinned to a commit"),
        _("Run manage.py prefetch %(file)s --pin once you have access, and add what it prints."),
    ),
    "HEAD_TWICE": (
        _("the weights hold the tied embedding a second time as lm_head: %(size_bytes)s bytes"),
        _("They count in safetensors_bytes, so leaving them out is a saving that every team has."),
    ),
    "BASE_QUANTIZED": (
        _("the base model is quantized already (%(method)s), so there are no references"),
        _("Add [[references]] by hand if you have recipes that can compress it further."),
    ),
    "IN_TURNS": (
        _("base model and candidate do not fit %(gpu)s side by side, so they take turns"),
        _("manage.py trycontest says what that costs in minutes and in width."),
    ),
    "WEIGHTS_ELSEWHERE": (
        _("the contest's folder holds headers, not weights"),
        _("Put the weights into the folder %(name)s in GRADER_BASE_MODELS of every worker."),
    ),
}


def refused(code: str, **values: object) -> Refused:
    return Refused(code, words=WORDS[code], **values)  # type: ignore[arg-type]
