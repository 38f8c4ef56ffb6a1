"""``baseline compress``: apply a recipe to a model and write the result atomically."""

from __future__ import annotations

import json
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baseline import __version__
from baseline.checkpoint.safe_write import RECORD, need_space, place_for_folder, whole_folder
from baseline.commands.options import Contest, Force, Json
from baseline.compression import plan, recipe
from baseline.compression.memory import need_memory
from baseline.compression.model_source import SIDE_FILES, Source
from baseline.terminal.errors import missing_packages
from baseline.terminal.output import (
    Stages,
    bytes_text,
    emit,
    err,
    json_wanted,
    out,
    safe,
    typed,
    use_json,
    warn,
)

if TYPE_CHECKING:
    from baseline.compression.calibration import Calibration
    from grader.contest import Contest as ContestRules

PACKAGES = ("llmcompressor", "compressed-tensors", "torch", "transformers")
# Upper bounds for a checkpoint's share of the base model's bytes, for the disk check beforehand.
OUTPUT_SHARE = 0.75


def command(
    recipe_name: Annotated[
        str, typer.Option("--recipe", "-r", help="Name from `baseline recipes`, or a .yaml file.")
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Model folder, or Hub org/name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    data: Annotated[
        str,
        typer.Option(
            help="Calibration data: FILE.jsonl or a Hub data set (default: the recipe's)."
        ),
    ] = "",
    samples: Annotated[int | None, typer.Option(min=1, help="Calibration samples.")] = None,
    seq_length: Annotated[int | None, typer.Option(min=1, help="Tokens per sample.")] = None,
    group_size: Annotated[
        int | None, typer.Option(min=1, help="Weights per scale (W4A16, W8A16).")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change a recipe key: gptq.dampening=0.05, data.skip=512, seed=1."
        ),
    ] = None,
    contest: Contest = "",
    revision: Annotated[str, typer.Option(help="Commit or tag of a Hub model.")] = "",
    force: Force = False,
    verbose: Annotated[bool, typer.Option(help="Show the libraries' own log.")] = False,
    json_output: Json = False,
) -> None:
    """Compress a model by a recipe (GPTQ, AWQ, rounding, FP8, pruning)."""
    use_json(json_output)
    overrides = recipe.with_options(
        settings or [], samples=samples, seq_length=seq_length, group_size=group_size
    )
    chosen = recipe.load(recipe_name, overrides)
    rules = _rules(contest)
    local = Path(model).expanduser()
    place_for_folder(output, force, local if local.is_dir() else None)
    source = Source(model, revision)
    linears = source.linears()
    for warning in plan.check(chosen, source.config, rules, linears):
        warn(warning)
    weight_bytes = source.weight_bytes()
    need_space(output, int(weight_bytes * OUTPUT_SHARE))
    need_memory(chosen, source.config, weight_bytes, linears)
    _need_packages()
    if isinstance(chosen.quantiser, recipe.Awq):
        from baseline.compression.quantise import need_awq_mappings

        need_awq_mappings(str((source.config.get("architectures") or [""])[0]))
    document = run(chosen, source, output, data or _contest_data(rules), force, verbose)
    _show(document)


def run(
    chosen: recipe.Recipe,
    source: Source,
    output: Path,
    data: str = "",
    force: bool = False,
    verbose: bool = False,
) -> dict[str, Any]:
    """Do the work and return the content of ``compression.json``.

    Raises:
        CliError: for any problem from unsuitable data to a full disk.
    """
    from baseline.compression import pipeline

    stages = Stages()
    calibration: Calibration | None = None
    if chosen.needs_data:
        from baseline.compression.calibration import read

        with stages.stage("data", f"Reading {data or chosen.data.repo}"):
            calibration = read(data or chosen.data.repo, chosen.data)
        if (found := len(calibration.samples)) < chosen.data.samples:
            warn(f"Only {found} of {chosen.data.samples} samples are there.")
    base = source.folder()
    with whole_folder(output, force) as folder:
        facts = pipeline.compress(base, source.config, folder, chosen, calibration, stages, verbose)
        _copy_side_files(base, folder)
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        document = {
            "output": str(output),
            "recipe": recipe.as_document(chosen),
            "model": {"name": source.name, "revision": source.revision},
            "data": calibration and {
                "source": calibration.source,
                "samples": len(calibration.samples),
                "sha256": calibration.sha256,
            },
            "seed": chosen.seed,
            "base_safetensors_bytes": sum(p.stat().st_size for p in base.glob("*.safetensors")),
            "safetensors_bytes": size,
            "versions": {"baseline": __version__, "python": platform.python_version()}
            | {name: metadata.version(name) for name in PACKAGES},
            "durations_s": stages.durations_s,
            **facts,
        }  # fmt: skip
        (folder / "recipe.yaml").write_text(recipe.as_yaml(chosen), "utf-8")
        (folder / RECORD).write_text(
            json.dumps({k: v for k, v in document.items() if k != "output"}, indent=2) + "\n",
            "utf-8",
        )
    return document


def _rules(name: str) -> ContestRules | None:
    if not name:
        return None
    from baseline.checkpoint.contests import rules

    return rules(name)


def _contest_data(contest: ContestRules | None) -> str:
    """Calibrate on the contest's calibration data, if it has any, unless the options say otherwise."""
    if contest is None:
        return ""
    path = contest.folder / "data" / "calibration.jsonl"
    return str(path) if path.is_file() else ""


def _need_packages() -> None:
    for name in PACKAGES:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError as error:
            raise missing_packages("`baseline compress`", name) from error


def _copy_side_files(base: Path, folder: Path) -> None:
    for name in SIDE_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
            (folder / name).chmod(0o644)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors creates files with mode 0600


def _show(document: dict[str, Any]) -> None:
    if json_wanted():
        emit(document)
        return
    size, before = document["safetensors_bytes"], document["base_safetensors_bytes"]
    out().print(f"[bold]{safe(document['output'])}[/bold]  {bytes_text(size)}, "
                f"{1 - size / before:.1%} less than the base model")  # fmt: skip
    err().print(f"[dim]next: baseline check {typed(document['output'])} --contest ID[/dim]")
