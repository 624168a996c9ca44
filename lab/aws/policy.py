"""Whether IAM's policies permit an action on resources: statements, wildcards and the conditions that the product's policies use.

Moto's own evaluation knows neither resources nor conditions. Pure; what a request touches is told in `lab.aws.touched`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

Keys = Mapping[str, tuple[str, ...]]  # condition keys, in lower case, and their values


@dataclass(frozen=True, slots=True)
class Touched:
    """One authorisation that a request needs: *action* on the resource *arn*, with the keys that conditions may ask for."""

    action: str
    arn: str = "*"
    keys: Keys = field(default_factory=dict)


def permits(documents: Iterable[Any], needed: Iterable[Touched]) -> bool:
    """Whether every authorisation in *needed* is allowed by some statement and denied by none."""
    statements = [statement for document in documents for statement in _statements(document)]
    return all(_decide(statements, one) for one in needed)


def _statements(document: Any) -> list[Mapping[str, Any]]:
    parsed = json.loads(document) if isinstance(document, str) else document
    found = parsed["Statement"]
    return [found] if isinstance(found, Mapping) else list(found)


def _decide(statements: list[Mapping[str, Any]], needed: Touched) -> bool:
    effects = {statement["Effect"] for statement in statements if _applies(statement, needed)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: Mapping[str, Any], needed: Touched) -> bool:
    action = needed.action.lower()
    return (
        any(fnmatchcase(action, pattern.lower()) for pattern in _listed(statement["Action"]))
        and any(fnmatchcase(needed.arn, pattern) for pattern in _listed(statement.get("Resource", "*")))
        and all(_holds(operator, asked, needed.keys) for operator, asked in statement.get("Condition", {}).items())
    )


def _holds(operator: str, asked: Mapping[str, Any], keys: Keys) -> bool:
    """Every key of *asked* under *operator*; ValueError names an operator that nobody has needed yet."""
    every, _, comparison = operator.rpartition(":")
    if comparison not in _COMPARISONS and comparison != "Null":
        raise ValueError(f"condition operator {operator} is not known to the lab's IAM")
    for name, wanted in asked.items():
        values = keys.get(name.lower())
        if comparison == "Null":
            if (values is None) != (str(_listed(wanted)[0]).lower() == "true"):
                return False
        elif not _compared(every, comparison, values, _listed(wanted)):
            return False
    return True


def _compared(every: str, comparison: str, values: tuple[str, ...] | None, wanted: list[str]) -> bool:
    if values is None:
        return every == "ForAllValues"
    hits = [any(_COMPARISONS[comparison](value, one) for one in wanted) for value in values]
    return all(hits) if every == "ForAllValues" else any(hits)


_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringLike": fnmatchcase,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
