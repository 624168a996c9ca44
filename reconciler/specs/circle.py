"""Circles in a graph of names: Tarjan's strongly connected parts, without recursion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Graph = Mapping[str, Sequence[str]]


def circles(graph: Graph) -> Iterator[list[str]]:
    """For each knot of names that reach one another the shortest way from its first name back to it: [a, b, a]."""
    for knot in _knots(graph):
        yield _way_round(graph, min(knot), set(knot))


def _knots(graph: Graph) -> Iterator[list[str]]:
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    open_: set[str] = set()
    for root in graph:
        work = [] if root in index else [_enter(graph, root, index, low, path, open_)]
        while work:
            name, others = work[-1]
            other = next((other for other in others if other in graph and (other not in index or other in open_)), None)
            if other is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    knot = _leave(name, path, open_)
                    if len(knot) > 1 or name in graph[name]:
                        yield knot
            elif other in index:
                low[name] = min(low[name], index[other])
            else:
                work.append(_enter(graph, other, index, low, path, open_))


def _enter(
    graph: Graph, name: str, index: dict[str, int], low: dict[str, int], path: list[str], open_: set[str]
) -> tuple[str, Iterator[str]]:
    index[name] = low[name] = len(index)
    path.append(name)
    open_.add(name)
    return name, iter(graph[name])


def _leave(name: str, path: list[str], open_: set[str]) -> list[str]:
    knot: list[str] = []
    while not knot or knot[-1] != name:
        knot.append(path.pop())
        open_.discard(knot[-1])
    return knot


def _way_round(graph: Graph, start: str, knot: set[str]) -> list[str]:
    before: dict[str, str] = {}
    queue = [start]
    for name in queue:  # grows while it is walked: breadth first
        for other in graph[name]:
            if other == start:
                way = [name]
                while way[0] != start:
                    way.insert(0, before[way[0]])
                return [*way, start]
            if other in knot and other not in before:
                before[other] = name
                queue.append(other)
    raise AssertionError(f"{start} is in no circle")
