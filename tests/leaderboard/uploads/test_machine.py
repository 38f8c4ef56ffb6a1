"""Any order of requests, failures and restarts: the server has what it says it has."""

from __future__ import annotations

import hashlib
import shutil

import hypothesis.strategies as st
import pytest
from django.core.cache import cache
from django.test import Client
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from leaderboard import uploads
from leaderboard.models import Evaluation, Submission, Upload
from leaderboard.storage import staging
from tests import factories
from tests.leaderboard.uploads.tus import Tus, checksum

SIZE = 64
DATA = bytes(range(SIZE))
pieces = st.binary(min_size=0, max_size=SIZE + 8)


class Protocol(RuleBasedStateMachine):
    """One upload of 64 known bytes; ``offset`` is what an honest client believes."""

    @initialize()
    def begin(self) -> None:
        Upload.objects.all().delete()
        Evaluation.objects.all().delete()
        Submission.objects.all().delete()
        shutil.rmtree(staging.folder())
        cache.clear()  # one person makes more uploads here than the rate limit allows
        self.tus = Tus(Client(), self.user)
        assert self.tus.create(SIZE).status_code == 201
        self.key = self.tus.url.rpartition("/")[2]
        self.offset = 0
        self.gone = False

    @rule(length=st.integers(0, SIZE), good=st.booleans())
    def append(self, length: int, good: bool) -> None:
        piece = DATA[self.offset : self.offset + length]
        response = self.tus.patch(
            self.offset, piece, Upload_Checksum=checksum(piece if good else piece + b"x", "sha1")
        )
        if self.gone:
            assert response.status_code == 404
        elif not good:
            assert response.status_code == 460
        else:
            self.offset += len(piece)
            assert (response.status_code, response["Upload-Offset"]) == (204, str(self.offset))

    @rule(length=st.integers(0, SIZE))
    def append_without_checksum(self, length: int) -> None:
        piece = DATA[self.offset : self.offset + length]
        if self.tus.patch(self.offset, piece).status_code == 204:
            self.offset += len(piece)

    @rule(offset=st.integers(0, 2 * SIZE), piece=pieces)
    def append_elsewhere(self, offset: int, piece: bytes) -> None:
        if offset != self.offset:
            assert self.tus.patch(offset, piece).status_code in (404, 409, 413)

    @rule(junk=pieces)
    @precondition(lambda self: not self.gone and self.offset < SIZE)
    def die_while_writing(self, junk: bytes) -> None:
        with staging.path_of(self.key).open("ab") as file:
            file.write(junk)

    @rule()
    def restart(self) -> None:
        staging.digests.forget(self.key)

    @rule()
    def sweep(self) -> None:
        uploads.finish_stranded()
        uploads.remove_expired()

    @rule()
    def enter(self) -> None:
        response = self.tus.enter()
        expected = 404 if self.gone else 201 if self.offset == SIZE else 409
        assert response.status_code == expected

    @rule()
    def terminate(self) -> None:
        assert self.tus.delete().status_code == (404 if self.gone else 204)
        self.gone = True

    @invariant()
    def the_offset_is_the_truth(self) -> None:
        head = self.tus.head()
        if self.gone:
            assert head.status_code == 404
            assert not staging.path_of(self.key).exists()
            return
        assert head["Upload-Offset"] == str(self.offset)
        if self.offset < SIZE:
            assert staging.path_of(self.key).read_bytes()[: self.offset] == DATA[: self.offset]

    @invariant()
    def complete_is_one_submission_of_those_bytes(self) -> None:
        found = list(Submission.objects.values_list("archive_sha256", flat=True))
        assert found == ([hashlib.sha256(DATA).hexdigest()] if self.offset == SIZE else [])


@pytest.mark.django_db
def test_no_order_of_events_loses_or_doubles_anything():
    contest = factories.contest()
    Protocol.user = factories.user()
    factories.team(contest=contest, captain=Protocol.user)
    source = contest.version.source.replace(
        "submissions_per_day = 20", "submissions_per_day = 9999"
    )
    type(contest.version).objects.filter(pk=contest.version_id).update(source=source)
    run_state_machine_as_test(
        Protocol,
        settings=settings(
            max_examples=40,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
