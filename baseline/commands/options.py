"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baseline.terminal.errors import usage

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace an existing output.")]
Contest = Annotated[
    str,
    typer.Option("--contest", "-c", help="Contest id (demo, aimers8) or its .toml file.",
                 envvar="BASELINE_CONTEST"),
]  # fmt: skip
Lang = Annotated[
    str, typer.Option("--lang", help="en or ko (default: LC_ALL, LC_MESSAGES or LANG).")
]
SiteUrl = Annotated[
    str,
    typer.Option("--site", help="Contest site (default: where you last logged in).",
                 envvar="BASELINE_SITE"),
]  # fmt: skip
Token = Annotated[
    str,
    typer.Option("--token", help="API token (prefer BASELINE_TOKEN or `baseline login`).",
                 envvar="BASELINE_TOKEN", show_envvar=True),
]  # fmt: skip


def need_one(verb: str, path: Path | None, hub: str) -> None:
    """Require one name for the checkpoint: an existing path or a repository on the Hub.

    Raises:
        CliError: CHECKPOINT_MISSING (none or both), CHECKPOINT_NOT_FOUND.
    """
    if (path is None) == (hub == ""):
        raise usage(
            "CHECKPOINT_MISSING",
            f"{verb} which checkpoint?",
            "Give a folder, an archive, or --hub OWNER/NAME: one of them.",
        )
    if path is not None and not path.exists():
        raise usage("CHECKPOINT_NOT_FOUND", f"There is no {path}.", "Give a folder or an archive.")
