"""Durations as Go writes them (`1h30m`, `1.5s`, `250ms`) and days (`7d`), compared by value and kept as written."""

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_UNIT = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_TERM = r"([0-9]{1,12}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(ns|us|µs|ms|s|m|h|d)"
_PATTERN = f"(?:{_TERM})+|0"


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time; `Duration.parse("60s") == Duration.parse("1m")`."""

    exact: Fraction
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """The span that *text* says; ValueError where it says none."""
        if not re.fullmatch(_PATTERN, text):
            raise ValueError(f"{text!r} is no duration, which is numbers with units: 5s, 1h30m, 7d")
        return cls(sum((Fraction(number) * _UNIT[unit] for number, unit in re.findall(_TERM, text)), Fraction(0)), text)

    @property
    def seconds(self) -> float:
        return float(self.exact)

    def __int__(self) -> int:
        """Whole seconds, rounded up."""
        return math.ceil(self.exact)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_read, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^({_PATTERN})$"}


def _read(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a duration such as 5s, 1h30m or 7d")  # noqa: TRY004 - pydantic collects ValueErrors
    return Duration.parse(value)


def age(seconds: float) -> str:
    """How long ago, in the largest unit that says it: 5s, 12m, 3h, 9d."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"
