"""One minute of the soak with a fixed seed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.member import ROOT


@pytest.mark.timeout(2400)
def test_a_minute_of_random_faults_loses_nothing():
    command = [sys.executable, "-m", "tests.faults.soak", "--minutes", "1", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.rstrip().endswith(", 0 lost")
