"""The organizers' text for a drafted contest: ``rules.md`` and ``rules.ko.md``."""

from __future__ import annotations

from pathlib import Path

from grader.contest import Contest

PAGES = ("rules.md", "rules.ko.md")
TEMPLATES = Path(__file__).parent


def write(folder: Path, contest: Contest) -> None:
    """Fill in what follows from the contest file."""
    public = {round(100 * benchmark.public_share) for benchmark in contest.benchmarks}
    for page in PAGES:
        korean = page.endswith(".ko.md")
        titles = [benchmark.title("ko" if korean else "en") for benchmark in contest.benchmarks]
        filled = (
            (TEMPLATES / page)
            .read_text("utf-8")
            .format(
                model=contest.base_model.id.removeprefix("local/"),
                gpu=contest.hardware.name,
                team_size=contest.limits.team_size,
                benchmarks=", ".join(titles) if korean else _listed(titles),
                share=f"{min(public)}%",
            )
        )
        (folder / page).write_text(filled, "utf-8")


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
