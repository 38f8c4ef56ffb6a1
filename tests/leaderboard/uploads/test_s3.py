"""Archives in S3: the same upload, preflight and download, against moto's server."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config
from django.db.models.functions import Now
from moto.server import ThreadedMotoServer

from leaderboard.models import Submission, Worker
from leaderboard.storage import archives
from leaderboard.submissions import preflight
from tests import factories
from tests.leaderboard.uploads.tus import Tus, files

pytestmark = pytest.mark.django_db
BUCKET = "archives"


@pytest.fixture(scope="module")
def s3_url():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_url, settings):
    keys = {"endpoint_url": s3_url, "region_name": "us-east-1"}
    secrets = {"access_key": "unused", "secret_key": "unused"}
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {"bucket_name": BUCKET, "file_overwrite": True, **keys, **secrets},
        }
    }
    resource = boto3.resource(
        "s3", aws_access_key_id="unused", aws_secret_access_key="unused", **keys
    )
    bucket = resource.create_bucket(Bucket=BUCKET)
    yield bucket
    bucket.objects.all().delete()


@pytest.fixture
def archive():
    base = factories.contest().rules.base_folder
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        for name in ("config.json", "model.safetensors"):
            packed.write(base / name, name)
    return target.getvalue()


@pytest.fixture
def entered(client, archive, bucket):
    captain = factories.user()
    factories.team(contest=factories.contest(), captain=captain)
    tus = Tus(client, captain)
    tus.create(len(archive))
    tus.patch(0, archive[:1000])
    assert tus.patch(1000, archive[1000:]).status_code == 204
    return tus


def test_a_finished_upload_lies_in_the_bucket_and_nowhere_else(entered, bucket, archive, settings):
    row = Submission.objects.get()
    (stored,) = bucket.objects.all()
    assert stored.key == row.archive
    assert hashlib.sha256(stored.get()["Body"].read()).hexdigest() == row.archive_sha256
    assert files(settings) == []
    assert entered.enter().json()["id"] == row.pk


def test_preflight_reads_it_through_a_copy_that_goes_again(entered, settings):
    evaluation = Submission.objects.get().evaluations.get()
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.is_checked, evaluation.problems) == (True, [])
    assert files(settings) == []


@pytest.mark.parametrize("fault", ["does not answer", "refuses", "has no such archive"])
def test_a_check_that_s3_prevents_does_not_count_unless_the_archive_is_gone(
    entered, bucket, settings, refusing, fault
):
    """As with a broken disk: it is tried again until S3 is back."""
    evaluation = Submission.objects.get().evaluations.get()
    whole = settings.STORAGES
    once = Config(retries={"total_max_attempts": 1})
    if fault == "has no such archive":
        bucket.objects.all().delete()
    else:
        address = refusing if fault == "refuses" else nobody()
        settings.STORAGES = changed(whole, endpoint_url=address, client_config=once)
    counted = fault == "has no such archive"
    error = FileNotFoundError if counted else preflight.CheckError
    with pytest.raises(error):
        preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.check_attempts) == ("queued", int(counted))
    settings.STORAGES = whole
    if not counted:
        type(evaluation).objects.update(not_before=Now())
        preflight.check(evaluation.pk)
        evaluation.refresh_from_db()
        assert evaluation.is_checked


@pytest.fixture
def refusing():
    """The address of an S3 whose keys are no longer good."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(403)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def nobody():
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def changed(storages, **options):
    default = storages["default"]
    return storages | {"default": default | {"OPTIONS": default["OPTIONS"] | options}}


def test_a_worker_gets_the_same_bytes(entered, client, archive):
    evaluation = Submission.objects.get().evaluations.get()
    worker, token = Worker.issue("pbw", name="gpu-s3", device="cpu", sandbox="process")
    evaluation = factories.running(evaluation=evaluation, on=worker)
    url = f"/api/worker/attempts/{evaluation.pk}/{evaluation.attempt}/archive"
    response = client.get(url, headers={"Authorization": f"Bearer {token}"})
    assert b"".join(response.streaming_content) == archive
    assert response["Content-Length"] == str(len(archive))


def test_deleting_what_is_not_there_is_no_error(bucket):
    archives.delete("archives/none")
