"""Runs both sides over all configs and sorts every difference under the name that explains it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.differential.known import KNOWN, Kind, Known
from tests.differential.ours import Case, Verdict, for_engine, judge

# The engine has read the config and built a layer's scheme; only this device has no kernel for it.
_NOT_ON_A_CPU = re.compile(
    "layer: ValueError: (Failed to find a kernel|Marlin does not support weight_bits = uint8b128)"
    "|run: RuntimeError: _C::"
)
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Difference:
    case: Case
    kind: Kind
    ours: str
    engine: str

    def __str__(self) -> str:
        return f"{self.case.id}: {self.kind}\n  ours:   {self.ours}\n  engine: {self.engine}"


@dataclass(slots=True)
class Outcome:
    """``explained``: by entry of :data:`KNOWN`; ``stale``: entries that no longer explain anything."""

    count: int
    explained: dict[Known, list[Difference]] = field(default_factory=lambda: defaultdict(list))
    unexplained: list[Difference] = field(default_factory=list)

    @property
    def stale(self) -> list[str]:
        return [known.name for known in KNOWN if known not in self.explained]


def run(cases: Sequence[Case]) -> Outcome:
    ours = {case.id: judge(case) for case in cases}
    assert len(ours) == len(cases), "two cases of one id"
    engine = _engine([for_engine(case, ours[case.id][1]) for case in cases])
    outcome = Outcome(len(cases))
    for case in cases:
        for difference in _differences(case, ours[case.id][0], engine[case.id]):
            known = next((entry for entry in KNOWN if entry.explains(difference)), None)
            if known:
                outcome.explained[known].append(difference)
            else:
                outcome.unexplained.append(difference)
    return outcome


def _engine(cases: list[dict[str, object]]) -> dict[str, Verdict]:
    """Return the engine's verdicts."""
    return {
        name: Verdict(
            found.get("refused", ""),
            {layer: (bits, size) for layer, (bits, size) in found.get("layers", {}).items()},
        )
        for name, found in ask_engine("tests.differential.engine", cases).items()
    }


def ask_engine(module: str, question: object = None) -> dict[str, Any]:
    """Run a module in a process of its own, where the engine's imports and settings stay; return its answer."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        # Layers run without being compiled first, and the engine logs errors only.
        env={
            **os.environ,
            "TORCHDYNAMO_DISABLE": "1",
            "VLLM_LOGGING_LEVEL": "ERROR",
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo",
        },
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _differences(case: Case, ours: Verdict, engine: Verdict) -> Iterator[Difference]:
    if ours.refused and engine.refused:
        if not ours.refused.startswith("KERNEL_") and _NOT_ON_A_CPU.match(engine.refused):
            yield Difference(case, "refused, a GPU may run it", ours.refused, engine.refused)
    elif engine.refused:
        yield Difference(case, "accepted, engine refuses", _words(ours), engine.refused)
    elif ours.refused:
        yield Difference(case, "refused, engine runs", ours.refused, _words(engine))
    both_read = not (ours.refused or engine.refused) or (ours.layers and engine.layers)
    if both_read and engine.layers != ours.layers:
        names = sorted({*ours.layers, *engine.layers})
        apart = [name for name in names if ours.layers.get(name) != engine.layers.get(name)]
        yield Difference(case, "read differently", _words(ours, apart), _words(engine, apart))


def _words(verdict: Verdict, names: Sequence[str] | None = None) -> str:
    """``4 bit g64 model.layers.0.self_attn.q_proj (+6)``, by scheme."""
    by_scheme: dict[str, list[str]] = defaultdict(list)
    for name in verdict.layers if names is None else names:
        bits, size = verdict.layers.get(name, (16, 0))
        by_scheme[f"{bits} bit" + (f" g{size}" if size else "")].append(name)
    return "; ".join(
        f"{scheme} {layers[0]} (+{len(layers) - 1})" for scheme, layers in by_scheme.items()
    )
