"""Shows a measurement in the terminal."""

from __future__ import annotations

from typing import Any

from baseline.terminal import tables
from baseline.terminal.output import bytes_text, note, out, safe


def short(document: dict[str, Any]) -> str:
    terms = ", ".join(f"{t['name']} {tables.number(t['value'])}" for t in document["terms"])
    return f"score {tables.number(document['score'])} ({terms})" if document["score"] else terms


def result(document: dict[str, Any]) -> None:
    from rich.table import Table

    console = out()
    what = f"{safe(document['scheme'])}, {bytes_text(document['safetensors_bytes'])}"
    if document["score"] is None:
        console.print(f"No score, only {safe(document['only'])} was measured ({what})")
    else:
        half = tables.number(document["half_width"])
        console.print(f"Score [bold]{tables.number(document['score'])}[/bold] ± {half}  ({what})")
    tables.terms(console, document["terms"])
    table = Table(box=None, pad_edge=False)
    for heading in ("measured", "candidate", "base", "over"):
        table.add_column(heading, justify="left" if heading == "measured" else "right")
    for each in document["benchmarks"]:
        table.add_row(safe(each["name"]), f"{each['value']:.4f} ± {each['stderr']:.4f}",
                      f"{each['base_value']:.4f}", f"{each['questions']} questions")  # fmt: skip
    for each in document["speed"]:
        table.add_row(f"{safe(each['name'])} (tokens/s)", f"{each['output_tokens_per_s']:.1f}",
                      f"{each['base_output_tokens_per_s']:.1f}", _rounds(each))  # fmt: skip
    if table.rows:
        console.print(table)
    if board := document["board"]:
        console.print(
            f"The public board would show {tables.number(board['score'])} ± "
            f"{tables.number(board['half_width'])}: it counts its part of the questions."
        )
    if place := document.get("rank"):
        span = (
            f" ({place['best']}–{place['worst']} within the interval)"
            if place["best"] != place["worst"]
            else ""
        )
        console.print(
            f"Rank [bold]{place['rank']}[/bold] of {place['teams']}{span} on {safe(place['site'])} now"
        )
    if document.get("spread"):
        _show_spread(document["spread"])
    if document["quick"]:
        note(
            "Quick: too few questions and rounds to rank by; measure without --quick before you submit."
        )
    if document["speed"] and document["device"] != document["contest_hardware"]:
        note(
            f"Speed is of {document['device']}; the contest measures on {document['contest_hardware']}."
        )
    if document.get("number"):
        note(f"Kept as {document['number']}: baseline history {document['number']}")


def _rounds(shape: dict[str, Any]) -> str:
    in_turns = shape.get("pairing") == "turns"  # results kept by an older version do not say
    return f"{shape['rounds']} {'pairs of blocks, in turns' if in_turns else 'rounds'}"


def _show_spread(found: dict[str, dict[str, float]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("over all runs")
    for heading in ("mean", "sd", "least", "most"):
        table.add_column(heading, justify="right")
    for name, each in found.items():
        table.add_row(
            safe(name), *(tables.number(each[key]) for key in ("mean", "sd", "least", "most"))
        )
    out().print(table)
