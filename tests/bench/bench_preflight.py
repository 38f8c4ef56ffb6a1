"""Header-only preflight of a full-size EXAONE-4.0-1.2B ÷ listing its tensors with the official parser.

A sparse file with the exact header (2,558,821,288 bytes) takes no disk. ``scan_ratio`` is the NaN scan
of a real warm file ÷ ``cat FILE > /dev/null``.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from grader import checkpoint
from grader import contest as rules
from grader.checkpoint.safetensors import scan_finite
from tests.bench.harness import alternate, peak_rss_mb, say
from tests.checkpoints import write_full_size, write_random_safetensors


def run(quick: bool) -> dict[str, object]:
    contest = rules.load(rules.find("aimers8"))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        weights = write_full_size(model, contest)
        say(f"  {weights.stat().st_size:,} bytes, sparse")

        def check() -> None:
            findings = checkpoint.find_problems(model, contest)
            assert not findings.problems, findings.problems

        def official() -> int:
            from safetensors import safe_open

            with safe_open(str(weights), "numpy") as file:
                slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118
                return len([(part.get_shape(), part.get_dtype()) for part in slices])

        header = alternate(check, official, 5 if quick else 15)
        code = (
            "from pathlib import Path; from grader import checkpoint, contest as c;"
            f"checkpoint.find_problems(Path({str(model)!r}), c.load(c.find('aimers8')))"
        )
        rss = peak_rss_mb(code)
        size = (128 if quick else 1024) * 1024**2
        real = write_random_safetensors(Path(folder) / "real.safetensors", size)

        slots = checkpoint.read_header(real)

        def scan() -> None:
            assert not scan_finite(real, slots)

        def cat() -> None:
            with open("/dev/null", "wb") as null:
                subprocess.run(["cat", str(real)], stdout=null, check=True)

        scanned = alternate(scan, cat, 3 if quick else 5)
    return {
        "ratio": round(header.ratio, 2),
        "seconds": round(sorted(header.ours_s)[len(header.ours_s) // 2], 4),
        "rss_mb": round(rss, 1),
        "scan_ratio": round(scanned.ratio, 2),
    }
