"""Bytes of a YAML file → its documents as trees, and everything that is wrong with the YAML itself. Knows nothing of specs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]  # without __all__, but the only way to the C parser's events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from reconciler.specs.tree import Composer, Flaw, Node

MAX_BYTES = 1 << 20
MAX_EXACT = 1 << 16  # what is larger is read by libyaml only
_OLD_BREAKS = ("\u0085".encode(), "\u2028".encode(), "\u2029".encode())  # end a line in YAML 1.1 only


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
    composer = Composer()
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


def _roots(composer: Composer, stream: Iterator[Any]) -> Iterator[Node]:
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
