"""Runs the gallery through the site: every bad, tricky and good submission must get its known verdict.

1. Create a hidden contest around the gallery's tiny base model, and a staff account with a token for this run.
2. Build every case and enter it over HTTP, as participants do; the site's own queue checks it.
3. Compare verdicts: code and stage of rejections, acceptance of the rest, and that no code from a submission
   ran (each marked case would leave a file).
4. Send some accepted checkpoints of the real contest on to a worker. They must be scored, and those that only
an
   engine can refuse must be refused.

Rows stay as evidence; the run's accounts, tokens and queued evaluations do not. Engines that crash or hang have
no case here, because a deployment has no misbehaving stub engine; ``tests/grader/worker`` covers them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from django.conf import settings
from django.contrib.auth.models import User

from grader import gallery
from leaderboard import lifecycle
from leaderboard.accounts import tokens
from leaderboard.models import Contest, ContestVersion, Evaluation, Submission

HIDDEN = "selftest"


def one_per_code(cases: Iterable[gallery.Case]) -> list[gallery.Case]:
    """The first case of each code and each notice: a quick run that still covers every rule."""
    chosen: dict[tuple[str, str], gallery.Case] = {}
    for case in cases:
        chosen.setdefault((case.code, case.notice), case)
    return list(chosen.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one case; ``fault`` is empty when it matches the gallery.

    ``expected`` is the code that must be found; empty for acceptance.
    """

    case: str
    expected: str
    fault: str


