"""Where a field of a document stands. Positions cost a second parse, so they are looked up only when somebody asks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from reconciler import syntax, tree
from reconciler.model.origin import Origin

Step = str | int


@dataclass(frozen=True, slots=True)
class Place:
    """A document: the *index*-th of the file *path*, whose content is *text*."""

    path: str
    text: bytes
    index: int

    def __call__(self, path: str) -> Origin:
        """The origin of a dotted path, as nouns are asked for it: `spec.volumes.data.size`."""
        return self.at(tuple(path.split(".")))

    def at(self, steps: tuple[Step, ...] = (), *, key: bool = False) -> Origin:
        """The origin of what *steps* lead to, or of the nearest thing around it; with *key*, of the field's name."""
        node, name = self._walk(steps)
        shown = name if key and name else node
        return Origin(self.path, shown.line, shown.column)

    def text_at(self, steps: tuple[Step, ...]) -> str:
        """A scalar as it is written."""
        return self._walk(steps)[0].text

    def _walk(self, steps: tuple[Step, ...]) -> tuple[tree.Node, tree.Node | None]:
        node, name = _documents(self.text)[self.index], None
        for step in steps:
            value = node.value
            if isinstance(value, dict) and step in value:
                name, node = value[step]
            elif isinstance(value, list) and str(step).isdecimal() and int(step) < len(value):
                name, node = None, value[int(step)]
            else:
                return node, None
        return node, name


@lru_cache(maxsize=2)  # faults and origins are asked for document by document
def _documents(text: bytes) -> list[tree.Node]:
    return syntax.compose(text)[0]
