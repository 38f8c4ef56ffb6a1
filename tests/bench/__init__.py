"""Benchmarks: each measures our code next to a known reference, alternating in one run.

    make bench              all of them
    make bench BENCH=name   one
    python -m tests.bench name --quick    smaller and shorter, for a quick look

A bench module has ``run(quick: bool) -> dict``. Progress goes to stderr; the last line on stdout is one JSON
object with the bench's figures, the machine and the versions.
"""
