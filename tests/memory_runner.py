"""Runs sessions in memory: a test says what each host does, and when a session ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.components.ports import Phase, Sight
from reconciler.errors import TransientError
from reconciler.model.frame import Frame, Kind
from reconciler.model.session import Session


class MemoryRunner:
    """`broken` makes everything fail; `ran` are the sessions that were begun, in order."""

    def __init__(self) -> None:
        self.ran: list[Session] = []
        self.starts = 0
        self.broken = ""
        self._frames: dict[str, list[Frame]] = {}
        self._phases: dict[str, Phase] = {}
        self._unread: dict[str, str] = {}

    def start(self, session: Session) -> None:
        self.starts += 1
        if self.broken:
            raise TransientError(self.broken)
        if session.name not in self._phases:
            self.ran.append(session)
            self._phases[session.name] = "running"
            self._frames[session.name] = []

    def look(self, sessions: Sequence[Session]) -> Mapping[str, Sight]:
        return {one.name: self._sight(one) for one in sessions}

    def stop(self, name: str) -> None:
        self._phases.pop(name, None)

    def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        return tuple(sorted(name for name, phase in self._phases.items() if phase == "running" and name not in known))

    def log(self, session: Session) -> Iterator[str]:
        return iter(())

    def say(self, name: str, kind: Kind, **fields: Any) -> None:
        frames = self._frames[name]
        frames.append(Frame(len(frames) + 1, kind, **fields))

    def end(self, name: str, phase: Phase, *, unread: str = "") -> None:
        self._phases[name] = phase
        self._unread[name] = unread

    def play(self, session: Session, *, failing: Mapping[str, int] | None = None, silent: frozenset[str] = frozenset()) -> None:
        """The whole session: *failing* hosts fail at a layer's index and stop there; *silent* ones are touched by nothing."""
        out = dict(failing or {})
        for layer in session.layers:
            for host in (host for host in session.members if host not in silent and out.get(host, 99) >= layer):
                fate = {"result": "failed", "message": "boom"} if out.get(host) == layer else {"result": "applied"}
                self.say(session.name, "host", layer=layer, host=host, task="t", **fate)
            code = 2 if layer in out.values() else 0
            self.say(session.name, "finish", layer=layer, code=code)
            if code:
                self.say(session.name, "end", code=code, message=f"layer {layer} ended with 2")
                return self.end(session.name, "failed")
        self.say(session.name, "end")
        return self.end(session.name, "succeeded")

    def _sight(self, one: Session) -> Sight:
        phase = self._phases.get(one.name, "absent")
        unread = self._unread.get(one.name, "")
        frames = () if unread else tuple(frame for frame in self._frames.get(one.name, ()) if frame.number > one.frames)
        return Sight(phase, frames, unread=unread)
