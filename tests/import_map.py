"""``make map``: the rooms of each package, the imports between them, and their floors.

A room is a folder or a loose file directly inside a package. A room is one floor above the highest room that it
imports; rooms in an import cycle share a floor, and each import inside a cycle is marked. Imports for type
checkers are not counted.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("leaderboard", "baseline", "grader")
APART = {"migrations", "locale", "contests.demo"}

Graph = dict[str, set[str]]


def rooms(package: str) -> Graph:
    """Return each room of a package with the rooms that it imports."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    found: Graph = defaultdict(set)
    for module in graph.modules - {package}:
        room = module.split(".")[1]
        if room in APART:
            continue
        found[room] |= {
            other.split(".")[1]
            for other in graph.find_modules_directly_imported_by(module)
            if other.startswith(f"{package}.") and other.split(".")[1] not in APART
        } - {room}
    return dict(found)


def circles(graph: Graph) -> list[set[str]]:
    """Return sets of rooms that import each other."""
    reach = {room: _reached(graph, room) for room in graph}
    return [
        set(found)
        for found in {
            frozenset(o for o in reach[room] if room in reach.get(o, ())) for room in graph
        }
        if len(found) > 1
    ]


def floors(graph: Graph) -> dict[str, int]:
    """The floor of each room, 1 at the bottom; a cycle is one floor."""
    name = {room: room for room in graph}
    for circle in circles(graph):
        name |= dict.fromkeys(circle, min(circle))
    merged: Graph = defaultdict(set)
    for room, used in graph.items():
        merged[name[room]] |= {name.get(other, other) for other in used} - {name[room]}
    height: dict[str, int] = {}
    for room in TopologicalSorter(merged).static_order():
        height[room] = 1 + max((height[other] for other in merged[room]), default=0)
    return {room: height[name[room]] for room in graph}


def _reached(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for other in graph.get(waiting.pop(), ()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def main() -> int:
    print(f"{'package':<14}{'rooms':>7}{'imports':>9}{'floors':>8}{'back up':>9}")
    for package in PACKAGES:
        graph = rooms(package)
        height = floors(graph)
        back = sum(len(circle & graph[room]) for circle in circles(graph) for room in circle)
        edges = sum(map(len, graph.values()))
        print(f"{package:<14}{len(graph):>7}{edges:>9}{max(height.values()):>8}{back:>9}")
        if "--rooms" in sys.argv:
            for floor in range(max(height.values()), 0, -1):
                here = sorted(room for room in graph if height[room] == floor)
                print(f"  {floor:>2}  {'  '.join(here)}")
            for circle in circles(graph):
                print(f"      circle: {', '.join(sorted(circle))}")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
