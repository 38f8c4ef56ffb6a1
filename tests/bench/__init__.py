"""Benches: each measures something of ours beside something known, alternating in one run.

    make bench              all of them
    make bench BENCH=name   one
    python -m tests.bench name --quick    smaller and shorter, for a look

A bench module has ``run(quick: bool) -> dict``. Progress goes to stderr; the last line on stdout is one JSON
object with the bench's figures, the machine and the versions.
"""
