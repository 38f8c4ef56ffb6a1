"""Downloading an entry from the Hub into quarantine: interrupted, resumed, tampered with, redirected,
stopped."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from grader.assets import hub as far
from grader.checkpoint import is_read
from grader.protocol.documents import HubFile, HubSource
from grader.worker import run
from grader.worker.faults import Cancellation, Cancelled, Failed, Rejected
from grader.worker.fetch import TRIES, fetch
from tests import hub_server
from tests.grader.worker.conftest import make_contest
from tests.grader.worker.site_stub import SiteStub


@pytest.fixture
def hub(tmp_path, contest):
    """The demo's base model as ``team/model``, with an additional file that was not requested."""
    folder = tmp_path / "published"
    shutil.copytree(contest.base_folder, folder)
    (folder / "README.md").write_text("hello")
    with hub_server.serve() as server:
        server.add("team/model", folder, "a" * 40)
        yield server


@pytest.fixture
def source(hub):
    """As the site describes it in the job."""
    repo = hub.repos["team/model"]
    files = tuple(
        HubFile(path.name, path.stat().st_size, hub_server.digest_of(repo, path.name))
        for path in sorted(repo.folder.iterdir())
    )
    return HubSource("team/model", "main", repo.commit, files)


@pytest.fixture
def bring(hub, source, contest, worker, tmp_path):
    pauses = []

    def bring(changed=None, cancel=None, tell=lambda _: None, **settings):
        made = worker(**{"hub_endpoint": hub.url, **settings})
        target = tmp_path / "fetched"
        shutil.rmtree(target, ignore_errors=True)
        fetch(changed or source, target, contest.limits, made, tell, cancel, pauses.append)
        return target

    bring.pauses = pauses
    return bring


def with_file(source, name, **changed):
    files = [dataclasses.replace(f, **changed) if f.name == name else f for f in source.files]
    return dataclasses.replace(source, files=tuple(files))


def test_what_a_checkpoint_consists_of_and_nothing_else(bring, hub, source):
    progress = []
    folder = bring(tell=progress.append)
    published = hub.repos["team/model"].folder
    assert {p.name for p in folder.iterdir()} == {f.name for f in source.files if is_read(f.name)}
    assert not (folder / "README.md").exists()
    for path in folder.iterdir():
        assert path.read_bytes() == (published / path.name).read_bytes()
        assert not path.is_symlink()
    assert (progress[-1].done, progress[-1].note) == (progress[-1].total - 1, "MB")


