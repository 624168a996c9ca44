"""Where a field of a document stands. Places near the top are noted when a file is read; for others it is parsed once more when asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from reconciler.model.origin import Origin
from reconciler.specs import syntax, tree

Step = str | int
Spots = Mapping[str, tuple[int, int]]
_NOTED = 3  # levels: `spec.volumes.data`


@dataclass(frozen=True, slots=True)
class Place:
    """A document: the *index*-th of the file *path*, whose content is *text*. *spots* has line and column of what stands near its top."""

    path: str
    text: Callable[[], bytes] = field(compare=False)
    index: int
    spots: Callable[[], Spots] = field(default=dict, compare=False)

    def __call__(self, path: str) -> Origin:
        """The origin of a dotted path, as nouns are asked for it: `spec.volumes.data.size`."""
        spots, steps = self.spots(), path.split(".")
        near = path if path in spots or len(steps) > _NOTED or steps[-1].isdecimal() else ".".join(steps[:-1])
        return Origin(self.path, *spots[near]) if near in spots else self.at(tuple(steps))

    def at(self, steps: tuple[Step, ...] = (), *, key: bool = False) -> Origin:
        """The origin of what *steps* lead to, or of the nearest thing around it; with *key*, of the field's name."""
        node, name = self._walk(steps)
        shown = name if key and name else node
        return Origin(self.path, shown.line, shown.column)

    def text_at(self, steps: tuple[Step, ...]) -> str:
        """A scalar as it is written."""
        return self._walk(steps)[0].text

    def _walk(self, steps: tuple[Step, ...]) -> tuple[tree.Node, tree.Node | None]:
        node, name = _documents(self.text())[self.index], None
        for step in steps:
            value = node.value
            if isinstance(value, dict) and step in value:
                name, node = value[step]
            elif isinstance(value, list) and str(step).isdecimal() and int(step) < len(value):
                name, node = None, value[int(step)]
            else:
                return node, None
        return node, name


def spots(node: tree.Node, path: str = "", level: int = 0) -> dict[str, tuple[int, int]]:
    """The places of the fields near the top of a document, by their dotted paths; of mappings only, and of keys without dots."""
    found = {path: (node.line, node.column)} if path else {}
    if level < _NOTED and isinstance(node.value, dict):
        for name, (_, below) in node.value.items():
            if "." not in name:
                found |= spots(below, f"{path}.{name}" if path else name, level + 1)
    return found


@lru_cache(maxsize=2)  # faults and origins are asked for document by document
def _documents(text: bytes) -> list[tree.Node]:
    return syntax.compose(text)[0]
