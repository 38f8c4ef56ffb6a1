"""``baseline inspect``: what a checkpoint contains and what could still be saved, from headers only."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baseline.checkpoint import hub
from baseline.commands.options import Contest, Json, Lang
from baseline.terminal.errors import CliError, Exit, usage
from baseline.terminal.output import bytes_text, emit, json_wanted, language, out, safe, use_json

if TYPE_CHECKING:
    from grader.checkpoint.describe import Description
    from grader.contest import Contest as ContestRules
    from grader.protocol.documents import Tensor


@dataclass(frozen=True, slots=True)
class Inspected:
    """Everything the headers contain. ``revision``: the Hub commit; ``base_bytes`` 0: the base model is
    unknown.
    """

    name: str
    revision: str
    description: Description
    tensors: tuple[Tensor, ...]
    safetensors_bytes: int
    base_bytes: int
    weight: float | None

    @property
    def memory(self) -> float | None:
        """The memory term of the score."""
        return 1 - self.safetensors_bytes / self.base_bytes if self.base_bytes else None

    def gain(self, saved_bytes: int) -> float | None:
        """Return what saving this many bytes adds to the memory term."""
        return saved_bytes / self.base_bytes if self.base_bytes else None


def command(
    path: Annotated[str, typer.Argument(help="Checkpoint folder, or Hub org/name.")],
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
    contest: Contest = "",
    revision: Annotated[str, typer.Option(help="Commit or tag of a Hub repository.")] = "",
    lang: Lang = "",
    json_output: Json = False,
) -> None:
    """Show a checkpoint in words, where its bytes are, and what could still be saved."""
    use_json(json_output)
    rules = None
    if contest:
        from baseline.checkpoint.contests import rules as load

        rules = load(contest)
    found = inspect(path, revision, rules, language(lang))
    if json_wanted():
        emit(as_document(found, language(lang)))
    else:
        _show(found, language(lang), tensors)


def inspect(
    path: str, revision: str = "", contest: ContestRules | None = None, spoken: str = "en"
) -> Inspected:
    """Return facts of a checkpoint folder, or of a Hub repository without downloading its weights.

    Raises:
        CliError: not a checkpoint, a header that cannot be read, a repository that cannot be reached.
    """
    from grader.checkpoint.describe import describe

    with _folder(path, revision) as (folder, commit):
        files = sorted(folder.glob("*.safetensors"))
        config = _config(folder, path)
        if not files:
            raise usage("CHECKPOINT_WITHOUT_WEIGHTS", f"{path} has no .safetensors file.",
                        "Give the folder that holds config.json and the weights.")  # fmt: skip
        tensors = tuple(tensor for file in files for tensor in _header(file, spoken))
        size_bytes = sum(file.stat().st_size for file in files)
    description = describe(config, tensors)
    return Inspected(
        path, commit, description, tensors, size_bytes,
        contest.base_model.safetensors_bytes if contest else description.dense_bytes,
        contest.formula.memory if contest else None,
    )  # fmt: skip


def as_document(found: Inspected, spoken: str) -> dict[str, Any]:
    it = found.description
    return {
        "path": found.name,
        "revision": found.revision,
        "in_words": it.sentence(spoken),
        "architecture": it.architecture or "?",
        "layers": it.shape.layers if it.shape else None,
        "parameters": it.parameters,
        "scheme": it.scheme,
        "tied": not any(tensor.name == "lm_head.weight" for tensor in found.tensors),
        "safetensors_bytes": found.safetensors_bytes,
        "data_bytes": it.data_bytes,
        "base_bytes": found.base_bytes,
        "memory_term": found.memory,
        "memory_weight": found.weight,
        "parts": {
            part.name: {"bytes": part.size_bytes, "tensors": part.tensors, "dtypes": list(part.dtypes)}
            for part in it.parts
        },
        "savings": [
            {"name": s.name, "bytes": s.size_bytes, "tensors": s.tensors, "free": s.free,
             "words": s.words(spoken), "memory_term": found.gain(s.size_bytes)}
            for s in it.savings
        ],
        "tensors": [
            {"name": t.name, "dtype": t.dtype, "shape": list(t.shape), "bytes": t.size_bytes}
            for t in found.tensors
        ],
    }  # fmt: skip


def _show(found: Inspected, spoken: str, tensors: bool) -> None:
    from rich.table import Table

    from grader.checkpoint.describe import PARTS

    korean, console, it = spoken == "ko", out(), found.description
    at = f" @ {found.revision[:12]}" if found.revision else ""
    console.print(f"[bold]{safe(found.name)}[/bold]{at}", highlight=False)
    console.print(safe(it.sentence(spoken)))
    table = Table(box=None, pad_edge=False)
    table.add_column("부분" if korean else "part")
    for heading in ("바이트", "비율", "텐서") if korean else ("bytes", "share", "tensors"):
        table.add_column(heading, justify="right")
    table.add_column("dtype")
    for part in it.parts:
        share = part.size_bytes / max(1, it.data_bytes)
        name, dtypes = PARTS[part.name][korean], safe(", ".join(part.dtypes))
        table.add_row(name, f"{part.size_bytes:,}", f"{share:.1%}", f"{part.tensors}", dtypes)
    console.print(table)
    console.print(
        ("safetensors 합계: " if korean else "All safetensors: ")
        + bytes_text(found.safetensors_bytes)
    )
    if found.memory is not None:
        points = (
            f" × {found.weight:g} = {found.memory * found.weight:.4f}"
            if found.weight is not None
            else ""
        )
        name = "메모리 항" if korean else "Memory term"
        console.print(f"{name}: 1 − {found.safetensors_bytes:,} / {found.base_bytes:,} = "
                      f"[bold]{found.memory:.4f}[/bold]{points}")  # fmt: skip
    _show_savings(found, spoken)
    if tensors:
        for tensor in found.tensors:
            console.print(f"{tensor.size_bytes:>14,}  {tensor.dtype:<8} {safe(f'{list(tensor.shape)!s:<18}')} "
                          f"{safe(tensor.name)}")  # fmt: skip


def _show_savings(found: Inspected, spoken: str) -> None:
    korean, console = spoken == "ko", out()
    headings = {
        True: "아무것도 잃지 않고 줄일 수 있는 것:" if korean else "Could go without any loss:",
        False: "정확도를 재면서 줄일 수 있는 것:" if korean else "Could go at a price, so measure:",
    }
    for free, heading in headings.items():
        chosen = [s for s in found.description.savings if s.free is free]
        if chosen:
            console.print(f"[bold]{heading}[/bold]")
        for saving in chosen:
            gain = found.gain(saving.size_bytes)
            term = f" (+{gain:.4f})" if gain is not None else ""
            console.print(f"  −{saving.size_bytes:,}{term}  {safe(saving.words(spoken))}")


@contextlib.contextmanager
def _folder(path: str, revision: str) -> Iterator[tuple[Path, str]]:
    """Return the folder to read and the Hub's commit."""
    folder = Path(path).expanduser()
    if folder.is_dir() or not hub.is_repo(path):
        if not folder.is_dir():
            raise usage("CHECKPOINT_NOT_FOUND", f"There is no folder {path}.",
                        "Give a checkpoint folder, or a Hub repository as org/name.")  # fmt: skip
        yield folder, ""
        return
    with tempfile.TemporaryDirectory(prefix="baseline-inspect-") as temporary:
        yield Path(temporary), hub.fetch_headers(path, revision, Path(temporary))


def _header(file: Path, spoken: str) -> list[Tensor]:
    """Read with the grader's own strict reader."""
    from baseline.checkpoint.local_check import in_words
    from grader.checkpoint import Refused, read_header

    try:
        return list(read_header(file))
    except Refused as error:
        words = in_words(error.problems[0], spoken)
        where = " ".join(filter(None, (words["where"], words["detail"])))
        message = f"{words['sentence']} ({where})"
        raise CliError(words["code"], message, words["hint"], Exit.PROBLEM) from error


def _config(folder: Path, name: str) -> dict[str, Any]:
    from grader.checkpoint import Refused, strictjson

    try:
        return strictjson.read(folder / "config.json")
    except FileNotFoundError as error:
        raise usage("CHECKPOINT_WITHOUT_CONFIG", f"{name} has no config.json.",
                    "Give the folder that holds config.json and the weights.") from error  # fmt: skip
    except Refused as error:
        found = error.problems[0]
        raise usage("CHECKPOINT_WITHOUT_CONFIG", f"{name} has no readable config.json: {found.code}.",
                    "It has to be one JSON object; save the checkpoint again.") from error  # fmt: skip