def test_a_connection_that_is_cut_goes_on_where_it_was(bring, hub):
    size = (hub.repos["team/model"].folder / "model.safetensors").stat().st_size
    hub.breaks_after = {"model.safetensors": size // 3}
    folder = bring()
    assert (folder / "model.safetensors").stat().st_size == size
    asked = [r.range for r in hub.requests if r.path.endswith("model.safetensors")]
    assert asked[0] == ""
    starts = [int(r.removeprefix("bytes=").rstrip("-")) for r in asked[1:]]
    assert starts == sorted(starts) and starts[0] >= size // 4
    sent = sum(r.sent_bytes for r in hub.requests if r.path.endswith("model.safetensors"))
    assert sent < 2.5 * size  # each time a third of the announced bytes was sent


def test_a_server_without_ranges_begins_again(bring, hub, monkeypatch):
    size = (hub.repos["team/model"].folder / "model.safetensors").stat().st_size
    hub.breaks_after = {"model.safetensors": size // 2}
    real = hub_server._Handler._send_file

    def without_range(self, *found):
        del self.headers["Range"]
        if len([r for r in hub.requests if r.path.endswith("model.safetensors")]) == 1:
            hub.breaks_after = {}
        real(self, *found)

    monkeypatch.setattr(hub_server._Handler, "_send_file", without_range)
    assert (bring() / "model.safetensors").stat().st_size == size


def test_a_hub_that_stays_away_is_our_fault_and_waited_for(bring, hub):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(Failed) as fault:
        bring()
    assert fault.value.problems[0].code == "SYS_HUB"
    assert len(bring.pauses) == TRIES - 1 and bring.pauses == sorted(bring.pauses)


# By sha256, by git's blob id
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_other_bytes_than_were_entered_are_never_graded(bring, hub, name):
    hub.spoils = {name}
    with pytest.raises(Failed) as fault:
        bring()
    assert (fault.value.problems[0].code, fault.value.problems[0].where) == ("SYS_HUB", name)


def test_not_a_byte_more_than_listed_is_written(bring, source, tmp_path):
    with pytest.raises(Failed) as fault:
        bring(with_file(source, "model.safetensors", size_bytes=1000))
    assert "more bytes" in fault.value.problems[0].detail
    assert (tmp_path / "fetched" / "model.safetensors").stat().st_size <= 1000


@pytest.mark.parametrize("case", ["deleted", "gated", "history rewritten", "file gone"])
def test_a_repository_that_was_taken_away_is_the_teams_to_mend(bring, hub, case):
    repo = hub.repos["team/model"]
    if case == "deleted":
        del hub.repos["team/model"]
    elif case == "gated":
        repo.gated = True
    elif case == "history rewritten":
        repo.commit = "b" * 40
    else:
        (repo.folder / "model.safetensors").unlink()
    with pytest.raises(Rejected) as fault:
        bring()
    assert fault.value.problems[0].code == "HUB_GONE"


@pytest.mark.parametrize(
    ("name", "code"),
    [("../evil.json", "ARCHIVE_PATH"), ("run.py", "LAYOUT_FORBIDDEN_FILE")],
)
def test_a_hostile_listing_writes_nothing(bring, source, tmp_path, name, code):
    files = (*source.files, HubFile(name, 5))
    with pytest.raises(Rejected) as fault:
        bring(dataclasses.replace(source, files=files))
    assert fault.value.problems[0].code == code
    assert not (tmp_path / "fetched").exists() and not (tmp_path / "evil.json").exists()


def test_a_token_goes_to_the_endpoint_and_not_where_it_leads(bring, hub):
    """``localhost`` and ``127.0.0.1`` are different hosts, like the Hub and the Hub's storage."""
    with hub_server.serve() as storage:
        storage.repos = hub.repos
        hub.storage = storage.url
        with pytest.raises(Failed):  # an unencrypted redirect to another host is not followed
            bring(hub_token="hf_secret", hub_endpoint=hub.url.replace("127.0.0.1", "localhost"))
        assert storage.requests == []
        bring(hub_token="hf_secret")
        assert {r.token for r in hub.requests} == {"Bearer hf_secret"}
        assert {r.token for r in storage.requests} == {""}


def test_a_hub_that_trickles_does_not_hold_the_worker(bring):
    with pytest.raises(Failed) as fault:
        bring(fetch_timeout_s=0.0)
    assert "GRADER_FETCH_TIMEOUT_S" in fault.value.problems[0].detail


def test_a_lost_lease_stops_it(bring):
    cancel = Cancellation()
    with pytest.raises(Cancelled):
        bring(cancel=cancel, tell=lambda _: cancel.cancel("lease lost"))


def test_a_whole_attempt_from_the_hub_with_the_connection_cut(
    hub, source, worker, monkeypatch, scratch
):
    """Downloaded, fully checked, rebuilt, run by stub engines, reported."""
    monkeypatch.setattr(run, "load", lambda _: make_contest())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as in lm-eval's process
    size = (hub.repos["team/model"].folder / "model.safetensors").stat().st_size
    hub.breaks_after = {"model.safetensors": size // 2}
    stub = SiteStub(archive_url="", archive_name="team/model@aaaa", hub=source)
    assert run.run_pending(worker(hub_endpoint=hub.url), stub.site()) == 1
    (report,) = stub.bodies("report")
    assert report["checkpoint"]["safetensors_bytes"] == size
    assert stub.bodies("archive") == []
    assert list((scratch / "s").glob("g-*")) == []


def test_what_the_site_pins_is_what_the_worker_is_given(hub, source, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert far.pin("team/model", "main", endpoint=hub.url, token=False) == source
