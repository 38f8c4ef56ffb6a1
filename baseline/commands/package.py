"""``baseline package``: pack a checkpoint into one deterministic archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from baseline.checkpoint.packaging import Package, members, pack
from baseline.checkpoint.safe_write import need_space, place_for_file
from baseline.commands.options import Force, Json
from baseline.terminal.output import (
    byte_bar,
    bytes_text,
    emit,
    json_wanted,
    note,
    out,
    safe,
    use_json,
)


def command(
    path: Annotated[Path, typer.Argument(help="Checkpoint folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Archive to write (.tar).")],
    force: Force = False,
    json_output: Json = False,
) -> None:
    """Pack a checkpoint into a deterministic .tar; prints its sha256 and size."""
    use_json(json_output)
    size_bytes = sum((path / name).stat().st_size for name in members(path))
    place_for_file(output, force, path)
    need_space(output, size_bytes)
    with byte_bar("Packing", size_bytes) as written:
        packed = pack(path, output, force, written)
    if json_wanted():
        emit(as_document(packed))
        return
    if packed.left_out:
        note(f"Left out, the contest does not use them: {', '.join(packed.left_out)}")
    out().print(f"{packed.sha256}  {safe(packed.path)}\n{bytes_text(packed.size_bytes)}")


def as_document(packed: Package) -> dict[str, Any]:
    return {
        "path": str(packed.path),
        "sha256": packed.sha256,
        "size_bytes": packed.size_bytes,
        "files": list(packed.files),
        "left_out": list(packed.left_out),
    }
