"""``baseline recipes``: list the values for ``compress --recipe``."""

from __future__ import annotations

from typing import Annotated

import typer

from baseline.commands.options import Json, Lang
from baseline.terminal.output import emit, language, out, use_json


def command(
    name: Annotated[str, typer.Argument(help="Show this recipe in full.")] = "",
    lang: Lang = "",
    json_output: Json = False,
) -> None:
    """List the recipes, or print one as YAML to copy and change."""
    from rich.table import Table

    from baseline.compression import recipe

    use_json(json_output)
    if name:
        chosen = recipe.load(name)
        if json_output:
            emit(recipe.as_document(chosen))
        else:
            print(recipe.as_yaml(chosen), end="")
        return
    recipes = [recipe.load(each) for each in recipe.names()]
    if json_output:
        emit({"recipes": [recipe.as_document(each) for each in recipes]})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("recipe", "scheme", "data", "what it does"):
        table.add_column(heading, no_wrap=heading != "what it does")
    for each in recipes:
        data = f"{each.data.samples} × {each.data.seq_length}" if each.needs_data else "none"
        scheme = each.quantiser.scheme if each.quantiser else "-"
        table.add_row(each.name, scheme, data, each.about(language(lang)))
    out().print(table)
