"""What plain scalars mean under YAML 1.2's core schema.

`no`, `on`, `1_000`, `2026-11-22`, `1:30` and `0b1` are strings; `012` is twelve, `0o17` fifteen, `1e3` a float. `.inf`, `.nan` and numbers
beyond 64 bits are refused: JSON has no word for them.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
_WORDS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NUMBERISH = frozenset("0123456789+-.")
_DIGITS = 24  # more than an int64 has in any base, and few enough to be read


def meaning(text: str) -> Scalar:
    """What a plain scalar means in YAML 1.2's core schema; ValueError for a number that JSON or an int64 cannot hold."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBERISH:
        return text
    value: int | float
    if _INT.fullmatch(text):
        short = len(text.lstrip("+-").lstrip("0")) <= _DIGITS
        value = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if short else math.inf
        fits = -(1 << 63) <= value < 1 << 63
    elif _FLOAT.fullmatch(text):
        value = math.inf if text.lower().endswith(("inf", "nan")) else float(text)
        fits = not math.isinf(value)
    else:
        return text
    if not fits:
        raise ValueError("is a number out of range")
    return value
