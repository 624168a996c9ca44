"""A number beside the aim that it was measured for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Better = Literal["less", "more"]


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured of *work*, in *unit*; *aim* is the most, or with better="more" the least, that was wished for; None for no aim.

    *requirement* tells what must hold (counts) from what is wished for (times). *raw* is what it was computed from.
    """

    work: str
    measured: float
    unit: str
    aim: float | None = None
    better: Better = "less"
    requirement: bool = False
    raw: Any = field(default=None)

    @property
    def met(self) -> bool | None:
        if self.aim is None:
            return None
        return self.measured <= self.aim if self.better == "less" else self.measured >= self.aim

    @property
    def document(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def table(figures: list[Figure]) -> str:
    """For people, and for README.md."""
    lines = ["| work | aim | measured | met |", "|---|---|---|---|"]
    for one in figures:
        bound = "≤" if one.better == "less" else "≥"
        aim = "" if one.aim is None else f"{bound} {one.aim:g} {one.unit}"
        met = {None: "", True: "yes", False: "**no**"}[one.met]
        lines.append(f"| {one.work} | {aim} | {one.measured:g} {one.unit} | {met} |")
    return "\n".join(lines)
