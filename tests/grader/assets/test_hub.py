"""What users may type to name a checkpoint on the Hub, and what its listing says before any download."""

from __future__ import annotations

import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.assets import hub
from grader.checkpoint import find_listing_problems, lay_out, listing
from grader.checkpoint.safetensors import MAX_HEADER_BYTES
from grader.contest import find, load
from grader.protocol.documents import HubFile

LIMITS = load(find("demo")).limits


@pytest.mark.parametrize(
    ("text", "revision", "found"),
    [
        ("team/model", "", ("team/model", "main")),
        (" team/model ", " v2 ", ("team/model", "v2")),
        ("team/model@refs/pr/3", "", ("team/model", "refs/pr/3")),
        ("team/model@v1", "v2", ("team/model", "v2")),  # the separate field takes precedence
        ("https://huggingface.co/team/model", "", ("team/model", "main")),
        ("https://huggingface.co/team/model/tree/v2", "", ("team/model", "v2")),
        ("http://mirror.example/team/model/", "", ("team/model", "main")),
    ],
)
def test_names_as_people_write_them(text, revision, found):
    assert hub.parse(text, revision, "http://mirror.example/") == found


@pytest.mark.parametrize(
    ("text", "revision", "code"),
    [
        ("", "", "HUB_REPO_ID"),
        ("model", "", "HUB_REPO_ID"),
        ("a/b/c", "", "HUB_REPO_ID"),
        ("../etc", "", "HUB_REPO_ID"),
        ("a/..", "", "HUB_REPO_ID"),
        ("a//b", "", "HUB_REPO_ID"),
        ("http://169.254.169.254/latest/meta-data", "", "HUB_REPO_ID"),
        ("https://huggingface.co.evil.example/a/b", "", "HUB_REPO_ID"),
        ("team/mödel", "", "HUB_REPO_ID"),
        ("team/model?x=1", "", "HUB_REPO_ID"),
        ("team/model#x", "", "HUB_REPO_ID"),
        ("team/model\n", "a b", "HUB_REVISION"),
        ("team/model", "../../api", "HUB_REVISION"),
        ("team/model", "a/../b", "HUB_REVISION"),
        ("team/model", "-x", "HUB_REVISION"),
        ("team/model", "x" * 201, "HUB_REVISION"),
    ],
)
def test_everything_else_is_refused_before_anybody_is_asked(text, revision, code):
    with pytest.raises(hub.HubError) as refused:
        hub.parse(text, revision)
    assert refused.value.code == code


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_is_taken_can_be_put_into_an_address_as_it_is(text, revision):
    try:
        repo, found = hub.parse(text, revision)
    except hub.HubError:
        return
    assert re.fullmatch(r"[\w.\-]+/[\w.\-]+", repo, re.ASCII)
    assert re.fullmatch(r"[\w./\-]+", found, re.ASCII)
    assert ".." not in repo + found and not found.startswith("/")


@pytest.mark.parametrize(
    ("extra", "codes"),
    [
        ([], []),
        ([("README.md", 9), (".gitattributes", 9), (".cache/x", 9)], []),
        ([("pytorch_model.bin", 9), ("run.py", 9)], ["LAYOUT_FORBIDDEN_FILE"] * 2),
        ([("sub/model.safetensors", 9)], ["LAYOUT_SUBFOLDER"]),
        ([("../x", 9)], ["ARCHIVE_PATH"]),
        ([("a\u202eb", 9)], ["ARCHIVE_PATH"]),
        ([("Config.json", 9)], ["ARCHIVE_DUPLICATE"]),
        ([(f"n{i}.txt", 1) for i in range(LIMITS.max_files)], ["ARCHIVE_TOO_MANY_FILES"]),
        ([("m.safetensors", LIMITS.archive_bytes)], ["UPLOAD_TOO_LARGE"]),
        ([("video.mp4", 10 * LIMITS.archive_bytes)], []),  # never downloaded, so it does not matter
    ],
)
def test_a_listing_is_judged_as_an_archive_is(extra, codes):
    files = [HubFile("config.json", 9), HubFile("model.safetensors", 9)]
    found = find_listing_problems([*files, *(HubFile(n, s) for n, s in extra)], LIMITS)
    assert [problem.code for problem in found] == codes


def test_a_listing_without_a_model():
    assert [p.code for p in find_listing_problems([HubFile("config.json", 9)], LIMITS)] == [
        "LAYOUT_NO_WEIGHTS"
    ]
    assert [p.code for p in find_listing_problems([], LIMITS)] == ["LAYOUT_MISSING_CONFIG"]


def test_headers_of_all_files_together_are_bounded(tmp_path):
    """Each file claims the longest allowed header; the site downloads only a few of them."""
    asked = []

    def read(name, first, count):
        asked.append(count)
        return struct.pack("<Q", MAX_HEADER_BYTES) + bytes(count - 8) if not first else bytes(count)

    size = MAX_HEADER_BYTES + 100
    lay_out([HubFile(f"m{i}.safetensors", size) for i in range(50)], tmp_path, read)
    assert sum(asked) < listing.MAX_HEADERS_BYTES + 50 * listing.FIRST_BYTES
    assert sorted(p.stat().st_size for p in tmp_path.iterdir()) == [size] * 50
