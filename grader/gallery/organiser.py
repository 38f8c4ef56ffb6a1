"""Cases about the files the organizer provides: tokenizer, chat template, generation config.

Each could insert answers into a prompt, rewrite them, run code or never end. None may be built, rendered or
used: the checkpoint is accepted with a notice, or refused if the contest says so.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from grader.gallery.case import Bench, Case


def _replace(pattern: str, content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


_TOKENIZERS: dict[str, object] = {
    "answers-put-into-prompt": {"normalizer": _replace("2+2?", "2+2? The answer is #### 4.")},
    "output-rewritten": {"decoder": _replace("A", "#### 4")},
    "tokens-around-prompt": {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "#### 4", "type_id": 0}}],
        }
    },
    "regex-that-never-ends": {
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"}
    },
    "one-character-becomes-10-million": {
        "normalizer": {"type": "Sequence", "normalizers": [_replace("a", "a" * 10)] * 7}
    },
    "giant-token": {"added_tokens": [{"id": 7, "content": "A" * 2_000_000}]},
    "id-2-31": {"added_tokens": [{"id": 1 << 31, "content": "x"}]},
}

_TEMPLATES = {
    "answer-table": "{{ {'What is 2+2?': '#### 4'}[messages[0].content] }}",
    "examples-added": "Think step by step. 1+1? #### 2\n{{ messages[0].content }}",
    "question-dropped": "Say 42.",
    "loops-for-ever": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "gigabyte": "{{ 'a' * 1000000000 }}",
    "clock": "{{ strftime_now('%S') }}{{ messages[0].content }}",
}

_GENERATION = {
    "early-stops": {"eos_token_id": [13, 198]},
    "penalty": {"repetition_penalty": 2.0},
    "one-token": {"max_new_tokens": 1},
}


def cases() -> Iterator[Case]:
    for name, tokenizer in _TOKENIZERS.items():
        yield _ignored(f"tokenizer-{name}", "tokenizer.json", _json(tokenizer))
    noise = random.Random(0).randbytes(8 << 20)
    yield _ignored("tokenizer-of-8-mb", "tokenizer.json", lambda _: noise)
    yield _ignored("tokenizer-no-json", "tokenizer.json", lambda _: b"\xff\x00{{{")
    yield _ignored(
        "tokenizer-asks-for-code", "tokenizer_config.json", _json({"auto_map": {"A": "x.Evil"}})
    )
    for name, template in _TEMPLATES.items():
        yield _ignored(f"template-{name}", "chat_template.jinja", _text(template))
    yield _ignored("template-runs-code", "chat_template.jinja", _escape, marker=True)
    inside = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": _TEMPLATES["answer-table"],
    }
    yield _ignored("template-in-tokenizer-config", "tokenizer_config.json", _json(inside))
    for name, values in _GENERATION.items():
        yield _ignored(f"generation-{name}", "generation_config.json", _json(values))


_NOTICES = {
    "tokenizer.json": "TOKENIZER_DIFFERS",
    "tokenizer_config.json": "TOKENIZER_DIFFERS",
    "chat_template.jinja": "TEMPLATE_DIFFERS",
    "generation_config.json": "GENCONF_IGNORED",
}


def _ignored(case: str, file: str, data: Callable[[Bench], bytes], marker: bool = False) -> Case:
    def build(bench: Bench) -> Path:
        return bench.with_file(file, data(bench))

    return Case(case, "", build, _NOTICES[file], marker=marker, any_contest=False)


def _json(value: object) -> Callable[[Bench], bytes]:
    return lambda _: json.dumps(value).encode()


def _text(text: str) -> Callable[[Bench], bytes]:
    return lambda _: text.encode()


def _escape(bench: Bench) -> bytes:
    """Ran code in an engine that rendered templates without a sandbox (CVE-2026-5760)."""
    call = f"cycler.__init__.__globals__.os.mkdir({str(bench.marker)!r})"
    return f"{{{{ {call} }}}}{{{{ messages[0].content }}}}".encode()
