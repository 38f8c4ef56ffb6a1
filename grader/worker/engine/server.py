"""One vLLM server in a sandbox, from its flags to the end of its last process.

The engine listens only on a Unix socket in its scratch folder, so it is reachable in a sandbox without a
network. CPU and CUDA share this code; :mod:`grader.worker.engine.flags` has the few flags that differ.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from grader.contest import Contest
from grader.worker.engine import config_check, flags, http
from grader.worker.engine.log import Log, meaningful_error, out_of_memory
from grader.worker.faults import Stopped, failed, rejected
from grader.worker.sandbox import box
from grader.worker.settings import Settings

_log = logging.getLogger(__name__)

MODEL_NAME = "graded"
PROBE_TOKENS = 4
POLL_S = 0.2
ENDING_S = 5.0
HEALTH_S = 5.0
WELL_S = 30.0  # for a few tokens, with nothing else to do
# A candidate is blamed for a timeout only if it is this much slower than the base model on the same machine.
FAR_SLOWER = 3.0


@dataclass(frozen=True, slots=True)
class Model:
    """What an engine loads. ``role`` is ``base`` or ``candidate`` and decides who is at fault if it fails."""

    role: str
    folder: Path
    weights_bytes: int


class Engine:
    """One model's engine, as ``launch`` makes it. :meth:`kill` may be called from any thread.

    Where the contest's engines take turns, it is started and ended several times.
    """

    def __init__(
        self, model: Model, contest: Contest, settings: Settings, scratch: Path, level: str
    ) -> None:
        self.model, self.contest, self.settings = model, contest, settings
        self.uds = scratch / "engine.sock"
        self.arguments = flags.arguments(model.folder, self.uds, contest, settings)
        self._walls = box.Box(
            level=level,
            scratch=scratch,
            inputs=flags.inputs(model.folder, contest, settings),
            gpu=settings.device == "cuda",
            memory_bytes=settings.memory_bytes,
            worker=settings.scratch,
        )
        self.startup_s = 0.0
        self._give_turn: Callable[[Engine], None] | None = None
        self.start()

    def start(self) -> None:
        """Start its process; :meth:`wait_ready` waits for it."""
        self.uds.unlink(missing_ok=True)  # an engine that was killed leaves its socket behind
        self._started = time.monotonic()
        command = [*self.settings.engine, *self.arguments]
        environment = flags.environment(self._walls.scratch, self.settings)
        self._child = box.start(command, environment, self._walls)
        self._log = Log(self._child.output, self.model.role)
        self._too_large = False
        if self.settings.memory_bytes:
            watch = threading.Thread(target=self._watch_memory, args=(self._child,), daemon=True)
            watch.start()

    def take_turn(self) -> None:
        """Serve from here on. Nothing happens where the engines run side by side.

        Raises:
            Failed: it did not come up again.
        """
        if self._give_turn is not None and not self.is_running:
            self._give_turn(self)

    def take_turns(self, give_turn: Callable[[Engine], None]) -> None:
        """From here on run only when ``give_turn`` starts it."""
        self._give_turn = give_turn

    @property
    def is_running(self) -> bool:
        return self._child.exit_code() is None

    @property
    def loaded_bytes(self) -> int:
        """The size of the weights that the engine reported, over all its GPUs; 0 if it did not.

        The engine reports for its first GPU; the others hold tensors of the same shapes.
        """
        return self._log.loaded_bytes * self.contest.engine.tensor_parallel

    @property
    def published_flags(self) -> tuple[str, ...]:
        """Return its flags for a report, without folders of this machine."""
        return flags.published(self.arguments)

    @property
    def pids(self) -> list[int]:
        # the number of one that has ended may belong to another process by now
        return [self._child.keeper_pid, *self._child.pids()] if self.is_running else []

    def frozen(self) -> contextlib.AbstractContextManager[box.Freezer]:
        """Pause the engine so that it takes no resources from the one being measured; see
        :class:`box.Freezer`."""
        return self._child.frozen()

    def log_tail(self) -> str:
        return self._log.tail()

    def kill(self) -> None:
        """End every process of the engine and wait until they are gone."""
        self._child.kill()
        self._log.finish()

    def wait_ready(self, check: Callable[[], None], base_startup_s: float = 0.0) -> None:
        """Wait until the engine serves, then verify that it serves this model as intended, with finite numbers.

        ``check`` is called between polls and may raise. ``base_startup_s`` is the base model's startup time
        here.

        Raises:
            Rejected, Failed: it exited, ran out of memory, took too long or computes NaN. Who is at fault
                depends on the role: see :meth:`refusal`.
            Failed: it resolved unintended settings. The checker should have caught this, so it is our fault.
        """
        limit_s = self.contest.engine.startup_timeout_s
        while not self._healthy():
            check()
            if (code := self._child.exit_code()) is not None:
                raise self._ended(code)
            if time.monotonic() > self._started + limit_s:
                detail = f"not ready after {limit_s:g} s"
                if FAR_SLOWER * base_startup_s > limit_s:
                    raise self._timeout(f"{detail}, base model after {base_startup_s:.0f} s")
                raise self.refusal("LOAD_TIMEOUT", detail)
            time.sleep(POLL_S)
        if deviation := config_check.find_deviation(self._log.start_line, self.model.folder):
            raise failed("SYS_RESULT_INVALID", self.model.role, deviation, self.log_tail())
        self._probe(self.settings.silence_s)
        self.startup_s = time.monotonic() - self._started

    def ask(
        self, path: str, body: dict[str, Any] | None = None, patience_s: float = HEALTH_S
    ) -> http.Answer:
        """Make one short call. Raises like :func:`grader.worker.engine.http.ask`."""
        return http.ask(self.uds, path, body, patience_s=patience_s)

    def died(self, error: Exception | str) -> Stopped:
        """Return the fault to raise after a request failed with ``error``."""
        code = self._exit_code_after(error)
        if code is None:
            self.kill()
            reason = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else error
        else:
            self._log.finish()
            reason = f"exit code {code}"
        lines = self._log.lines()
        if self._is_too_large() or out_of_memory(lines):
            return self.refusal("RUN_OOM")
        detail = f"{reason}; {meaningful_error(lines)}".rstrip("; ")
        return failed("SYS_ENGINE_DIED", self.model.role, detail, self.log_tail())

    def _exit_code_after(self, error: Exception | str) -> int | None:
        """Return None if it is alive. A dying process closes its socket before it exits, long before if it is
        busy.
        """
        broken = isinstance(error, httpx.TransportError)
        patience_s = (
            ENDING_S if broken and not isinstance(error, httpx.TimeoutException) else POLL_S
        )
        deadline = time.monotonic() + patience_s
        while (code := self._child.exit_code()) is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return code

    def refusal(self, code: str, detail: str = "") -> Stopped:
        """Return the fault for a failure caused by the model: the team's for a candidate, ours for the base.

        Running out of memory is the team's fault only if the checkpoint is larger than the base model, which
        fit.
        """
        too_large = self._is_too_large()
        self.kill()
        lines, tail = self._log.lines(), self.log_tail()
        detail = detail or meaningful_error(lines) or f"exit code {self._child.exit_code()}"
        if too_large or (code.endswith("_ENGINE") and out_of_memory(lines)):
            code = code.replace("_ENGINE", "_OOM")
        if self.model.role == "base":
            return failed("SYS_BASE_MODEL", code, detail, tail)
        fits = self.model.weights_bytes <= self.contest.base_model.safetensors_bytes
        if code.endswith("_OOM") and fits:
            return failed("SYS_OOM", self.model.role, detail, tail)
        return rejected(code, "", detail, tail)

    def _ended(self, code: int) -> Stopped:
        """Return the fault for an engine that exited while loading. A candidate killed without a message may be
        the machine's fault; the site blames the checkpoint if it happens on a second machine.
        """
        self._log.finish()
        lines = self._log.lines()
        is_silent = code > 128 and not meaningful_error(lines) and not out_of_memory(lines)
        if self.model.role == "base" or not is_silent or self._is_too_large():
            return self.refusal("LOAD_ENGINE")
        detail = f"exit code {code} while loading"
        return failed("SYS_ENGINE_DIED", self.model.role, detail, self.log_tail())

    def _timeout(self, detail: str) -> Stopped:
        self.kill()
        return failed("SYS_TIMEOUT", self.model.role, detail, self.log_tail())

    def is_well(self) -> bool:
        """Whether it serves as it did when it was ready; where it does not, it may be killed."""
        try:
            if self._healthy():
                self._probe(WELL_S)
                return True
        except Stopped as fault:
            _log.warning("%s: %s", self.model.role, fault)
        return False

    def _healthy(self) -> bool:
        try:
            return self.uds.exists() and self.ask("/health").status == 200
        except (httpx.TransportError, ValueError):
            return False  # not listening yet, or no longer: the exit code says which

    def _probe(self, patience_s: float) -> None:
        """Check that the engine serves our folder and that a fixed prompt has finite probabilities."""
        prompt = list(range(5, 5 + 2 * PROBE_TOKENS))
        body = {"model": MODEL_NAME, "prompt": prompt, "max_tokens": PROBE_TOKENS, "temperature": 0,
                "logprobs": 1, "echo": True, "ignore_eos": True}  # fmt: skip
        try:
            served = self.ask("/v1/models", patience_s=patience_s).document()
            roots = {str(entry["id"]): entry.get("root") for entry in served["data"]}
            answer = self.ask("/v1/completions", body, patience_s)
        except (httpx.TransportError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise self.died(error) from error
        if roots.get(MODEL_NAME) != str(self.model.folder):
            raise failed(
                "SYS_RESULT_INVALID", self.model.role, "the engine serves a different model"
            )
        if answer.status == 400 and "Out of range float" in answer.text[:2000]:
            raise self.refusal("RUN_NONFINITE", "NaN or infinite log-probabilities")
        try:
            logprobs = answer.document()["choices"][0]["logprobs"]["token_logprobs"]
        except (ValueError, LookupError, TypeError) as error:
            raise self.died(f"HTTP {answer.status}: {answer.text[:200]}") from error
        # the first token has no probability
        is_whole = isinstance(logprobs, list) and len(logprobs) >= PROBE_TOKENS
        if not is_whole or not all(_finite(value) for value in logprobs[1:]):
            raise self.refusal("RUN_NONFINITE", "NaN or infinite log-probabilities")

    def _is_too_large(self) -> bool:
        """Return whether we or the kernel ended it because of its memory. Call before the kill, which removes
        the group.
        """
        return self._too_large or self._child.group.ran_out_of_memory()

    def _watch_memory(self, child: box.Child) -> None:
        while child.exit_code() is None:
            if child.resident_bytes() > self.settings.memory_bytes:
                self._too_large = True
                child.kill()
            time.sleep(1.0)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