class Selftest:
    """One run against a running site. ``say`` is called with each verdict."""

    def __init__(
        self, url: str, folder: Path, say: Callable[[str], None], patience_s: float
    ) -> None:
        self.url, self.folder, self.say, self.patience_s = url, folder, say, patience_s
        self._total = self._done = 0

    def run(self, cases: list[gallery.Case], graded: tuple[Contest, int] | None) -> list[Verdict]:
        """Enter ``cases`` and, for ``graded`` = (contest, n), n good checkpoints and those of ``LOADED``."""
        good = [case for case in gallery.CASES if not case.code and case.any_contest]
        for_worker = [*good[: graded[1]], *gallery.LOADED] if graded else []
        self._total = len(cases) + len(for_worker)
        with self._client() as client:
            contest, entered = self._hidden_contest(), []
            for number, case in enumerate(cases, 1):
                entered.append(self._enter(client, contest, case))
                if number % 50 == 0 or number == len(cases):
                    self.say(f"{number}/{len(cases)} entered")
            verdicts = [self._settle(*entry) for entry in entered]
            if graded:
                waiting = [self._enter(client, graded[0], case) for case in for_worker]
                verdicts += [self._await_worker(*entry) for entry in waiting]
        return verdicts

    def _hidden_contest(self) -> Contest:
        tiny = gallery.tiny_contest(settings.HOME / HIDDEN)
        contest, _ = Contest.objects.get_or_create(slug=HIDDEN, defaults={"is_listed": False})
        version, _ = ContestVersion.objects.get_or_create(
            contest=contest,
            sha256=tiny.sha256,
            defaults={"source": tiny.source, "folder": str(tiny.folder)},
        )
        Contest.objects.filter(pk=contest.pk).update(version=version)
        return Contest.objects.select_related("version").get(pk=contest.pk)

    def _enter(
        self, client: httpx.Client, contest: Contest, case: gallery.Case
    ) -> tuple[gallery.Case, Path, httpx.Response]:
        bench = self.folder / f"{contest.slug}-{case.id}".replace("/", "-")
        bench.mkdir()
        archive = case.build(gallery.Bench(contest.rules, bench))
        fields = {"kind": Submission.Kind.SELFTEST.value, "title": case.id[:80]}
        address = f"/api/contests/{contest.slug}/submissions"
        while True:
            with archive.open("rb") as file:
                response = client.post(address, data=fields, files={"archive": file})
            if response.status_code != 429:
                break
            # The whole gallery exceeds one account's limit per minute.
            time.sleep(float(response.headers.get("Retry-After", "5")))
        archive.unlink()
        return case, bench, response

    def _settle(self, case: gallery.Case, bench: Path, response: httpx.Response) -> Verdict:
        """Wait for preflight's verdict, then withdraw an accepted case."""
        if response.status_code != 201:
            return self._verdict(case, bench, response.json().get("code", ""), "")
        evaluation = self._wait(response.json()["id"], lambda row: row.is_checked)
        if evaluation.is_checked and evaluation.status == Evaluation.Status.QUEUED:
            lifecycle.cancel(evaluation.pk, by="selftest")
        codes = [problem["code"] for problem in evaluation.problems]
        if evaluation.is_checked:
            return self._verdict(case, bench, "", evaluation.facts.get("scheme", ""), codes)
        found = case.code if case.code in codes else ", ".join(codes) or evaluation.status
        return self._verdict(case, bench, found, "")

    def _await_worker(self, case: gallery.Case, bench: Path, response: httpx.Response) -> Verdict:
        """Wait for the end of a grade: scored, or refused with the case's code."""
        name = f"graded {case.id}"
        if response.status_code != 201:
            return self._say(Verdict(name, case.code, f"HTTP {response.status_code}"))
        row = self._wait(response.json()["id"], lambda row: False)
        codes = [problem["code"] for problem in row.problems]
        expected = ("rejected", True) if case.code else ("scored", True)
        fault = ""
        if (row.status, not case.code or case.code in codes) != expected:
            found = " ".join([row.status, *codes])
            fault = f"expected {expected[0]} {case.code}".rstrip() + f", found {found}"
        if (bench / "executed").exists():
            fault = "something of the submission was executed"
        return self._say(Verdict(name, case.code, fault))

    def _wait(self, submission: int, enough: Callable[[Evaluation], bool]) -> Evaluation:
        deadline = time.monotonic() + self.patience_s
        while True:
            row = Evaluation.objects.get(submission=submission)
            if enough(row) or row.is_finished or time.monotonic() > deadline:
                return row
            time.sleep(0.1)

    def _verdict(
        self,
        case: gallery.Case,
        bench: Path,
        found: str,
        scheme: str,
        notices: list[str] | None = None,
    ) -> Verdict:
        fault = ""
        if (bench / "executed").exists():
            fault = "something of the submission was executed"
        elif found != case.code:
            fault = f"expected {case.code or 'acceptance'}, found {found or 'acceptance'}"
        elif case.scheme and scheme != case.scheme:
            fault = f"expected scheme {case.scheme}, found {scheme}"
        elif case.notice and case.notice not in (notices or []):
            fault = f"expected notice {case.notice}, found {notices}"
        return self._say(Verdict(case.id, case.code, fault))

    def _say(self, verdict: Verdict) -> Verdict:
        self._done += 1
        word = "FAIL" if verdict.fault else "ok  "
        found = verdict.fault or verdict.expected or "accepted"
        self.say(f"{self._done:4d}/{self._total} {word} {verdict.case}  {found}")
        return verdict

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        user, _ = User.objects.get_or_create(username="selftest", defaults={"is_staff": True})
        user.set_unusable_password()
        User.objects.filter(pk=user.pk).update(
            password=user.password, is_staff=True, is_active=True
        )
        token = tokens.issue_token(user, "selftest")
        headers = {"Authorization": f"Bearer {token}"}
        try:
            # The site closes idle connections; reusing one could find it closed.
            transport = httpx.HTTPTransport(
                limits=httpx.Limits(max_keepalive_connections=0), retries=3
            )
            with httpx.Client(
                base_url=self.url, headers=headers, timeout=60, transport=transport
            ) as client:
                yield client
        finally:
            for row in user.api_tokens.filter(revoked__isnull=True):
                tokens.revoke_token(user, row.pk)
            User.objects.filter(pk=user.pk).update(is_staff=False, is_active=False)
