"""DNS names as Route 53 keeps them: lower case, a dot at the end, octal escapes for all but letters, digits, hyphen, underscore. Pure."""

from __future__ import annotations

import re

PLAIN = re.compile(r"[a-z0-9_-]")
PIECE = re.compile(r"\\([0-7]{3})|(.)", re.DOTALL)
LABEL, WHOLE = 63, 255


class BadNameError(ValueError):
    """A name that Route 53 refuses; the message is its own wording."""


def canonical(name: str) -> str:
    """*name* as ListResourceRecordSets gives it back."""
    labels = [""]
    lengths = [0]
    for escaped, char in PIECE.findall(name.removesuffix(".")):
        if char == ".":
            labels.append("")
            lengths.append(0)
            continue
        code = int(escaped, 8) if escaped else ord(char)
        if not escaped and not 0o40 < code < 0o177:
            raise BadNameError(f"FATAL problem: UnsupportedCharacter (Value contains unsupported characters) encountered with '{char}'")
        small = chr(code).lower()
        labels[-1] += small if PLAIN.fullmatch(small) else f"\\{code:03o}"
        lengths[-1] += 1
    _check(name, lengths)
    return ".".join(labels) + "."


def _check(name: str, lengths: list[int]) -> None:
    if 0 in lengths:
        raise BadNameError(f"FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with '{name}'")
    if max(lengths) > LABEL:
        raise BadNameError(f"FATAL problem: DomainLabelTooLong (Domain label is too long) encountered with '{name}'")
    if sum(lengths) + len(lengths) > WHOLE:
        raise BadNameError(f"FATAL problem: DomainNameTooLong (Domain name is too long) encountered with '{name}'")


def order(name: str) -> str:
    """What a canonical *name* is sorted by: its labels reversed, with a dot at the end."""
    return ".".join(reversed(name.removesuffix(".").split("."))) + "."


def within(name: str, zone: str) -> bool:
    """Whether *name* is *zone* or below it; both canonical."""
    return name == zone or name.endswith(f".{zone}")
