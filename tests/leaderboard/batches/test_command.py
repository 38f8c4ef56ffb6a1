"""``manage.py batch``: the same actions as in the browser, each refusal with its code."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from leaderboard.contests import loading
from leaderboard.models import AuditEntry, Batch
from tests import factories
from tests.leaderboard.batches import town

pytestmark = pytest.mark.django_db
WHY = ("--reason", "speed was weighted too low")


@pytest.fixture
def contest(tmp_path):
    return town.build(tmp_path)


def run(*words):
    out = StringIO()
    call_command("batch", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_estimate_is_in_words(contest):
    out = StringIO()
    call_command("batch", "rescore", "demo", *WHY, "--dry-run", stdout=out)
    assert out.getvalue() == "9 entries, about 1 s\n"


def test_a_rescore_from_the_estimate_to_the_undo(contest, tmp_path):
    before = town.picture(contest)
    loading.load(str(town.file_of(tmp_path, town.CHANGED_WEIGHTS)))
    assert run("rescore", "demo", *WHY, "--dry-run")["estimate"]["entries"] == 9
    assert not Batch.objects.exists()
    made = run("rescore", "demo", *WHY)
    assert (made["state"], made["done"], made["entries"]) == ("ready", 9, 9)
    assert made["moves"][0]["medal"]
    assert town.ranking(contest)[0] == "accurate"
    number = str(made["batch"])
    assert run("show", number)["state"] == "ready"
    assert run("apply", number)["state"] == "applied"
    assert town.ranking(contest)[0] == "fast"
    assert run("undo", number)["state"] == "undone"
    assert town.picture(contest) == before
    assert [one["state"] for one in run("list", "demo")["batches"]] == ["undone"]
    assert set(AuditEntry.objects.filter(target="batch").values_list("by_name", flat=True)) == {
        "manage.py batch"
    }


def test_finalists_head_to_head(contest):
    for name in ("gpu-1", "gpu-2"):
        factories.worker(name=name)
    made = run("finals", "demo", *WHY, "--top", "2", "--on", "gpu-1", "gpu-2")
    batch = Batch.objects.get(pk=made["batch"])
    assert (batch.kind, batch.repeats, batch.workers) == ("regrade", 3, ["gpu-1", "gpu-2"])
    assert batch.evaluations.count() == 2 * 2 * 3 * 2  # teams, entries, repeats, workers
    town.measure(contest, batch)
    shown = run("show", str(batch.pk))
    assert shown["state"] == "ready"
    assert {worker["worker"] for worker in shown["workers"]} == {"gpu-1", "gpu-2"}
    duel = shown["head_to_head"]
    assert duel["workers"] == ["gpu-1", "gpu-2"] and len(duel["rows"]) == 4
    out = StringIO()
    call_command("batch", "show", str(batch.pk), stdout=out)
    assert "agree on the order of the entries" in out.getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("finals", "demo", *WHY, "--on", "gpu-1"), "BATCH_TWO_WORKERS"),
        (("finals", "demo", *WHY, "--on", "gpu-1", "nobody"), "BATCH_WORKERS"),
        (("rescore", "demo", "--reason", " "), "BATCH_REASON"),
        (("rescore", "demo", *WHY, "--team", "0"), "BATCH_EMPTY"),
        (("rescore", "nowhere", *WHY), "no contest 'nowhere'"),
        (("apply", "999"), "no batch #999"),
    ],
)
def test_a_refusal_has_its_code_and_changes_nothing(contest, words, said):
    factories.worker(name="gpu-1")
    before = town.picture(contest)
    with pytest.raises(CommandError, match=said):
        run(*words)
    assert town.picture(contest) == before
    assert not Batch.objects.exists()
