"""The organizers' entries: made once, marked as such, with clear errors for what cannot be made."""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest
from django.core.management import CommandError, call_command

from leaderboard import lifecycle
from leaderboard.models import AuditEntry, Submission
from leaderboard.operations import references
from leaderboard.submissions import preflight
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def organiser():
    return factories.user(name="organiser", is_staff=True)


@pytest.fixture
def compressor(tmp_path, monkeypatch):
    """Replaces the compression environment's interpreter: copies the model, or fails as configured."""
    script = tmp_path / "python"
    log = tmp_path / "calls"
    script.write_text(
        f"""#!/bin/sh
if [ "$1" = -c ]; then exit 0; fi  # asked whether it has llmcompressor
echo "$@" >> {log}
if [ -f {tmp_path}/refusal ]; then cat {tmp_path}/refusal; exit 2; fi
while [ $# -gt 0 ]; do case "$1" in --model) m=$2;; --output) o=$2;; esac; shift; done
cp -r "$m" "$o"
"""
    )
    script.chmod(0o755)
    monkeypatch.setenv("COMPRESS_PYTHON", str(script))

    def refuse(document):
        (tmp_path / "refusal").write_text(document)

    refuse.calls = lambda: log.read_text().splitlines() if log.exists() else []
    return refuse


def test_base_and_references_are_entered_once_and_marked(contest, organiser, compressor, capsys):
    call_command("publish_baselines", "demo")
    assert capsys.readouterr().out.strip() == "2 entered"
    rows = Submission.objects.order_by("pk").values_list("kind", "title", "team", "user__username")
    assert list(rows) == [
        ("base", "paretoboard/demo-exaone4", None, "organiser"),
        ("reference", "Reference W8A8", None, "organiser"),
    ]
    (call,) = compressor.calls()
    assert "--recipe w8a8-rtn" in call
    assert str(contest.rules.folder / "contest.toml") in call
    call_command("publish_baselines", "demo")
    assert capsys.readouterr().out.strip() == "0 entered"
    assert len(compressor.calls()) == 1
    assert AuditEntry.objects.filter(action="baseline.publish").count() == 2


def test_entry_that_was_rejected_is_entered_again_without_compressing_again(
    contest, organiser, compressor, capsys
):
    call_command("publish_baselines", "demo")
    evaluation = Submission.objects.get(kind="reference").evaluations.get()
    lifecycle.cancel(evaluation.pk, by="organiser")
    call_command("publish_baselines", "demo")
    assert Submission.objects.filter(kind="reference").count() == 2
    assert len(compressor.calls()) == 1


def test_recipe_that_the_contests_gpu_cannot_run_is_skipped(contest, organiser, compressor, capsys):
    compressor(json.dumps({"code": "SCHEME_NOT_ON_GPU", "message": "no kernel", "hint": "W8A8"}))
    call_command("publish_baselines", "demo")
    said = capsys.readouterr()
    assert said.out.strip() == "1 entered"
    assert "skipped, baseline compress: SCHEME_NOT_ON_GPU: no kernel W8A8" in said.err


def test_recipe_that_fails_stops_with_what_baseline_said(contest, organiser, compressor):
    compressor(json.dumps({"code": "OUT_OF_MEMORY", "message": "Too big.", "hint": "Use less."}))
    with pytest.raises(CommandError, match=r"OUT_OF_MEMORY: Too big\. Use less\."):
        call_command("publish_baselines", "demo")
    compressor("Traceback: something else")
    with pytest.raises(CommandError, match="baseline compress failed:\nTraceback"):
        call_command("publish_baselines", "demo")
    assert Submission.objects.count() == 1  # the base model stays


def test_missing_parts_are_named(contest, organiser, monkeypatch, tmp_path):
    with pytest.raises(CommandError, match="no contest 'other'; loaded: demo"):
        call_command("publish_baselines", "other")
    with pytest.raises(CommandError, match="'nobody' is not a staff account"):
        call_command("publish_baselines", "demo", "--by", "nobody")
    with pytest.raises(CommandError, match="no weights of paretoboard/demo-exaone4"):
        call_command("publish_baselines", "demo", "--model", str(tmp_path))
    monkeypatch.setenv("COMPRESS_PYTHON", str(tmp_path / "gone"))
    with pytest.raises(CommandError, match="no interpreter at"):
        call_command("publish_baselines", "demo")
    monkeypatch.setenv("COMPRESS_PYTHON", sys.executable)  # it has no llmcompressor
    with pytest.raises(CommandError, match="has no llmcompressor; set COMPRESS_PYTHON"):
        call_command("publish_baselines", "demo")
    assert not Submission.objects.exists()  # checked before anything is entered


def test_what_is_compressed_already_needs_no_compressor(
    contest, organiser, compressor, monkeypatch, tmp_path, capsys
):
    call_command("publish_baselines", "demo")
    lifecycle.cancel(Submission.objects.get(kind="reference").evaluations.get().pk, by="organiser")
    monkeypatch.setenv("COMPRESS_PYTHON", str(tmp_path / "gone"))
    call_command("publish_baselines", "demo")
    assert capsys.readouterr().out.split()[-2:] == ["1", "entered"]


def test_contest_file_that_changed_since_is_not_compressed_for(
    contest, organiser, compressor, tmp_path
):
    folder = tmp_path / "contest"
    shutil.copytree(contest.rules.folder, folder, ignore=shutil.ignore_patterns("data", "tasks"))
    with (folder / "contest.toml").open("a") as file:
        file.write("# changed\n")
    contest.version.folder = str(folder)
    entry = references.entries(contest)[1]
    with pytest.raises(references.PublishError, match="run loadcontest first"):
        references.checkpoint(contest, entry, folder, print)
    assert os.listdir(folder)


@pytest.mark.compress
def test_references_are_compressed_for_real_pass_preflight_and_are_graded_as_their_scheme(
    contest, organiser, capsys
):
    if not references.compress_python().exists():
        pytest.fail("no environment with llmcompressor: run make install")
    call_command("publish_baselines", "demo")
    said = capsys.readouterr()
    assert said.out.strip() == "2 entered"
    assert "Reference W8A8: baseline compress --recipe w8a8-rtn" in said.err
    base, reference = Submission.objects.order_by("pk")
    for row in (base, reference):
        preflight.check(row.evaluations.get().pk)
    facts = {row.kind: row.evaluations.get() for row in (base, reference)}
    assert [e.is_checked for e in facts.values()] == [True, True]
    assert facts["reference"].facts["scheme"].startswith("W8A8")
    base_bytes = facts["base"].facts["safetensors_bytes"]
    assert facts["reference"].facts["safetensors_bytes"] < 0.8 * base_bytes
    with capsys.disabled():
        print("\n" + said.err, facts["reference"].facts["safetensors_bytes"], base_bytes)
