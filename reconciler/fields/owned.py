"""The paths that our field manager alone holds, as a tree that is walked beside what is declared. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from reconciler.model.value import Item, Path

Step: TypeAlias = "str | int | Item"
Tree: TypeAlias = "Mapping[Step, tuple[bool, Tree]]"  # by step: whether it goes as a whole once it is not declared, and what is below


@lru_cache(maxsize=4096)
def tree(paths: frozenset[Path]) -> Tree:
    """*paths* as a tree. Objects of one shape share one set of paths, so they share one tree too."""
    root: dict[Step, tuple[bool, Tree]] = {}
    for path in sorted(paths, key=len, reverse=True):
        _put(root, path)
    return root


def _put(root: dict[Step, tuple[bool, Tree]], path: Path) -> None:
    here = root
    for step in path[:-1]:
        here = here.setdefault(step, (False, {}))[1]  # type: ignore[assignment]
    _, below = here.get(path[-1], (True, {}))
    here[path[-1]] = (True, below)
