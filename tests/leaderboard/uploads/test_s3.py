"""Archives in S3: the same upload, preflight and download, against moto's server."""

from __future__ import annotations

import hashlib
import io
import zipfile

import boto3
import pytest
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
