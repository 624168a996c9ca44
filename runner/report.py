"""The second container of a session: prints each frame as it comes, and nothing else, so that a log nobody rotates holds every result."""

from __future__ import annotations

import sys
import time

from reconciler.model.frame import parse
from runner import alive, frames
from runner.place import Place, here

INTERVAL = 0.2


def main() -> int:
    """Always 0: whether the session went well is for the other container to say."""
    place, start = here(), 0
    while True:
        over = _over(place)  # asked before reading: what was written before the end is read
        lines, start = frames.lines(place.frames, start)
        for line in lines:
            print(line, flush=True)  # noqa: T201
        if over or any((frame := parse(line)) and frame.kind == "end" for line in lines):
            return 0
        time.sleep(INTERVAL)


def _over(place: Place) -> bool:
    try:
        return not alive.held(place.alive)
    except FileNotFoundError:
        return False  # not begun


if __name__ == "__main__":
    sys.exit(main())
