"""Header-only preflight of a full-size EXAONE-4.0-1.2B ÷ listing its tensors with the official parser.

A sparse file with the exact header (2,558,821,288 bytes) uses no disk space. ``ratio`` and ``seconds`` are
for a process that has checked for the same contest before, like the site's queue; ``first_seconds`` is the
first check of a new process. ``scan_ratio`` is the NaN scan of a real warm file ÷ ``cat FILE > /dev/null``;
``digest_ratio`` is the same with the content digest, which runs in parallel and takes as long as sha256.
``experts_ratio`` and ``experts_rss_mb`` are ``ratio`` and memory for 30 layers of 128 experts, 11,793 tensors.
``rebuild_copies`` counts weight files of a rebuilt checkpoint that are not hard links to the originals.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from pathlib import Path

from grader import checkpoint
from grader import contest as rules
from grader.checkpoint import rebuild
from grader.checkpoint.scan import scan, scan_values
from grader.contest import Contest
from tests.bench.harness import alternate, output_of, peak_rss_mb, say
from tests.checkpoints import (
    experts_contest,
    tiny_contest,
    write_full_size,
    write_random_safetensors,
)


def run(quick: bool) -> dict[str, object]:
    contest = rules.load(rules.find("aimers8"))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        weights = write_full_size(model, contest)
        say(f"  {weights.stat().st_size:,} bytes, sparse")

        header = alternate(
            lambda: find(model, contest), lambda: list_tensors(weights), 9 if quick else 51
        )
        code = (
            "import time; from pathlib import Path; from grader import checkpoint, contest as c;"
            "rules = c.load(c.find('aimers8')); started = time.perf_counter();"
            f"checkpoint.find_problems(Path({str(model)!r}), rules);"
            "print(time.perf_counter() - started)"
        )
        rss = peak_rss_mb(code)
        first_s = statistics.median(float(output_of(code)) for _ in range(3))
        many = experts_contest(Path(folder) / "experts")
        experts = alternate(
            lambda: find(many.base_folder, many),
            lambda: list_tensors(many.base_folder / "model.safetensors"),
            3 if quick else 9,
        )
        experts_rss = peak_rss_mb(
            "from pathlib import Path; from grader import checkpoint, contest as c;"
            f"folder = Path({str(many.folder)!r}); rules = c.parse({many.source!r}, folder);"
            "checkpoint.find_problems(rules.base_folder, rules)"
        )
        size = (128 if quick else 1024) * 1024**2
        real = write_random_safetensors(Path(folder) / "real.safetensors", size)

        tensors = checkpoint.read_header(real)

        def find_nonfinite() -> None:
            assert scan_values(real, tensors) == ((), ())

        def digest_too() -> None:
            scan([(real, tensors)])

        def cat() -> None:
            with open("/dev/null", "wb") as null:
                subprocess.run(["cat", str(real)], stdout=null, check=True)

        scanned = alternate(find_nonfinite, cat, 3 if quick else 7)
        digested = alternate(digest_too, cat, 3)
        copies = count_copies(Path(folder) / "small")
    return {
        "ratio": round(header.ratio, 2),
        "seconds": round(sorted(header.ours_s)[len(header.ours_s) // 2], 4),
        "first_seconds": round(first_s, 4),
        "rss_mb": round(rss, 1),
        "experts_ratio": round(experts.ratio, 2),
        "experts_rss_mb": round(experts_rss, 1),
        "scan_ratio": round(scanned.ratio, 2),
        "digest_ratio": round(digested.ratio, 2),
        "rebuild_copies": copies,
    }


def find(folder: Path, contest: Contest) -> None:
    findings = checkpoint.find_problems(folder, contest)
    assert not findings.problems, findings.problems


def list_tensors(weights: Path) -> int:
    """List tensors with the official parser."""
    from safetensors import safe_open

    with safe_open(str(weights), "numpy") as file:
        slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118
        return len([(part.get_shape(), part.get_dtype()) for part in slices])


def count_copies(folder: Path) -> int:
    """Rebuild a small valid checkpoint and count the weight files that were copied."""
    tiny = tiny_contest(folder / "contest")
    rebuild(tiny.base_folder, folder / "canonical", tiny)
    own = {file.stat().st_ino for file in tiny.base_folder.glob("*.safetensors")}
    return sum(
        file.stat().st_ino not in own for file in (folder / "canonical").glob("*.safetensors")
    )
