"""The organizers' text for a drafted contest: ``rules.md`` and ``rules.ko.md``."""

from __future__ import annotations

from pathlib import Path

from grader.contest import Contest

PAGES = ("rules.md", "rules.ko.md")
TEMPLATES = Path(__file__).parent


def write(folder: Path, contest: Contest) -> None:
    """Fill in what follows from the contest file."""
    public = {round(100 * b.public_share) for b in contest.benchmarks if not b.twin_of}
    for page in PAGES:
        korean = page.endswith(".ko.md")
        titles = [benchmark.title("ko" if korean else "en") for benchmark in contest.benchmarks]
        filled = (
            (TEMPLATES / page)
            .read_text("utf-8")
            .format(
                model=contest.base_model.id.removeprefix("local/"),
                gpu=_machine(contest, korean=korean),
                team_size=contest.limits.team_size,
                benchmarks=", ".join(titles) if korean else _listed(titles),
                share=f"{min(public)}%",
            )
        )
        (folder / page).write_text(filled, "utf-8")


def _machine(contest: Contest, *, korean: bool) -> str:
    name, count = contest.hardware.name, contest.engine.tensor_parallel
    if not contest.hardware.compute_capability:
        return name if korean else f"a {name}"
    if korean:
        return f"{name} {count}장"
    return f"one {name}" if count == 1 else f"{count} × {name}"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
