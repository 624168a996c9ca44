"""Label selectors as text: `a=b`, `a==b`, `a!=b`, `a`, `!a`, `a in (b,c)`, `a notin (b,c)`, joined by commas."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TERM = re.compile(
    r"""\s*(?P<not>!)?(?P<key>[\w./-]+)\s*
    (?:(?P<operator>==|!=|=)\s*(?P<value>[\w.-]*)|(?P<word>in|notin)\s*\((?P<set>[^)]*)\))?
    \s*(?:,|$)""",
    re.VERBOSE,
)


def fits(labels: Mapping[str, str], selector: str) -> bool:
    """Whether *labels* are what *selector* wants; ValueError for what is no selector."""
    at, fitting = 0, True
    while at < len(selector):
        term = _TERM.match(selector, at)
        if not term:
            raise ValueError(f"{selector!r} is no label selector")
        fitting = fitting and _fits(labels, term)
        at = term.end()
    return fitting


def _fits(labels: Mapping[str, str], term: re.Match[str]) -> bool:
    has = labels.get(term["key"])
    if term["operator"]:
        return (has == term["value"]) != (term["operator"] == "!=")
    if term["word"]:
        return (has in {value.strip() for value in term["set"].split(",")}) != (term["word"] == "notin")
    return (has is not None) != bool(term["not"])
