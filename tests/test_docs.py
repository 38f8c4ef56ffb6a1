"""The documentation matches the code: every name in one is in the other."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from baseline.cli import app
from grader import contest as rules
from grader.contest import CONTESTS
from grader.problems.catalogue import CATALOGUE
from grader.worker.settings import Settings
from leaderboard.api import api
from leaderboard.models import Evaluation

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docker").rglob("*.md")]
)
SECTIONS = {
    "Top level": rules.Contest,
    "`[base_model]`": rules.BaseModel,
    "`[limits]`": rules.Limits,
    "`[checkpoint]`": rules.CheckpointRules,
    "`[hardware]`": rules.Hardware,
    "`[engine]`": rules.Engine,
    "`[aa]`": rules.AA,
    "`[[benchmarks]]`": rules.Benchmark,
    "`[compliance]`": rules.Compliance,
    "`[[phases]]`": rules.Phase,
    "`[[references]]`": rules.Reference,
}


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def section(name: str, heading: str) -> str:
    """The text under a second-level heading."""
    return re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page(name), re.M | re.S)[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row that starts with code."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def names(text: str) -> list[str]:
    """Code in the first cells: ``| `a`, `b` | …``."""
    return [name for row in rows(text) for name in re.findall(r"`([^`]+)`", row[0])]


def fields(kind: type) -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(kind) if field.init}


def test_every_variable_of_the_site_is_documented_and_no_other():
    source = page("leaderboard/settings.py")
    read = re.findall(r"env\.(?:text|flag|words)\(\s*\"(\w+)\"", source)
    assert sorted(names(section("docs/settings.md", "The site"))) == sorted(set(read))


def test_every_variable_of_the_worker_is_documented_and_no_other():
    source = page("grader/worker/settings.py")
    read = re.findall(r"read\.\w+\(\s*\"(\w+)\"", source)
    assert sorted(names(section("docs/settings.md", "The GPU worker"))) == sorted(set(read))


def test_documented_defaults_of_the_site_are_those_of_the_code():
    source = page("leaderboard/settings.py")
    literal = dict(re.findall(r"env\.(?:text|words)\(\"(\w+)\", \"([^\"+]+)\"\)", source))
    documented = {
        row[0].strip("`"): row[1] for row in rows(section("docs/settings.md", "The site"))
    }
    for name, default in literal.items():
        if name != "DATABASE_URL":  # a placeholder that manage.py has replaced by then
            assert f"`{default}`" in documented[name]


def test_documented_defaults_of_the_worker_are_those_of_the_code():
    plain = Settings.from_env({"GRADER_DEVICE": "cpu"})
    documented = {
        row[0].strip("`"): row[1] for row in rows(section("docs/settings.md", "The GPU worker"))
    }
    for name in (
        "CPU_THREADS",
        "MEMORY_BYTES",
        "QUALITY_TIMEOUT_S",
        "SPEED_TIMEOUT_S",
        "SILENCE_S",
        "HTTP_TIMEOUT_S",
    ):
        assert documented[f"GRADER_{name}"] == f"`{getattr(plain, name.lower()):g}`"
    assert documented["REDIS_URL"] == f"`{plain.redis_url}`"
    assert documented["GRADER_SANDBOX"] == f"`{plain.sandbox}`"


def test_every_variable_of_the_cli_is_documented():
    read = set()
    for file in (ROOT / "baseline").rglob("*.py"):
        text = file.read_text("utf-8")
        read |= set(re.findall(r"envvar=\"(\w+)\"", text))
        read |= set(re.findall(r"environ\.get\(\"(\w+)\"", text))
    assert read == set(names(section("docs/settings.md", "The participant's CLI")))


def test_every_command_of_the_site_is_documented():
    folder = ROOT / "leaderboard" / "management" / "commands"
    own = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    documented = {
        name.split()[1]
        for name in names(section("docs/operate.md", "Commands"))
        if name.startswith("manage.py")
    }
    assert documented - {"migrate", "createsuperuser"} == own


def test_every_status_is_documented():
    assert (
        names(section("docs/operate.md", "The states of an evaluation")) == Evaluation.Status.values
    )
    life = section("ARCHITECTURE.md", "Life of an evaluation")
    for status in Evaluation.Status.values:
        assert f"| `{status}` |" in life


def test_every_problem_code_is_documented():
    assert sorted(names(page("docs/problems.md"))) == sorted(CATALOGUE)


@pytest.mark.parametrize("name", ["operate", "contest", "score"])
def test_problem_codes_named_elsewhere_exist(name):
    families = {code.partition("_")[0] for code in CATALOGUE}
    mentioned = re.findall(r"`([A-Z]+_[A-Z_]+)`", page(f"docs/{name}.md"))
    assert [c for c in mentioned if c.partition("_")[0] in families and c not in CATALOGUE] == []


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_of_the_contest_file_is_documented(heading):
    tables = {f.name for f in fields(rules.Contest).values() if f.name in _tables()}
    expected = set(fields(SECTIONS[heading])) - (tables if heading == "Top level" else set())
    assert set(names(section("docs/contest.md", heading))) == expected


def test_every_key_of_speed_and_scoring_is_documented():
    speed = set(fields(rules.SpeedTest)) | set(fields(rules.SpeedShape))
    assert set(names(section("docs/contest.md", "`[speed]` and `[[speed.shapes]]`"))) == speed - {
        "shapes"
    }
    scoring = set(fields(rules.Scoring)) | set(fields(rules.Formula))
    found = set(names(section("docs/contest.md", "`[scoring]` and `[scoring.formulas.NAME]`")))
    assert found == scoring - {"formulas"}


@pytest.mark.parametrize("heading", [*SECTIONS, "`[speed]` and `[[speed.shapes]]`"])
def test_documented_defaults_of_the_contest_file_are_those_of_the_code(heading):
    kind = SECTIONS.get(heading, rules.SpeedTest)
    for cells in rows(section("docs/contest.md", heading)):
        keys = re.findall(r"`(\w+)`", cells[0])
        documented = re.findall(r"`([^`]*)`", cells[1])
        for key, text in zip(
            keys, documented * len(keys) if len(documented) == 1 else documented, strict=False
        ):
            assert tomllib.loads(f"x = {text}")["x"] == _default(fields(kind)[key]), key
        if not documented:
            for key in keys:
                if key in fields(kind):
                    nothing = None if cells[1] == "none" else dataclasses.MISSING
                    assert _default(fields(kind)[key]) is nothing, key


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _tables() -> set[str]:
    """Contest keys that are tables with their own section."""
    loaded = tomllib.loads((CONTESTS / "aimers8.toml").read_text("utf-8"))
    tables = {key for key, value in loaded.items() if isinstance(value, dict)}
    tables |= {
        key
        for key, value in loaded.items()
        if value and isinstance(value, list) and isinstance(value[0], dict)
    }
    return tables - {"title", "summary"}


def test_generated_pages_are_up_to_date():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for path, text in generate.pages().items():
        assert path.read_text("utf-8") == text, "run: python docs/generate.py"


def test_worked_example_adds_up():
    text = page("docs/score.md")
    points = [
        float(value)
        for value in re.findall(r"^\| (?:accuracy|memory|speed) \|.* (\S+) \|$", text, re.M)
    ]
    (total,) = re.findall(r"^\| \*\*score\*\* .*?\| \*\*(\d\.\d+)\*\*", text, re.M)
    assert len(points) == 3
    assert sum(points) == pytest.approx(float(total), abs=2e-4)


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(file):
    prose = re.sub(r"```.*?```", "", file.read_text("utf-8"), flags=re.S)
    targets = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose)]
    missing = [t for t in targets if t and "://" not in t and not (file.parent / t).exists()]
    assert missing == []


def test_both_readmes_say_the_same_commands_and_links():
    english, korean = page("README.md"), page("README.ko.md")
    assert _commands(english) == _commands(korean)
    # each README links to pages in its own language where they exist, and to the other README
    in_korean = [link.replace(".ko.md", ".md") for link in _links(korean)]
    assert {*_links(english), "README.md"} == {*in_korean, "README.ko.md"}
    assert len(re.findall(r"^## ", english, re.M)) == len(re.findall(r"^## ", korean, re.M))


def test_the_first_two_commands_of_the_readme_are_enough():
    assert _commands(page("README.md"))[:2] == ["make demo", "make test"]


def test_every_make_target_in_the_documentation_exists():
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.M))
    for file in PAGES:
        mentioned = re.findall(r"(?:^|`)make ([a-z-]+)", file.read_text("utf-8"), re.M)
        assert set(mentioned) <= targets, file.name


def test_every_baseline_command_in_the_documentation_exists():
    known = set(get_command(app).commands)
    for file in PAGES:
        mentioned = re.findall(r"(?:^|`)baseline ([a-z]+)", file.read_text("utf-8"), re.M)
        assert set(mentioned) <= known, file.name


def test_every_call_of_the_worker_protocol_is_documented():
    documented = section("docs/worker-protocol.md", "Calls")
    for path, operations in api.get_openapi_schema()["paths"].items():
        if path.startswith("/api/worker/"):
            (verb,) = operations
            assert re.search(
                rf"`{verb.upper()} \S*{re.escape(path.rpartition('/')[2])}`", documented
            ), path


def test_changelog_begins_with_the_version_of_the_project():
    version = tomllib.loads(page("pyproject.toml"))["project"]["version"]
    assert re.search(r"^## \[([^\]]+)\]", page("CHANGELOG.md"), re.M)[1] == version


def _commands(text: str) -> list[str]:
    """Lines of the shell blocks without comments."""
    blocks = re.findall(r"```bash\n(.*?)```", text, re.S)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def _links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", text)
