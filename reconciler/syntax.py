"""Bytes of a YAML file → trees with positions, under YAML 1.2's core schema. Knows nothing of specs; nothing is constructed but JSON.

`no`, `on`, `1_000`, `2026-11-22`, `1:30` and `0b1` are strings; `012` is twelve, `0o17` fifteen, `1e3` a float. Merge keys (`<<`) and
tags other than the core ones are faults, as are `.inf` and `.nan`, for which JSON has no word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ruamel.yaml import YAML, events
from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]  # without __all__, but the only way to the C parser's events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

MAX_BYTES = 1 << 20
MAX_EXACT = 1 << 16  # what is larger is read by libyaml only
MAX_DEPTH = 100
MAX_ALIASED = 100_000  # nodes that a file's aliases may stand for

Scalar: TypeAlias = str | int | float | bool | None
_OLD_BREAKS = ("\u0085".encode(), "\u2028".encode(), "\u2029".encode())  # end a line in YAML 1.1 only
_CORE = "tag:yaml.org,2002:"
_WORDS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NUMBERISH = frozenset("0123456789+-.")
_DIGITS = 19  # of an int64
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
class _Composer:
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


def meaning(text: str) -> Scalar:
    """What a plain scalar means in YAML 1.2's core schema; ValueError for a number that JSON or an int64 cannot hold."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBERISH:
        return text
    if _INT.fullmatch(text):
        digits = text.lstrip("+-").lstrip("0")
        if len(digits) > _DIGITS + 2:
            raise ValueError("is a number out of range")
        value = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if not -(1 << 63) <= value < 1 << 63:
            raise ValueError("is a number out of range")
        return value
    if _FLOAT.fullmatch(text):
        number = math.inf if text.lower().endswith(("inf", "nan")) else float(text)
        if math.isinf(number):
            raise ValueError("is a number out of range")
        return number
    return text


def compose(text: bytes) -> tuple[list[Node], list[Flaw]]:
    """The documents of a file that hold anything, and what is wrong with it. What a flaw leaves whole is still there.

    libyaml is fast, but refuses some of YAML 1.2 (`{url: https://example.org}`) and breaks lines where 1.2 does not: what it
    does not read is read again by ruamel.yaml's own parser, unless that would take long.
    """
    flaw = _no_text(text)
    if flaw:
        return [], [flaw]
    exact = len(text) <= MAX_EXACT
    if exact and any(line_break in text for line_break in _OLD_BREAKS):
        return _composed(_exactly(text), text)
    documents, flaws = _composed(_fast(text), text)
    if exact and any(flaw.fatal for flaw in flaws):
        return _composed(_exactly(text), text)
    return documents, flaws


def _no_text(text: bytes) -> Flaw | None:
    if len(text) > MAX_BYTES:
        return Flaw(0, 0, f"is larger than {MAX_BYTES >> 20} MiB", "split it", fatal=True)
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return _at(text, error.start, "is not UTF-8")
    return None


def _fast(text: bytes) -> Iterator[Any]:
    parser = CParser(text)
    while parser.check_event():
        yield parser.get_event()


def _exactly(text: bytes) -> Iterator[Any]:
    yield from YAML(typ="safe", pure=True).parse(text)


def _composed(stream: Iterator[Any], text: bytes) -> tuple[list[Node], list[Flaw]]:
    composer = _Composer()
    documents: list[Node] = []
    try:
        for root in _roots(composer, stream):
            if root.value is not None or root.text:
                documents.append(root)  # noqa: PERF401 - what was read before an error stays
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        hint = "indent with spaces" if "\\t" in what or "tab" in what else ""
        composer.flaws.append(Flaw(mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, f"is no YAML: {what}", hint, fatal=True))
    except YAMLError as error:
        composer.flaws.append(_at(text, getattr(error, "position", 0) or 0, "is no YAML: it has a character that YAML does not allow"))
    return documents, composer.flaws


def _roots(composer: _Composer, stream: Iterator[Any]) -> Iterator[Node]:
    for event in stream:
        kind = type(event)
        if kind is events.ScalarEvent:
            composer.scalar(event)
        elif kind is events.MappingStartEvent:
            composer.open(event, {}, "map")
        elif kind is events.SequenceStartEvent:
            composer.open(event, [], "seq")
        elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
            composer.close()
        elif kind is events.AliasEvent:
            composer.alias(event)
        elif kind is events.DocumentEndEvent and composer.root is not None:
            yield composer.root
            composer.root = None
            composer.anchors.clear()
        if composer.bottomless:
            return


def _at(text: bytes, offset: int, message: str) -> Flaw:
    before = text[:offset].decode(errors="ignore")
    return Flaw(before.count("\n") + 1, len(before) - before.rfind("\n"), message, fatal=True)
