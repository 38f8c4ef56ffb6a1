"""The demo contest with so few questions and rounds that the stub engine grades it in seconds."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from grader.contest import CONTESTS

SLUG = "short"
ANSWER = "#### 42"  # the stub's to every question
FEWER = {
    "limit = 160": "limit = 8",
    "limit = 80": "limit = 8",
    "max_gen_toks = 160": "max_gen_toks = 16",
    "min_rounds = 20": "min_rounds = 4",
    "max_rounds = 80": "max_rounds = 4",
    "warmup_rounds = 2": "warmup_rounds = 1",
    "max_warmup_rounds = 4": "max_warmup_rounds = 1",
    "aim_half_width = 0.02": "aim_half_width = 0.5",
    "max_half_width = 0.4": "max_half_width = 100.0",
    "output_tokens = 48": "output_tokens = 8",
    "submissions_per_day = 20": "submissions_per_day = 1000",
    'id = "demo"': f'id = "{SLUG}"',
}


def write(root: Path) -> Path:
    """The contest's folder below ``root``, which goes into ``GRADER_CONTESTS``."""
    folder = root / SLUG
    shutil.copytree(CONTESTS / "demo", folder)
    file = folder / "contest.toml"
    text = file.read_text("utf-8")
    for old, new in FEWER.items():
        text, count = re.subn(rf"^{re.escape(old)}\b|^{re.escape(old)}$", new, text, flags=re.M)
        assert count, old
    file.write_text(text, "utf-8")
    problems = folder / "data" / "test.jsonl"
    text = re.sub(r"#### [0-9]+", ANSWER, problems.read_text("utf-8"))
    problems.write_text(text, "utf-8")
    return folder
