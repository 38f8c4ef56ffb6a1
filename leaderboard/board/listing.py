"""Sorting, searching, filtering and paging the board. Ranks always follow the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlencode

from leaderboard.board import columns
from leaderboard.board.columns import SORTABLE
from leaderboard.board.ranking import Entry

PAGE = 100
RANK = columns.RANK.key
EVERYONE, FRONT, BETTER = "", "front", "better"
FILTERS = (EVERYONE, FRONT, BETTER)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The arrangement from the query string; invalid values are ignored.

    Attributes:
        sort: a column; ``is_reversed``: worst first.
        search: part of a team's name.
        only: ``front`` (Pareto-optimal in all three) or ``better`` (than the reference).
        page: from 1; 0 for all rows on one page.
    """

    sort: str = RANK
    is_reversed: bool = False
    search: str = ""
    only: str = EVERYONE
    page: int = 1

    @classmethod
    def asked(cls, query: Mapping[str, str]) -> Arrangement:
        sort, page = query.get("sort", ""), query.get("page", "")
        column = sort.removeprefix("-")
        return cls(
            sort=column if column in SORTABLE else RANK,
            is_reversed=sort.startswith("-") and column in SORTABLE,
            search=query.get("q", "").replace("\0", "").strip()[:80],
            only=query.get("only", "") if query.get("only", "") in FILTERS else EVERYONE,
            page=0 if page == "all" else int(page) if page.isdecimal() and len(page) < 6 else 1,
        )

    @property
    def is_ranking(self) -> bool:
        """Every row, in order of rank, where brackets and adjacent rows are meaningful."""
        return self.sort == RANK and not self.is_reversed and not self.search and not self.only

    def choose(self, entries: Sequence[Entry], front: frozenset[int]) -> list[Entry]:
        """The entries to show, on all pages, in the chosen order."""
        reference = max((e.score.value for e in entries if e.kind == "reference"), default=0.0)
        wanted = self.search.casefold()
        found = [
            e
            for e in entries
            if wanted in e.entrant.casefold()
            and (self.only != FRONT or e.submission_id in front)
            and (self.only != BETTER or (e.is_ranked and e.score.value > reference))
        ]
        if self.sort == RANK:  # entries already come in this order
            return found[::-1] if self.is_reversed else found
        by = SORTABLE[self.sort]
        return sorted(found, key=by.value, reverse=(by.best == "largest") != self.is_reversed)

    def pages(self, rows: int) -> int:
        return max(1, -(-rows // PAGE))

    def cut(self, chosen: Sequence[Entry]) -> Sequence[Entry]:
        """The rows of the chosen page; of the last page if there are fewer."""
        if not self.page:
            return chosen
        page = min(max(1, self.page), self.pages(len(chosen)))
        return chosen[PAGE * (page - 1) : PAGE * page]

    def query(self, **changes: Any) -> str:
        """The query string for this arrangement with changes; ``?`` alone for the plain ranking."""
        values = asdict(replace(self, **changes))
        sort = ("-" if values["is_reversed"] else "") + values["sort"]
        page = {0: "all", 1: ""}.get(values["page"], values["page"])
        fields = {"q": values["search"], "only": values["only"], "page": page,
                  "sort": "" if sort == RANK else sort}  # fmt: skip
        return "?" + urlencode({key: value for key, value in fields.items() if value})
