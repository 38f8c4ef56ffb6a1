"""``baseline history``: this machine's measurements as a table or plot, or a comparison of two of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from baseline.checkpoint.safe_write import whole_file
from baseline.commands.options import Contest, Force, Json
from baseline.measurement import history
from baseline.measurement.history import Difference
from baseline.terminal import result
from baseline.terminal.errors import usage
from baseline.terminal.output import emit, err, json_wanted, out, safe, use_json
from baseline.terminal.svg import Point, scatter
from baseline.terminal.tables import number

COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # plotext ends every line with a reset, even without colors
PLOTS = {
    "tradeoff": ("Trade-off", "bytes of the safetensors", "accuracy relative to the base model"),
    "score": ("Measurements", "number", "score"),
}  # fmt: skip


def command(
    measurements: Annotated[
        list[int] | None,
        typer.Argument(help="One number shows that run; two are compared, second minus first."),
    ] = None,
    contest: Contest = "",
    last: Annotated[int, typer.Option(min=1, help="Show only this many, newest first.")] = 30,
    plot: Annotated[str, typer.Option(help="tradeoff (bytes × accuracy) or score.")] = "",
    svg: Annotated[Path | None, typer.Option(help="Write the plot to this file instead.")] = None,
    force: Force = False,
    json_output: Json = False,
) -> None:
    """List, plot and compare what `baseline measure` found on this machine."""
    use_json(json_output)
    if measurements:
        _chosen(measurements)
        return
    if plot and plot not in PLOTS:
        raise usage("PLOT_UNKNOWN", f"{plot!r} is no plot.", f"One of: {', '.join(PLOTS)}.")
    records = history.read(contest)[-last:]
    if svg:
        kind = plot or "tradeoff"
        with whole_file(svg, force) as temporary:
            temporary.write_text(scatter(points(records, kind), *PLOTS[kind]), "utf-8")
        if not json_wanted():
            out().print(safe(svg))
            return
    if json_wanted():
        emit({"file": str(history.file()), "measurements": [*map(_public, records)]})
    elif not records:
        err().print("Nothing measured yet. [dim]baseline measure CHECKPOINT --contest ID[/dim]")
    elif plot:
        _draw(points(records, plot), *PLOTS[plot])
    else:
        out().print(_table(records))


def points(records: list[dict[str, Any]], kind: str) -> list[Point]:
    """Return what a plot shows: measurements that have both of its values."""
    found = []
    for record in records:
        terms = {term["name"]: term for term in record.get("terms", [])}
        label = f"{record['number']} {record.get('label') or Path(record.get('path', '')).name}"
        if kind == "score" and record.get("score") is not None:
            found.append(Point(label, record["number"], record["score"], record["half_width"]))
        if kind == "tradeoff" and "accuracy" in terms:
            value, half_width = terms["accuracy"]["value"], terms["accuracy"]["half_width"]
            found.append(Point(label, record["safetensors_bytes"], value, half_width))
    return found


def _chosen(numbers: list[int]) -> None:
    if len(numbers) > 2:
        raise usage("TOO_MANY", "At most two measurements can be compared.", "Give two numbers.")
    records = [history.find(each) for each in numbers]
    if len(records) == 1:
        if json_wanted():
            emit(_public(records[0]))
        else:
            result.result(records[0] | {"number": None})
        return
    differences = history.compare(*records)
    if json_wanted():
        emit({
            "first": numbers[0],
            "second": numbers[1],
            "differences": [
                {"name": d.name, "first": d.first, "second": d.second, "difference": d.value,
                 "half_width": d.half_width, "clear": d.clear, "paired": d.paired, "capped": d.capped}
                for d in differences
            ],
        })  # fmt: skip
    else:
        out().print(_compared(records, differences))


def _public(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "questions"}


def _table(records: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("when", no_wrap=True)
    for heading in ("contest", "checkpoint", "scheme"):
        table.add_column(heading, overflow="fold")
    for heading in ("bytes", "accuracy", "memory", "speed", "score", "±"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for record in records:
        terms = {term["name"]: term["value"] for term in record.get("terms", [])}
        kind = " ".join(filter(None, ("quick" if record.get("quick") else "", record.get("only"))))
        table.add_row(
            str(record["number"]), str(record["when"])[:16].replace("T", " "), safe(record["contest"]),
            safe(record.get("label") or Path(record.get("path", "")).name), safe(record["scheme"]),
            f"{record['safetensors_bytes']:,}",
            *(number(terms.get(name)) for name in ("accuracy", "memory", "speed")),
            number(record.get("score")), number(record.get("half_width")), f"[dim]{safe(kind)}[/dim]",
        )  # fmt: skip
    return table


def _compared(records: list[dict[str, Any]], differences: list[Difference]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for record in records:
        table.add_column(f"{record['number']} {safe(record['scheme'])}", justify="right")
    for heading in ("difference", "±"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for each in differences:
        colour = "dim" if not each.clear else "green" if each.value > 0 else "red"
        says = "clear" if each.clear else "within the noise"
        paired = ", paired by question" if each.paired else ""
        paired += ", capped" if each.capped else ""
        table.add_row(
            safe(each.name), number(each.first), number(each.second), f"{each.value:+.4f}",
            number(each.half_width), f"[{colour}]{says}[/{colour}]{paired}",
        )  # fmt: skip
    return table


def _draw(found: list[Point], title: str, x_name: str, y_name: str) -> None:
    """Plot in the terminal at full width. Points are labeled with their measurement's number."""
    import plotext

    console, figure = out(), plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(min(console.width, 110), 24)
    xs, ys = [point.x for point in found], [point.y for point in found]
    if any(point.half_width for point in found):
        figure.draw(figure.error(xs, ys, [2 * point.half_width for point in found]))
    else:
        figure.draw(figure.signal(xs, ys))
    for point in found:
        figure.draw(figure.text(point.x, point.y, point.label.split()[0]))
    figure.title(f"{title}: {y_name} over {x_name}")
    console.print(COLOUR.sub("", str(figure.build())), markup=False, highlight=False)
    for point in found:
        console.print(f"[dim]{safe(point.label)}[/dim]")
