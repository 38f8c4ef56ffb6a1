"""The demo's progress output: a line per stage and, on a terminal, a live line for the running grade."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Console

from leaderboard.models import Evaluation


class Say:
    """Prints progress on stderr, each line with the seconds since the start."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self.started = time.monotonic()
        self.seen: dict[str, tuple[str, str]] = {}
        self.live = self.console.status("") if self.console.is_terminal else None

    def __call__(self, text: str) -> None:
        self.console.print(f"{time.monotonic() - self.started:5.0f} s  {text}", markup=False)

    def state(self, name: str, state: dict[str, Any]) -> None:
        """Print what changed about a submission (the API's answer for it)."""
        now = (state["status"], state["stage"])
        progress = state["progress"] or {}
        if self.live:
            self.live.start()
            if progress.get("total"):
                steps = f"{progress['done']}/{progress['total']} {progress.get('note', '')}"
                self.live.update(f"{name}: {state['stage']} {steps}")
        if self.seen.get(name) == now:
            return
        self.seen[name] = now
        text = f"{name}: {state['status']}"
        if state["status"] in Evaluation.UNFINISHED:
            text += f" · {state['stage']}"
        if state["score"] is not None:
            text += f" · {state['score']:.4f} ± {state['half_width']:.4f}"
        self(text)
        for problem in state["problems"]:
            self(
                f"    {problem['code']} {problem['where']}: {problem['sentence']} {problem['hint']}"
            )

    def done(self) -> None:
        if self.live:
            self.live.stop()
