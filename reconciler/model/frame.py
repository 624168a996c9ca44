"""A frame: one numbered line of JSON by which a session says what happened. Imports nothing but the standard library, for the runner."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

Kind = Literal["begin", "play", "host", "stats", "finish", "end"]
Result = Literal["applied", "failed", "incomplete", ""]

_TYPES: dict[str, type] = {"number": int, "layer": int, "code": int}


@dataclass(frozen=True, slots=True)
class Frame:
    """`begin` and `finish` frame a layer (with its exit code), `play` tells progress, `host` a result, `stats` that all results of a
    layer have been told; `end` is the last of a session.

    *layer* is the index in the configuration, -1 where no layer is meant. Numbers count from 1 without a gap.
    """

    number: int
    kind: Kind
    layer: int = -1
    host: str = ""
    result: Result = ""
    play: str = ""
    task: str = ""
    message: str = ""
    code: int = 0

    def line(self) -> str:
        """As it is written, without what is empty."""
        fields = asdict(self)
        return json.dumps({name: value for name, value in fields.items() if value not in ("", 0) or name == "layer"}, separators=(",", ":"))


def parse(line: str) -> Frame | None:
    """The frame that *line* holds; None where it holds none, such as one that is still being written."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or not isinstance(fields.get("number"), int) or not isinstance(fields.get("kind"), str):
        return None
    known = {name: fields[name] for name in Frame.__slots__ if isinstance(fields.get(name), _TYPES.get(name, str))}
    return Frame(**known)
