"""Which role has asked AWS for what, and was it let: a line for each that is new. At its end a whole suite's calls are judged by it."""

from __future__ import annotations

import json
from pathlib import Path

from lab.aws.calls import Call

FILE = "roles.jsonl"
DENIALS = {"UnauthorizedOperation", "AccessDenied"}


class Record:
    """Appends to *path*; the caller sees to it that one thread does so at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: set[tuple[str, str, str, bool]] = set()

    def see(self, call: Call, code: str) -> None:
        """Note that *call* was made and answered with the error *code*, "" for none."""
        line = (call.user, f"{call.service}:{call.action}", _client(call.agent), code in DENIALS)
        if line not in self._seen:
            self._seen.add(line)
            with self.path.open("a") as log:
                log.write(json.dumps(dict(zip(("user", "action", "client", "denied"), line, strict=True))) + "\n")


def _client(agent: str) -> str:
    """The word that a client has put at the end of its name, as ours does; otherwise the name's first."""
    last = agent.rpartition(" ")[2]
    return agent.partition("/")[0] if "/" in last else last
