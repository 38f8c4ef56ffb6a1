"""Properties of the check as a whole, over generated and damaged submissions.

``tests/grader/checkpoint/test_safetensors.py`` shows that the header check accepts nothing that the official
parser refuses, and ``test_gallery.py`` that a rebuilt folder rebuilds to itself.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.checkpoint import Findings
from grader.contest import Contest
from grader.gallery import CASES, Bench, tiny_contest, verdict
from grader.gallery.packing import members, tar_bytes, zip_bytes
from grader.gallery.tiny import Files
from grader.problems.catalogue import CATALOGUE

_fuzz = settings(max_examples=60, deadline=None)
PACKERS = {
    "zip": lambda files, top: zip_bytes(members(files, top)),
    "zip stored": lambda files, top: zip_bytes(members(files, top, zipfile.ZIP_STORED)),
    "tar": lambda files, top: tar_bytes(files, top=top),
    "tar.gz": lambda files, top: gzip.compress(tar_bytes(files, top=top), mtime=0),
}
ROOT = Path(__file__).resolve().parents[2]
JUDGE = """
import json, sys, time
from pathlib import Path
from grader.gallery import tiny_contest, verdict
from tests.bench.harness import own_peak_bytes
folder = Path(sys.argv[1])
contest, worst = tiny_contest(folder / "contest"), (0.0, "")
for number, archive in enumerate(sorted(folder.glob("archives/*"))):
    began = time.process_time()
    verdict(archive, contest, folder / f"unpacked-{number}")
    worst = max(worst, (time.process_time() - began, archive.name))
print(json.dumps({"worst": worst, "peak_bytes": own_peak_bytes(), "archives": number + 1}))
"""


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    return tiny_contest(tmp_path_factory.mktemp("contest"))


@pytest.fixture
def files(contest: Contest, tmp_path: Path) -> Files:
    """A valid checkpoint in two shards."""
    return Bench(contest, tmp_path).sharded(2)


def judge(data: bytes, contest: Contest, folder: Path) -> Findings:
    archive, unpacked = folder / "upload", folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    archive.write_bytes(data)
    found = verdict(archive, contest, unpacked)
    assert {problem.code for problem in (*found.problems, *found.notices)} <= CATALOGUE.keys()
    return found


def test_no_verdict_takes_more_than_10_seconds_and_512_mb(contest: Contest, tmp_path: Path) -> None:
    """Every gallery case, and noise after every kind of magic bytes, in its own process."""
    (tmp_path / "archives").mkdir()
    for number, case in enumerate(CASES):
        bench = tmp_path / f"bench-{number}"
        bench.mkdir()
        case.build(Bench(contest, bench)).rename(tmp_path / "archives" / f"{number:03d}")
    magics = (b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"x" * 257 + b"ustar\0")
    noise = random.Random(1)
    for number, (magic, size) in enumerate(itertools.product(magics, (10, 1000, 1 << 20))):
        data = magic + noise.randbytes(size)
        (tmp_path / "archives" / f"noise-{number}").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", JUDGE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["archives"] == len(CASES) + 15
    assert found["worst"][0] <= 10, found
    assert found["peak_bytes"] <= 512 << 20, found


@_fuzz
@given(
    kind=st.sampled_from(sorted(PACKERS)),
    at=st.floats(0, 1, exclude_max=True) | st.floats(0.98, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_one_changed_bit_gives_the_same_result_or_a_code(
    kind: str, at: float, bit: int, contest: Contest, files: Files, tmp_path: Path
) -> None:
    """Zip and gzip have checksums, so accepted content is what was packed; in a bare tar values may differ."""
    good = PACKERS[kind](files, "")
    whole = judge(good, contest, tmp_path).facts
    damaged = bytearray(good)
    damaged[int(at * len(good))] ^= 1 << bit
    found = judge(bytes(damaged), contest, tmp_path)
    assert whole
    if found.acceptable:
        assert found.facts
        assert found.facts.safetensors_bytes == whole.safetensors_bytes
        assert found.facts.tensors == whole.tensors
        assert kind == "tar" or found.facts.content_sha256 == whole.content_sha256


@_fuzz
@given(
    kind=st.sampled_from(sorted(PACKERS)),
    top=st.sampled_from(["", "model/", "./", "제출물/"]),
    order=st.permutations(range(4)),
)
def test_size_and_digest_do_not_depend_on_the_archive(
    kind: str, top: str, order: list[int], contest: Contest, files: Files, tmp_path: Path
) -> None:
    names = sorted(files)
    assert len(names) == 4
    shuffled = {names[i]: files[names[i]] for i in order}
    found = judge(PACKERS[kind](shuffled, top), contest, tmp_path)
    plain = judge(PACKERS["tar"](files, ""), contest, tmp_path)
    assert found.acceptable, found.problems
    assert found.facts == plain.facts
    assert found.facts
    weights = sum(len(data) for name, data in files.items() if name.endswith(".safetensors"))
    assert found.facts.safetensors_bytes == weights
