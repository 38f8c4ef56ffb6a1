"""The desk: staff only, in a fixed number of queries, and every action redirects correctly."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import Progress
from leaderboard import lifecycle, workers
from leaderboard.models import AARun, AuditEntry, Contest, Evaluation, Worker
from tests import factories
from tests.leaderboard.workers.test_aa import put_through
from tests.leaderboard.workers.test_registry import enlist

pytestmark = pytest.mark.django_db
ENGLISH = {"HTTP_ACCEPT_LANGUAGE": "en"}


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def organiser(client):
    """The client, logged in as a staff member who reads English."""
    user = factories.user(name="organiser", is_staff=True)
    client.force_login(user)
    client.defaults |= ENGLISH
    return client


def words(response):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


@pytest.mark.parametrize("page", ["desk", "doctor", "worker"])
def test_pages_are_for_staff_alone(client, contest, page):
    worker = enlist(contest)
    url = {
        "desk": reverse("desk"),
        "doctor": reverse("desk_doctor"),
        "worker": reverse("desk_worker", args=[worker.pk]),
    }[page]
    response = client.get(url)
    assert (response.status_code, response.url.partition("?")[0]) == (302, "/login/")
    client.force_login(factories.user(name="participant"))
    assert client.get(url).status_code == 403
    client.force_login(factories.user(is_staff=True))
    response = client.get(url)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]


def test_acts_need_staff_with_the_permission_and_post(client, contest):
    worker = enlist(contest)
    url = reverse("desk_worker_act", args=[worker.pk, "drain"])
    assert client.post(url).status_code == 302
    client.force_login(factories.user(name="participant"))
    assert client.post(url).status_code == 403
    watcher = factories.user(name="watcher")
    watcher.is_staff = True
    watcher.save(update_fields=["is_staff"])
    client.force_login(watcher)
    assert client.post(url).status_code == 403
    assert b"<form" not in client.get(worker_url(worker)).content.partition(b"<main")[2]
    client.force_login(factories.user(is_staff=True))
    assert client.get(url).status_code == 405
    worker.refresh_from_db()
    assert worker.drained is None


def worker_url(worker):
    return reverse("desk_worker", args=[worker.pk])


def test_drain_resume_test_and_retire_from_the_page_are_in_the_audit_log(organiser, contest):
    worker = enlist(contest)

    def act(verb, **form):
        url = reverse("desk_worker_act", args=[worker.pk, verb])
        return words(organiser.post(url, form, follow=True))

    assert "Drained" in act("drain", why="loud fan")
    assert "already in that state" in act("drain", why="again")
    assert "Done." in act("resume", why="new fan")
    assert "runs when the worker next asks" in act("test", contest="demo")
    assert "already waiting or running" in act("test", contest="demo")
    assert "retired" in act("retire", why="sold")
    entries = AuditEntry.objects.filter(target="worker", by__username="organiser").order_by("pk")
    assert list(entries.values_list("action", "reason")) == [
        ("worker.drain", "loud fan"),
        ("worker.resume", "new fan"),
        ("worker.test", ""),
        ("worker.retire", "sold"),
    ]
    assert organiser.post(reverse("desk_worker_act", args=[worker.pk, "burn"])).status_code == 404


def test_worker_that_cannot_be_tested_says_why(organiser, contest):
    worker = enlist(contest, sandbox="none")
    url = reverse("desk_worker_act", args=[worker.pk, "test"])
    text = words(organiser.post(url, {"contest": "demo"}, follow=True))
    assert "Cannot be tested: sandbox is none" in text
    assert organiser.post(url, {"contest": "nowhere"}).status_code == 404


def test_cards_say_what_each_worker_does(organiser, contest):
    busy = enlist(contest, "gpu-busy")
    evaluation = factories.checked(evaluation=factories.submission(contest=contest))
    job = workers.claim(busy).job
    lifecycle.progress(job.evaluation, job.attempt, Progress(Stage.SPEED, 4, 20))
    drained = enlist(contest, "gpu-drained")
    workers.drain(drained, "loud fan", by="mina")
    enlist(contest, "gpu-weak", sandbox="none")
    lost = enlist(contest, "gpu-lost")
    Worker.objects.filter(pk=lost.pk).update(last_seen=Now() - timedelta(minutes=3))
    text = words(organiser.get(reverse("desk")))
    assert f"grading #{evaluation.submission_id}: Speed 4/20" in text
    assert "loud fan" in text
    assert "last seen 3 minutes ago" in text
    assert "No jobs from demo: sandbox is none" in text


def test_failures_of_the_last_hour_link_to_their_meaning(organiser, contest):
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    lifecycle.fail(evaluation.pk, 1, [Problem("SYS_NOISY")])
    response = organiser.get(reverse("desk"))
    assert b'href="/problems/#SYS_NOISY"' in response.content
    assert "too noisy" in words(response)


def test_what_stands_still_is_marked_in_words(organiser, contest):
    evaluation = factories.submission(contest=contest)
    assert "stalled" not in words(organiser.get(reverse("desk")))
    Evaluation.objects.filter(pk=evaluation.pk).update(created=Now() - timedelta(minutes=30))
    assert "stalled" in words(organiser.get(reverse("desk")))


def test_contest_shows_its_clock_and_what_waits_for_staff(organiser, contest):
    text = words(organiser.get(reverse("desk")))
    assert "Open round ends" in text
    assert "Submit the base model and the references" in text
    factories.scored(contest=contest, kind="base")
    assert "Nothing to do." in words(organiser.get(reverse("desk")))
    Contest.objects.update(is_open=False)
    assert "submissions are switched off" in words(organiser.get(reverse("desk")))


def test_live_part_alone_for_htmx_and_whole_page_without(organiser, contest):
    part = organiser.get(reverse("desk"), headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="desk"')
    assert "<html" not in part
    verdict = organiser.get(reverse("desk_doctor"), headers={"HX-Request": "true"})
    assert "The doctor" in words(verdict)
    assert b"<html" not in verdict.content


def test_empty_site_says_what_to_do_first(organiser):
    text = words(organiser.get(reverse("desk")))
    assert "manage.py addworker NAME" in text
    assert "manage.py loadcontest FILE" in text


def test_desk_takes_as_many_queries_for_many_rows_as_for_few(
    organiser, contest, django_assert_num_queries, django_assert_max_num_queries
):
    enlist(contest)
    factories.rejected(contest=contest)
    organiser.get(reverse("desk"))
    with django_assert_max_num_queries(30) as first:
        organiser.get(reverse("desk"))
    for n in range(4):
        enlist(contest, f"more-{n}")
        factories.rejected(contest=contest)
    with django_assert_num_queries(len(first)):
        organiser.get(reverse("desk"))


def test_workers_page_shows_each_test_with_its_figures(organiser, contest):
    worker = enlist(contest)
    put_through(worker, contest)
    put_through(worker, contest, ratio=1.5)
    factories.scored(contest=contest)
    text = words(organiser.get(worker_url(worker)))
    assert "SYS_AA_RATIO" in text
    assert re.search(r"1\.5\d\d\d ± 0\.", text)
    assert "demo latency" in text
    assert AARun.objects.count() == 2


def test_hostile_name_and_reason_stay_text(organiser, contest):
    worker = enlist(contest, device_name="<script>alert(1)</script>")
    workers.drain(worker, "<img src=x onerror=alert(1)>", by="mina")
    for url in (reverse("desk"), worker_url(worker)):
        content = organiser.get(url).content.decode()
        assert "<img src=x" not in content
        assert "<script>alert" not in content


def test_admin_begins_with_a_link_to_the_desk(organiser):
    assert f'href="{reverse("desk")}"' in organiser.get(reverse("admin:index")).content.decode()


def test_one_button_puts_back_what_failed_for_our_sake(organiser, contest):
    evaluation = factories.submission(contest=contest)
    assert lifecycle.give_up_check(evaluation.pk, Problem("SYS_CHECK_CRASHED"))
    url = reverse("desk_put_back")
    assert organiser.get(url).status_code == 405
    page = words(organiser.get(reverse("desk")))
    assert "1 entry failed through a fault of ours. Put back into the queue" in page
    page = words(organiser.post(url, follow=True))
    assert "Entries put back into the queue: 1" in page
    assert "fault of ours" not in page
    evaluation.refresh_from_db()
    now = (evaluation.status, evaluation.is_checked, evaluation.check_attempts)
    assert now == ("queued", False, 0)


def test_staff_without_the_permission_see_what_failed_and_no_button(client, contest):
    evaluation = factories.submission(contest=contest)
    assert lifecycle.give_up_check(evaluation.pk, Problem("SYS_CHECK_CRASHED"))
    watcher = factories.user(name="watcher")
    watcher.is_staff = True
    watcher.save(update_fields=["is_staff"])
    client.force_login(watcher)
    page = words(client.get(reverse("desk"), **ENGLISH))
    assert "1 entry failed through a fault of ours." in page
    assert "Put back into the queue" not in page
    assert client.post(reverse("desk_put_back")).status_code == 403
    evaluation.refresh_from_db()
    assert evaluation.status == "failed"
