"""Equal parts of many objects are kept once: most of what a live object says, a thousand others say too. Pure."""

from __future__ import annotations

from typing import Any


class Pool:
    """What was seen so far. It lives as long as one list is read; what it gave out stays shared, and must not be changed."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._numbers: dict[tuple[type, Any], Any] = {}  # 1, 1.0 and True are equal, and not the same
        self._nodes: dict[tuple[Any, ...], Any] = {}  # by the identity of their parts, which are shared before them

    def share(self, value: Any) -> Any:
        """*value*, or one equal to it that was seen before."""
        kind = type(value)
        if kind is str:
            return self._texts.setdefault(value, value)
        if kind is dict:
            node = {self._texts.setdefault(name, name): self.share(item) for name, item in value.items()}
            return self._nodes.setdefault((*node, None, *map(id, node.values())), node)
        if kind is list:
            items = [self.share(item) for item in value]
            return self._nodes.setdefault((None, *map(id, items)), items)
        return self._numbers.setdefault((kind, value), value)
