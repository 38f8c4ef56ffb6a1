"""Import rules and coding habits, checked in the source. See ARCHITECTURE.md and CONTRIBUTING.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("grader", "leaderboard", "baseline")
HEAVY = {
    "accelerate", "compressed_tensors", "datasets", "llmcompressor", "lm_eval", "safetensors", "tokenizers",
    "torch", "transformers", "vllm",
}  # fmt: skip
MAX_LINES = 400
# Packages that a pure module may import, but only inside a function.
PURE_EXCEPTIONS = {
    ("grader/scoring/packing.py", "numpy"),
    ("grader/checkpoint/archives/tar_reader.py", "zstandard"),
    ("grader/checkpoint/scan.py", "numpy"),
    ("grader/assets/hub.py", "huggingface_hub"),
    ("grader/assets/nltk_data.py", "nltk"),
    ("grader/assets/prefetch.py", "huggingface_hub"),
    ("grader/scoring/ranking.py", "numpy"),
    ("grader/scoring/bootstrap.py", "numpy"),
}


def sources(*rooms: str) -> list[Path]:
    found = [file for room in rooms for file in sorted((ROOT / room).rglob("*.py"))]
    return [file for file in found if "migrations" not in file.parts and "vendor" not in file.parts]


def pure_modules() -> list[Path]:
    """All of ``grader`` except the worker, the builders of test cases, and the training of the demo's model."""
    apart = {"worker", "gallery", "contests"}
    return [file for file in sources("grader") if not apart & set(file.relative_to(ROOT).parts)]


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"), filename=str(file))


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """Every module a file imports, with whether the import is inside a function."""
    yield from _imports(tree(file), inside=False)


def _imports(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue  # only for type checkers
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield alias.name, inside
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "absolute imports only"
            yield child.module or "", inside
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imports(child, inside or function)


def test_import_contracts_are_kept():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_pure_modules_import_the_standard_library_and_each_other():
    found, used = [], set()
    for file in pure_modules():
        for module, inside in imports(file):
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names:
                continue
            if top == "grader" and not module.startswith(("grader.worker", "grader.gallery")):
                continue
            if inside and (name_of(file), top) in PURE_EXCEPTIONS:
                used.add((name_of(file), top))
                continue
            found.append(f"{name_of(file)}: {module}")
    assert found == []
    assert used == PURE_EXCEPTIONS  # an exception that is no longer needed must be removed


def test_heavy_packages_are_imported_inside_functions_only():
    scripts = ROOT / "grader" / "contests"  # run by hand, imported by nothing
    found = [
        f"{name_of(file)}: {module}"
        for file in sources(*ROOMS)
        if scripts not in file.parents
        for module, inside in imports(file)
        if module.partition(".")[0] in HEAVY and not inside
    ]
    assert found == []


@pytest.mark.parametrize(
    "modules", ["baseline.cli", "leaderboard.settings", "leaderboard.wsgi", "grader.worker.run"]
)
def test_start_loads_nothing_heavy(modules):
    code = f"import sys, {modules}; print(sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_cli_starts_without_the_packages_of_site_and_worker():
    others = {"django", "celery", "ninja", "psycopg", "redis"}
    code = f"import sys, baseline.cli; print(sorted({others!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_files_are_small():
    lengths = {
        name_of(file): len(file.read_text("utf-8").splitlines())
        for file in [*sources(*ROOMS), *sources("requirements", "docker", "docs")]
    }
    too_long = {name for name, lines in lengths.items() if lines > MAX_LINES}
    assert too_long == set()


def test_rows_are_never_saved_whole():
    """Saving a whole row overwrites columns changed by others; ``create`` and ``update`` do not."""
    found = [
        f"{name_of(file)}:{call.lineno} {ast.unparse(call.func)}"
        for file in sources("leaderboard")
        for call in _calls(file, "save")
        if "storage" not in ast.unparse(call.func)
        and "update_fields" not in {keyword.arg for keyword in call.keywords}
    ]
    assert found == []


# Which modules may write the status of which rows.
WRITERS = {
    "AARun": "workers",
    "Batch": "batches",
    "Delivery": "notifications",
    "Evaluation": "lifecycle",
    "Merger": "teams",
}


def test_the_status_of_a_row_has_one_writer():
    found = []
    for file in sources("leaderboard"):
        room = file.relative_to(ROOT / "leaderboard").parts[0]
        for method in ("update", "create"):
            for call in _calls(file, method):
                if "status" not in {keyword.arg for keyword in call.keywords}:
                    continue
                models = {one for one in WRITERS if re.search(rf"\b{one}\b", _receiver(file, call))}
                rooms = {WRITERS[model] for model in models}
                if not rooms <= {room} or (not rooms and room != "lifecycle"):
                    found.append(f"{name_of(file)}:{call.lineno} {sorted(models)}")
    assert found == []


def _receiver(file: Path, call: ast.Call) -> str:
    """What a method is called on; variables are resolved to what the same file assigns to them."""
    assert isinstance(call.func, ast.Attribute)
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree(file)):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Name) and isinstance(node, ast.Assign):
                assigned.setdefault(target.id, []).append(node.value)
    text, waiting = "", [call.func.value]
    while waiting:
        found = waiting.pop()
        text += f" {ast.unparse(found)}"
        for name in [node.id for node in ast.walk(found) if isinstance(node, ast.Name)]:
            waiting += assigned.pop(name, [])
    return text


def _calls(file: Path, method: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree(file)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == method
        ):
            yield node
