"""The Prometheus page: correct figures, valid text, a fixed number of queries, no access for strangers."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.db.models.functions import Now
from prometheus_client.parser import text_string_to_metric_families

from grader.problems.catalogue import Problem
from leaderboard import lifecycle, workers
from leaderboard.models import Attempt, Evaluation
from leaderboard.operations import metrics
from tests import factories
from tests.leaderboard.workers.test_aa import put_through
from tests.leaderboard.workers.test_registry import enlist

pytestmark = pytest.mark.django_db


def scrape():
    """sample name → labels (as sorted pairs) → value."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(found, name, **labels):
    return found[f"paretoboard_{name}"][tuple(sorted(labels.items()))]


@pytest.fixture
def contest():
    return factories.contest()


def test_oldest_item_of_every_state(contest):
    evaluation = factories.checked(evaluation=factories.submission(contest=contest))
    Evaluation.objects.filter(pk=evaluation.pk).update(created=Now() - timedelta(hours=2))
    factories.submission(contest=contest)
    found = scrape()
    assert value(found, "queue_size", state="wait") == 1
    assert value(found, "queue_oldest_age_seconds", state="wait") == pytest.approx(7200, abs=60)
    assert value(found, "queue_size", state="check") == 1
    assert value(found, "queue_oldest_age_seconds", state="running") == 0
    assert set(found["paretoboard_queue_size"]) == {
        (("state", name),) for name in ("check", "wait", "running", "aa", "outbox")
    }


def test_attempts_and_problems_are_counted_for_ever(contest):
    factories.scored(contest=contest)
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    lifecycle.fail(evaluation.pk, 1, [Problem("SYS_NOISY")])
    found = scrape()
    assert value(found, "attempts_total", outcome="scored") == 1
    assert value(found, "attempts_total", outcome="failed") == 1
    assert value(found, "attempts_total", outcome="lost") == 0
    assert value(found, "attempt_problems_total", code="SYS_NOISY") == 1
    assert value(found, "evaluations", status="scored") == 1


def test_stage_histogram_counts_each_duration_up_to_its_bound(contest):
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    stages = [{"stage": "quality", "duration_s": s} for s in (0.5, 4.0, 300.5, 99_999)]
    Attempt.objects.filter(evaluation=evaluation).update(stages=stages)
    found = scrape()

    def bucket(le):
        return value(found, "stage_duration_seconds_bucket", stage="quality", le=le)

    assert [bucket(le) for le in ("1", "2", "5", "300", "600", "7200", "+Inf")] == [
        1, 1, 2, 2, 3, 3, 4,
    ]  # fmt: skip
    assert value(found, "stage_duration_seconds_count", stage="quality") == 4
    assert value(found, "stage_duration_seconds_sum", stage="quality") == pytest.approx(100304)
    assert value(found, "stage_duration_seconds_count", stage="wait") == 1


def test_reported_stages_reach_the_histogram(contest):
    factories.scored(contest=contest)
    assert value(scrape(), "stage_duration_seconds_sum", stage="quality") == pytest.approx(96.5)


def test_workers_by_state_and_their_latest_test(contest):
    worker = enlist(contest)
    put_through(worker, contest)
    put_through(worker, contest, ratio=1.5)
    found = scrape()
    assert value(found, "workers", state="drained") == 1
    assert value(found, "workers", state="idle") == 0
    labels = {"worker": "gpu-1", "contest": "demo"}
    assert value(found, "worker_aa_passed", **labels) == 0
    assert value(found, "worker_aa_ratio", shape="latency", **labels) == pytest.approx(
        1.5, rel=0.01
    )
    assert value(found, "worker_silence_seconds", worker="gpu-1") < 60
    workers.retire(worker, by="mina")
    assert "paretoboard_worker_aa_ratio" not in scrape()


def test_uploaded_bytes(contest):
    evaluation = factories.submission(contest=contest, archive_bytes=1000)
    factories.submission(contest=contest, archive_bytes=500)
    found = scrape()
    assert value(found, "upload_bytes_total", kind="team") == 1500
    assert value(found, "submissions_total", kind="team") == 2
    assert evaluation.submission.kind == "team"
    assert value(found, "disk_free_bytes") > 0


def test_more_rows_take_no_more_queries(contest, django_assert_num_queries):
    factories.scored(contest=contest)
    enlist(contest)
    with django_assert_num_queries(15) as first:
        metrics.exposition()
    for n in range(4):
        factories.scored(contest=contest)
        enlist(contest, f"more-{n}")
    with django_assert_num_queries(len(first)):
        metrics.exposition()


@pytest.fixture
def token(settings):
    settings.METRICS_TOKEN = "scraper"
    return {"Authorization": "Bearer scraper"}


def test_page_opens_with_the_token_and_with_nothing_else(client, token):
    response = client.get("/metrics", headers=token)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    for wrong in ({}, {"Authorization": "Bearer scrapes"}, {"Authorization": "Basic scraper"},
                  {"Authorization": "Bearer "}):  # fmt: skip
        assert client.get("/metrics", headers=wrong).status_code == 404
    client.force_login(factories.user(is_staff=True))
    assert client.get("/metrics").status_code == 404


def test_page_is_shut_unless_somebody_opens_it(client, settings):
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    assert client.get("/metrics").status_code == 404


def test_near_network_may_read_but_not_through_a_proxy(client, settings):
    settings.METRICS_NETWORKS = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="fd00::7").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="10.2.0.1").status_code == 404
    assert client.get("/metrics", REMOTE_ADDR="").status_code == 404
    through = {"X-Forwarded-For": "10.1.2.3"}
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3", headers=through).status_code == 404


def test_scraping_is_not_sent_to_https(client, token, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/metrics", headers=token).status_code == 200
    assert client.get("/problems/").status_code == 301
