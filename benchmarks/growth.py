"""Draws how a no-op plan grows with the number of services: a plain SVG, written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 360
_LEFT, _TOP, _PLOT = 60, 40, (600, 260)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """Points that belong together, in a colour, with what they are."""

    title: str
    colour: str
    points: tuple[Point, ...]
    dashed: bool = False


def svg(title: str, across: str, up: str, lines: Sequence[Line]) -> str:
    """A picture of *lines* over axes that begin at nought."""
    widest = max(x for line in lines for x, _ in line.points)
    highest = 1.05 * max(y for line in lines for _, y in line.points)
    body = [*_frame(title, across, up), *_marks(widest, highest)]
    for number, line in enumerate(lines):
        body += _drawn(line, (widest, highest), number)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *body, "</svg>", ""])


def _frame(title: str, across: str, up: str) -> Iterator[str]:
    bottom, right = _TOP + _PLOT[1], _LEFT + _PLOT[0]
    yield f'<text x="{_LEFT}" y="20" font-size="14">{title}</text>'
    yield f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="black"/>'
    yield f'<text x="{right}" y="{bottom + 35}" text-anchor="end">{across}</text>'
    yield f'<text x="{_LEFT - 45}" y="{_TOP - 8}">{up}</text>'


def _marks(widest: float, highest: float) -> Iterator[str]:
    """Four numbers an axis."""
    for part in range(5):
        x, y = _at((widest * part / 4, highest * part / 4), (widest, highest))
        yield f'<text x="{x}" y="{_TOP + _PLOT[1] + 16}" text-anchor="middle">{widest * part / 4:g}</text>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{highest * part / 4:.3g}</text>'


def _drawn(line: Line, most: Point, number: int) -> Iterator[str]:
    places = [_at(point, most) for point in line.points]
    path = "L".join(f"{x} {y}" for x, y in places)
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    yield f'<path d="M{path}" fill="none" stroke="{line.colour}" stroke-width="2"{dashes}/>'
    if not line.dashed:
        yield from (f'<circle cx="{x}" cy="{y}" r="3" fill="{line.colour}"/>' for x, y in places)
    yield f'<text x="{_LEFT + 16}" y="{_TOP + 16 + 16 * number}" fill="{line.colour}">{line.title}</text>'


def _at(point: Point, most: Point) -> Point:
    return round(_LEFT + _PLOT[0] * point[0] / most[0], 1), round(_TOP + _PLOT[1] * (1 - point[1] / most[1]), 1)
