"""The organizers' batch pages: who can open them, who can act, and what they show."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leaderboard import batches
from leaderboard.batches import Filter
from leaderboard.contests import loading
from leaderboard.models import Batch, Worker
from tests import factories
from tests.leaderboard.batches import town

pytestmark = pytest.mark.django_db
WHY = {"kind": "rescore", "reason": "a weight was wrong", "noise": "0.002", "repeats": "1"}


@pytest.fixture
def contest(tmp_path):
    contest = town.build(tmp_path)
    loading.load(str(town.file_of(tmp_path, town.CHANGED_WEIGHTS)))
    contest.refresh_from_db()
    return contest


@pytest.fixture
def staff(client):
    client.force_login(factories.user(is_staff=True))
    return client


def assistant(*permissions):
    """Staff without being a superuser."""
    user = factories.user()
    user.is_staff = True
    user.save(update_fields=["is_staff"])
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def ready(contest, **options):
    batch = batches.prepare(contest, "rescore", Filter(), reason="x", by="o", **options)
    batches.start(batch, by="o")
    batches.advance(batch)
    return batch


def test_pages_are_for_staff_only(contest, client):
    batch = ready(contest)
    member = contest.teams.first().memberships.first().user
    paths = ["/contests/demo/batches/", "/contests/demo/batches/new/", f"/batches/{batch.pk}/"]
    for path in paths:
        assert client.get(path).headers["Location"].startswith("/login/")
    assert client.post(f"/batches/{batch.pk}/apply/").headers["Location"].startswith("/login/")
    client.force_login(member)
    for path in paths:
        assert client.get(path).status_code == 403
    assert client.post(f"/batches/{batch.pk}/apply/").status_code == 403
    batch.refresh_from_db()
    assert batch.status == "ready"


def test_staff_without_the_permission_may_look_and_is_told_what_is_missing(contest, client):
    batch, before = ready(contest), town.picture(contest)
    client.force_login(assistant("run_batch"))
    page = client.get(f"/batches/{batch.pk}/")
    assert page.status_code == 200
    assert "/apply/" not in page.content.decode()
    refused = client.post(f"/batches/{batch.pk}/apply/", headers={"Accept-Language": "en"})
    assert refused.status_code == 403
    assert "apply_batch" in refused.content.decode()
    assert town.picture(contest) == before
    client.force_login(assistant())
    assert client.get("/contests/demo/batches/new/").status_code == 403


def test_from_the_form_to_applied_and_undone(contest, staff):
    before = town.picture(contest)
    made = staff.post("/contests/demo/batches/new/", WHY)
    batch = Batch.objects.get()
    assert made.headers["Location"] == f"/batches/{batch.pk}/"
    draft = staff.get(f"/batches/{batch.pk}/", headers={"Accept-Language": "en"}).content.decode()
    assert re.search(r"9 entries, about\s+<strong>1 s</strong>", draft)
    for verb, state in (("start", "ready"), ("apply", "applied"), ("undo", "undone")):
        assert staff.post(f"/batches/{batch.pk}/{verb}/").status_code == 302
        batch.refresh_from_db()
        assert batch.status == state
        assert staff.get(f"/batches/{batch.pk}/").status_code == 200
    assert town.picture(contest) == before


def test_acting_twice_is_said_and_changes_nothing(contest, staff):
    batch = ready(contest)
    staff.post(f"/batches/{batch.pk}/apply/")
    after = town.picture(contest)
    again = staff.post(f"/batches/{batch.pk}/apply/", headers={"Accept-Language": "en"})
    assert again.status_code == 409
    assert "is in the state “applied”" in again.content.decode()
    assert town.picture(contest) == after


def test_what_is_refused_leaves_the_page_as_it_was(contest, staff, tmp_path):
    batch = ready(contest)
    newer = (town.WEIGHTS, "accuracy = 0.1\nmemory = 0.1\nspeed = 0.8")
    loading.load(str(town.file_of(tmp_path, newer)))
    page = staff.post(f"/batches/{batch.pk}/apply/", headers={"Accept-Language": "en"})
    assert page.status_code == 409
    assert "A new batch uses the rules loaded last." in page.content.decode()
    assert f"/batches/{batch.pk}/cancel/" in page.content.decode()
    assert f"/batches/{batch.pk}/undo/" not in page.content.decode()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"reason": ""}, "required"),
        ({"score_min": "0.5"}, "Leave the filter empty"),
        ({"submissions": "12 x"}, "Numbers only"),
        ({"repeats": "99"}, "less than or equal to 10"),
        ({"kind": "other"}, "valid choice"),
        ({"since": "yesterday"}, "valid date/time"),
    ],
)
def test_what_is_wrong_is_said_in_the_form(contest, staff, wrong, said):
    page = staff.post("/contests/demo/batches/new/", WHY | wrong, headers={"Accept-Language": "en"})
    assert page.status_code == 400
    assert said in page.content.decode()
    assert not Batch.objects.exists()


def test_the_finalists_preset_fills_the_form_in(contest, staff):
    for name in ("gpu-1", "gpu-2", "elsewhere"):
        worker = factories.worker(name=name)
        files = {} if name == "elsewhere" else {"demo": contest.version.sha256}
        Worker.objects.filter(pk=worker.pk).update(contests=files)
    path = "/contests/demo/batches/new/?preset=finals"
    form = staff.get(path).context["form"]
    assert form["workers"].value() == ["gpu-1", "gpu-2"]
    assert (form["kind"].value(), form["top"].value(), form["repeats"].value()) == (
        "regrade",
        10,
        3,
    )
    loading.load(str(town.file_of(contest.rules.folder)))  # nothing is pending any more
    answer = {"kind": "regrade", "reason": "finals", "noise": "0.002", "repeats": "3", "top": "2"}
    page = staff.post(path, answer | {"workers": "gpu-1"}, headers={"Accept-Language": "en"})
    assert page.status_code == 400 and "two different workers" in page.content.decode()
    assert staff.post(path, answer | {"workers": ["gpu-1", "gpu-2"]}).status_code == 302
    batch = Batch.objects.get()
    assert (batch.filter["top"], batch.workers) == (2, ["gpu-1", "gpu-2"])


def test_while_it_is_at_work_the_page_asks_for_all_of_itself_anew(contest, staff):
    batch = batches.prepare(contest, "rescore", Filter(), reason="x", by="o")
    batches.start(batch, by="o")
    path = f"/batches/{batch.pk}/"
    page = staff.get(path).content.decode()
    assert f'hx-get="{path}" hx-trigger="every 4s"' in page
    batches.advance(batch)
    part = staff.get(path, headers={"HX-Request": "true", "Accept-Language": "en"})
    text = part.content.decode()
    assert "<html" not in text and "hx-get" not in text, "ready: nothing more to ask for"
    assert "Rank moves" in text and "Apply" in text and "ready for a decision" in text


def test_unknown_verbs_and_batches_are_not_found(contest, staff):
    batch = ready(contest)
    assert staff.post(f"/batches/{batch.pk}/explode/").status_code == 404
    assert staff.get("/batches/999999/").status_code == 404
    assert staff.get(f"/batches/{batch.pk}/apply/").status_code == 405


def test_the_admin_leads_to_a_batch_of_what_was_chosen(contest, staff):
    chosen = list(contest.submissions.values_list("pk", flat=True)[:2])
    evaluations = [s.evaluations.get().pk for s in contest.submissions.filter(pk__in=chosen)]
    page = staff.post(
        "/admin/leaderboard/evaluation/",
        {"action": "rescore", "_selected_action": evaluations},
        follow=True,
    )
    assert page.status_code == 200
    assert f'value="{chosen[0]} {chosen[1]}"' in page.content.decode()


def test_queries_of_the_review_do_not_grow_with_entries(contest, staff):
    def cost():
        batch = ready(contest)
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(f"/batches/{batch.pk}/").status_code == 200
        batches.cancel(batch, by="o")
        return len(captured)

    cost()
    before = cost()
    for _ in range(3):
        factories.scored(contest=contest)
    assert cost() == before
