"""An entry of `engine.allow`: a difference between the engine's preview and the plan that an environment has judged harmless.

    <op> <address> [<field>…]      update kubernetes/lab/*/Service/*/* spec.clusterIPs

A `*` stands for anything within one part of an address, or one name of a field; a field covers what lies below it.
Nothing that takes something away can be allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.model import address

OPS = ("create", "import", "same", "update")


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry: *fields* are named for `update` only. `same` is a planned change that the engine sees no need for."""

    op: str
    address: str
    fields: tuple[str, ...] = ()

    def covers(self, op: str, where: str, field: str = "") -> bool:
        """Whether *op* on the address *where* (and *field* of it) is harmless."""
        if op != self.op or not _alike(where.split("/"), self.address.split("/"), whole=True):
            return False
        return op != "update" or any(field and _alike(field.split("."), one.split("."), whole=False) for one in self.fields)


def parse(text: str) -> Allowance:
    """The entry that *text* spells; ValueError with what is wrong with it."""
    op, *rest = text.split() or [""]
    if op not in OPS:
        raise ValueError(f"begins with none of {', '.join(OPS)}: what takes something away is never allowed, it has to be planned")
    if not rest:
        raise ValueError(f"{op} needs the address that it is allowed for, such as volume/lab/*/*/*")
    address.parse(rest[0])
    fields = tuple(rest[1:])
    if op == "update" and not fields:
        raise ValueError("update needs the fields that it is allowed for, such as spec.clusterIPs")
    if op != "update" and fields:
        raise ValueError(f"{op} takes no fields")
    if any(not field.replace("*", "").strip(".") for field in fields):
        raise ValueError("a field needs a name beside *")
    return Allowance(op, rest[0], fields)


def _alike(parts: list[str], patterns: list[str], *, whole: bool) -> bool:
    if len(parts) < len(patterns) or (whole and len(parts) != len(patterns)):
        return False
    return all(_matches(part, pattern) for part, pattern in zip(parts, patterns, strict=False))


def _matches(part: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), part) is not None
