"""Parser events of YAML → trees with positions, without recursion. Nothing is constructed but JSON: tags and merge keys are flaws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reconciler.specs.scalar import Scalar, meaning

MAX_DEPTH = 100
MAX_ALIASED = 100_000  # nodes that a file's aliases may stand for

_CORE = "tag:yaml.org,2002:"
_TYPES: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}


@dataclass(slots=True, eq=False)
class Node:
    """A value and where it begins (from 1). *value* is a scalar, a list of nodes, or a dict of key to (key's node, value's node)."""

    value: Any
    line: int
    column: int
    text: str = ""  # of a scalar, as written
    size: int = 1  # nodes that it stands for, aliases followed
    depth: int = 1

    @property
    def plain(self) -> Any:
        """The value as JSON."""
        value = self.value
        if type(value) is dict:
            return {key: node.plain for key, (_, node) in value.items()}
        if type(value) is list:
            return [node.plain for node in value]
        return value


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with the YAML itself. After one that is *fatal* some documents of the file are missing."""

    line: int
    column: int
    message: str
    hint: str = ""
    fatal: bool = False


@dataclass(slots=True)
class Composer:
    """Folds parser events into nodes, without recursion; flaws are noted and passed over."""

    flaws: list[Flaw] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)
    aliased: int = 0
    stack: list[tuple[Node, str]] = field(default_factory=list)  # open collections with their anchors
    keys: list[Node | None] = field(default_factory=list)  # beside each, the key that waits for its value
    root: Node | None = None
    bottomless: bool = False  # nested too deeply to be walked, or to be parsed in linear time: the file ends here

    def scalar(self, event: Any) -> None:
        mark = event.start_mark
        node = Node(None, mark.line + 1, mark.column + 1, event.value)
        node.value = self._meaning(event, node)
        if event.anchor:
            self.anchors[event.anchor] = node
        self._add(node, plain=not event.style)

    def open(self, event: Any, value: Any, tag: str) -> None:
        mark = event.start_mark
        node = Node(value, mark.line + 1, mark.column + 1)
        if event.tag and event.tag not in {"!", _CORE + tag}:
            self._tag(event.tag, node)
        if event.anchor:
            self.anchors[event.anchor] = None  # known, not yet whole
        if len(self.stack) == MAX_DEPTH:
            self._too_deep(node)
        self.stack.append((node, event.anchor or ""))
        self.keys.append(None)

    def close(self) -> None:
        node, anchor = self.stack.pop()
        self.keys.pop()
        if anchor:
            self.anchors[anchor] = node
        self._add(node, plain=False)

    def alias(self, event: Any) -> None:
        mark = event.start_mark
        here = Node(None, mark.line + 1, mark.column + 1)
        target = self.anchors.get(event.anchor)
        if target is None:
            inside = event.anchor in self.anchors
            self._flaw(here, f"*{event.anchor} " + ("stands inside what it refers to" if inside else "has no anchor before it"))
        elif (aliased := self.aliased + target.size) > MAX_ALIASED:
            self._flaw(here, f"aliases stand for more than {MAX_ALIASED:,} values in this file", "write the values out")
        elif target.depth + len(self.stack) > MAX_DEPTH:
            self._too_deep(here)
        else:
            self.aliased = aliased
            here = target
        self._add(here, plain=False)

    def _add(self, node: Node, *, plain: bool) -> None:
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1][0]
        if node.depth >= parent.depth:
            parent.depth = node.depth + 1
        if type(parent.value) is list:
            parent.value.append(node)
            parent.size += node.size
        elif (key := self.keys[-1]) is None:
            self.keys[-1] = self._key(node, plain=plain)
        else:
            self.keys[-1] = None
            parent.size += node.size
            self._pair(parent.value, key, node)

    def _key(self, node: Node, *, plain: bool) -> Node:
        if type(node.value) is not str:
            self._flaw(node, "a key must be a string", f'quote it: "{node.text}"' if node.text else "")
            return Node(None, node.line, node.column)
        if plain and node.value == "<<":
            self._flaw(node, "merge keys (<<) have no meaning in YAML 1.2", "write the fields out")
            return Node(None, node.line, node.column)
        return node

    def _pair(self, pairs: dict[Any, tuple[Node, Node]], key: Node, node: Node) -> None:
        if key.value in pairs:
            self._flaw(key, f"{key.value} is set twice, first in line {pairs[key.value][0].line}")
        elif key.value is not None:
            pairs[key.value] = (key, node)

    def _meaning(self, event: Any, node: Node) -> Scalar:
        tag, text = event.tag, event.value
        if tag is None:
            return self._number(text, node) if not event.style else text
        name = tag.removeprefix(_CORE)
        if name in _TYPES and tag != name:
            value = self._number(text, node)
            if not isinstance(value, _TYPES[name]) or (isinstance(value, bool) and name != "bool"):
                self._flaw(node, f"{text!r} is no {name}")
            return value
        if tag not in {"!", _CORE + "str"}:
            self._tag(tag, node)
        return str(text)

    def _number(self, text: str, node: Node) -> Scalar:
        try:
            value = meaning(text)
        except ValueError as error:
            self._flaw(node, str(error), "quote it if it is text")
            return None
        return value

    def _tag(self, tag: str, node: Node) -> None:
        self._flaw(node, f"the tag {tag.replace(_CORE, '!!')} is refused", "a spec holds values only: strings, numbers, lists, mappings")

    def _too_deep(self, node: Node) -> None:
        self.flaws.append(Flaw(node.line, node.column, f"is nested deeper than {MAX_DEPTH} levels", fatal=True))
        self.bottomless = True

    def _flaw(self, node: Node, message: str, hint: str = "") -> None:
        self.flaws.append(Flaw(node.line, node.column, message, hint))
