"""Two tabs, two finishes, and the other official client, against a server with threads."""

from __future__ import annotations

import hashlib
import io
import threading
import time

import httpx
import pytest
from django.db import connection
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from leaderboard import uploads
from leaderboard.accounts import tokens
from leaderboard.core.errors import Refused
from leaderboard.models import Submission, Upload
from leaderboard.storage import staging
from leaderboard.submissions import admission
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
DATA = b"PK\x05\x06" + bytes(range(256)) * 4096  # 1 MB


@pytest.fixture
def captain():
    captain = factories.user()
    factories.team(contest=factories.contest(), captain=captain)
    return captain


OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@pytest.fixture(autouse=True)
def _server_threads_end(transactional_db):
    """The live server's threads close shortly after their answer, and the database is dropped at the end."""
    yield
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute(OTHERS)
            if not cursor.fetchone()[0]:
                return
        time.sleep(0.05)


def upload_of(captain, times=1):
    team = captain.memberships.get().team
    wish = uploads.UploadRequest(size_bytes=times * len(DATA), name="model.zip")
    return uploads.create(team.contest, captain, wish)


def at_once(count, work):
    barrier, results = threading.Barrier(count), []

    def run(number):
        try:
            barrier.wait()
            results.append(work(number))
        except (uploads.Conflict, uploads.Locked) as error:
            results.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[n]) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_finishes_at_once_are_one_submission(captain):
    row = upload_of(captain)
    staging.write(row.key, 0, DATA)
    Upload.objects.update(offset_bytes=len(DATA))
    found = at_once(4, lambda _: uploads.finish(uploads.find(row.key, captain)).pk)
    assert found == [Submission.objects.get().pk] * 4


def test_uploads_begun_at_once_stay_within_the_teams_limit(captain):
    def begin(_):
        try:
            return upload_of(captain).key
        except Refused as refused:
            return refused.code

    found = at_once(12, begin)
    assert found.count("UPLOAD_TOO_MANY") == 12 - admission.MOST_UNFINISHED
    assert Upload.objects.count() == admission.MOST_UNFINISHED


def test_two_tabs_sending_the_same_upload_do_not_mix(captain):
    row = upload_of(captain, 4)
    contents = [bytes([n]) * len(DATA) for n in range(4)]

    def tab(number):
        mine = uploads.find(row.key, captain)
        return uploads.append(mine, 0, io.BytesIO(contents[number]), len(DATA))

    results = at_once(4, tab)
    assert results.count(len(DATA)) == 1
    assert set(results) <= {len(DATA), "Conflict", "Locked"}
    row.refresh_from_db()
    assert row.offset_bytes == len(DATA)
    assert staging.path_of(row.key).read_bytes() in contents


def test_who_is_writing_locks_the_others_out(captain, live_server):
    row = upload_of(captain)
    headers = {
        "Authorization": f"Bearer {tokens.issue_token(captain, 't')}", "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Accept-Language": "en",
        "Connection": "close",
    }  # fmt: skip
    with uploads.session._held(row.key):
        response = httpx.patch(
            f"{live_server.url}/api/uploads/{row.key}", content=b"x", headers=headers
        )
    assert (response.status_code, response.json()["code"]) == (423, "UPLOAD_BUSY")
    response = httpx.patch(
        f"{live_server.url}/api/uploads/{row.key}", content=b"x", headers=headers
    )
    assert response.status_code == 204


@pytest.fixture
def tuspy(captain, live_server):
    token = tokens.issue_token(captain, "tuspy")
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    return TusClient(f"{live_server.url}/api/uploads/", headers)


@pytest.mark.parametrize("chunk", [len(DATA) + 1, 300_000])
def test_tuspy_uploads_with_checksums(tuspy, tmp_path, chunk):
    file = tmp_path / "model.zip"
    file.write_bytes(DATA)
    facts = {"contest": "demo", "filename": file.name}
    uploader = tuspy.uploader(str(file), chunk_size=chunk, metadata=facts, upload_checksum=True)
    uploader.upload()
    row = Submission.objects.get()
    assert row.archive_sha256 == hashlib.sha256(DATA).hexdigest()
    assert uploader.request.response_headers["content-location"].endswith(row.get_absolute_url())


def test_tuspy_resumes_where_it_stopped(tuspy, tmp_path):
    file = tmp_path / "model.zip"
    file.write_bytes(DATA)
    facts = {"contest": "demo", "filename": file.name}
    first = tuspy.uploader(str(file), chunk_size=100_000, metadata=facts)
    first.upload(stop_at=400_000)
    staging.digests.forget(first.url.rpartition("/")[2])  # the site was restarted
    again = tuspy.uploader(str(file), url=first.url, chunk_size=100_000)
    assert again.offset == 400_000
    again.upload()
    assert Submission.objects.get().archive_sha256 == hashlib.sha256(DATA).hexdigest()


def test_tuspy_is_told_why_not(tuspy, tmp_path):
    file = tmp_path / "model.zip"
    file.write_bytes(b"")
    with pytest.raises(TusCommunicationError) as refused:
        tuspy.uploader(str(file), metadata={"contest": "demo"}).upload()
    assert refused.value.status_code == 400
    assert b"UPLOAD_EMPTY" in refused.value.response_content
