"""Host lists (`nid[000001-001000]`, `x3000c0s[0-3]b0n[0-1]`, `a[1-3,7]`): counted, searched and walked without being expanded."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

LIMIT = 1_000_000  # names of one range
_LITERAL = r"[A-Za-z0-9._-]"
_SPAN = r"[0-9]{1,18}(?:-[0-9]{1,18})?"
_BRACKET = rf"\[{_SPAN}(?:,{_SPAN})*\]"
_PATTERN = rf"(?:{_LITERAL}|{_BRACKET})+"


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from *first* to *last*, written with at least *width* digits."""

    first: int
    last: int
    width: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[str]:
        return (f"{number:0{self.width}d}" for number in range(self.first, self.last + 1))

    def __contains__(self, digits: str) -> bool:
        return digits.isdecimal() and self.first <= int(digits) <= self.last and digits == f"{int(digits):0{self.width}d}"


@dataclass(frozen=True, slots=True)
class HostRange:
    """One pattern. *parts* alternate between plain text and the spans of a bracket."""

    text: str
    parts: tuple[str | tuple[Span, ...], ...]

    @classmethod
    def parse(cls, text: str) -> "HostRange":
        """The range that *text* says; ValueError where it says none."""
        if not re.fullmatch(_PATTERN, text):
            raise ValueError(f"{text!r} is no host list, which is names with ranges in brackets: nid[000001-001000], a[1-3,7]")
        if not re.match(r"[A-Za-z0-9\[]", text):
            raise ValueError(f"{text!r} is no host list: a name begins with a letter or a digit")
        pieces = re.findall(rf"{_LITERAL}+|{_BRACKET}", text)
        range_ = cls(text, tuple(_spans(piece) if piece.startswith("[") else piece for piece in pieces))
        if range_._count() > LIMIT:
            raise ValueError(f"{text!r} names more than {LIMIT:,} components")
        return range_

    def __len__(self) -> int:
        return self._count()

    def _count(self) -> int:
        return math.prod(sum(span.last - span.first + 1 for span in part) for part in self.parts if not isinstance(part, str))

    def __iter__(self) -> Iterator[str]:
        columns = [(part,) if isinstance(part, str) else tuple(one for span in part for one in span) for part in self.parts]
        return map("".join, product(*columns))

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and _fits(id, self.parts)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class HostList:
    """Several ranges, in the order written."""

    ranges: tuple[HostRange, ...]

    @classmethod
    def parse(cls, *texts: str) -> "HostList":
        return cls(tuple(map(HostRange.parse, texts)))

    def __len__(self) -> int:
        return sum(map(len, self.ranges))

    def __iter__(self) -> Iterator[str]:
        return (one for range_ in self.ranges for one in range_)

    def __contains__(self, id: object) -> bool:
        return any(id in range_ for range_ in self.ranges)

    def __str__(self) -> str:
        return ",".join(map(str, self.ranges))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        texts = core_schema.list_schema(core_schema.no_info_plain_validator_function(_read), min_length=1)
        return core_schema.no_info_wrap_validator_function(
            lambda value, handler: value if isinstance(value, cls) else cls(tuple(handler(value))),
            texts,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda hosts: [range_.text for range_ in hosts.ranges]),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": f"^{_PATTERN}$"}}


def _read(value: Any) -> HostRange:
    if isinstance(value, HostRange):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a host list such as nid[000001-001000]")  # noqa: TRY004 - pydantic collects ValueErrors
    return HostRange.parse(value)


def _spans(bracket: str) -> tuple[Span, ...]:
    return tuple(_disjoint(bracket, [_span(item) for item in bracket[1:-1].split(",")]))


def _span(item: str) -> Span:
    first, _, last = item.partition("-")
    last = last or first
    if int(last) < int(first):
        raise ValueError(f"[{item}] runs backwards: write [{last}-{first}]")
    if len(first) != len(last) and first.startswith("0") and first != "0":
        raise ValueError(f"[{item}] has ends of different widths: write both with the same number of digits")
    return Span(int(first), int(last), len(first) if first.startswith("0") else 1)


def _disjoint(bracket: str, spans: Iterable[Span]) -> Iterator[Span]:
    seen: list[Span] = []
    for span in spans:
        if any(span.first <= other.last and other.first <= span.last and span.width == other.width for other in seen):
            raise ValueError(f"{bracket} names some numbers more than once")
        seen.append(span)
        yield span


def _fits(rest: str, parts: tuple[str | tuple[Span, ...], ...]) -> bool:
    """Whether *rest* can be read as *parts*; brackets that touch can be split in more than one way, so all are tried."""
    if not parts:
        return not rest
    head, *tail = parts
    if isinstance(head, str):
        return rest.startswith(head) and _fits(rest[len(head) :], tuple(tail))
    widths = {len(span_text) for span in head for span_text in (f"{span.first:0{span.width}d}", f"{span.last:0{span.width}d}")}
    return any(
        any(rest[:width] in span for span in head) and _fits(rest[width:], tuple(tail)) for width in range(min(widths), max(widths) + 1)
    )
