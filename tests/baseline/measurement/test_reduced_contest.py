"""What is measured at home of a contest whose fresh twin stays with the organizers."""

from __future__ import annotations

import shutil

from baseline.measurement.reduced_contest import reduced
from grader.contest import find, load


def test_a_contest_that_is_all_here_is_measured_as_it_is():
    contest = load(find("demo"))
    assert reduced(contest) is contest


def test_a_twin_that_only_the_organizers_have_is_left_out(tmp_path):
    shutil.copytree(find("demo").parent, tmp_path / "demo")
    (tmp_path / "demo/tasks/demo_fresh.yaml").unlink()
    contest = load(tmp_path / "demo/contest.toml")
    here = reduced(contest)
    assert [benchmark.id for benchmark in here.benchmarks] == ["gsm8k", "choice"]
    assert here.twins == ()
    assert here.sha256 != contest.sha256  # stored runs of the base model are of this one alone
    assert here.speed == contest.speed
