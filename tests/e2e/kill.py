"""A kill as a value, drawn from a seed or at a boundary; and how it is carried out on a run whose world stands still meanwhile."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Literal

from lab.halt.effects import Effect, Place, Stop
from tests.e2e import run
from tests.e2e.replica import APPLY, Replica
from tests.e2e.run import Run

Victim = Literal["reconciler", "group", "plugin"]
VICTIMS: tuple[Victim, ...] = ("reconciler", "group", "plugin")
CALLS = frozenset({"CreateVolume", "CreateNetworkInterface", "AllocateAddress", "POST hostedzone"})
CREATES = f"^({'|'.join(sorted(CALLS))})$"
MADE, ASKED, STEADY = 0.25, 0.45, 0.65  # random kills up to here: right after an AWS create, before one, at any boundary; the rest: moments
LONGEST_PAUSE = 0.6
LATE = 4.0  # seconds: the next apply is under way by then


@dataclass(frozen=True)
class Kill:
    """Who dies when: at effect *number* of those that *of* fits.

    There the world stands still until the *victim* is dead. A call that is under way then is made all the same, so many seconds *late*;
    with None it never is. With a *pause* nothing stands still: it is a moment, so many seconds after the effect.
    """

    victim: Victim
    number: int
    place: Place = "after"
    of: str = ""
    late: float | None = 0.0
    pause: float | None = None

    def __str__(self) -> str:
        what = f"effect {self.number}" + (f" of {self.of}" if self.of else "")
        if self.pause is not None:
            return f"{self.victim} killed {self.pause:.2f} s after {what}"
        if self.place == "after":
            return f"{self.victim} killed after {what}"
        made = "never made" if self.late is None else f"made {self.late:.0f} s late"
        return f"{self.victim} killed behind {what}, the next asked for and {made}"


@dataclass(frozen=True)
class Killed:
    """What became of it: *code* is the run's, *where* the effect at which *died* died; *between*: an AWS create had no checkpoint yet."""

    code: int
    where: Effect | None
    died: Victim | None
    between: bool
    said: str

    @property
    def hit(self) -> bool:
        return self.where is not None


def at(boundary: int, turn: int) -> Kill:
    """The kill at *boundary*, 0 being before the first effect; victims take turns, so that three turns reach each with all."""
    victim = VICTIMS[(boundary + turn) % len(VICTIMS)]
    return Kill(victim, boundary) if boundary else Kill(victim, 0, "before", late=None)


def drawn(draw: random.Random, effects: int, creates: int) -> Kill:
    """A random kill of an apply that has that many *effects*, of which some are AWS *creates*."""
    victim, share, late = draw.choice(VICTIMS), draw.random(), draw.choice((None, 0.0, LATE))
    if creates and share < MADE:
        return Kill(victim, draw.randint(1, creates), of=CREATES)
    if creates and share < ASKED:
        return Kill(victim, draw.randint(0, creates - 1), "before", CREATES, late)
    number = draw.randint(1, effects - 1)
    if share < STEADY:
        return Kill(victim, number, draw.choice(("after", "before")), late=late)
    return Kill(victim, number, pause=draw.uniform(0, LONGEST_PAUSE))


@dataclass
class _Blow:
    """Strikes once, in whichever thread comes to the place."""

    replica: Replica
    kill: Kill
    running: Run | None = None
    where: Effect | None = None
    died: Victim | None = None
    between: bool = False
    struck: threading.Event = field(default_factory=threading.Event)
    ready: threading.Event = field(default_factory=threading.Event)

    def __call__(self, where: Effect) -> None:
        self.ready.wait()
        assert self.running
        self.where = where
        if where.who == "engine":  # it waits for its answer, and would see the plugin die
            self.between = _between(self.replica)
        self.died = _strike(self.replica, self.running, self.kill.victim, where)
        self.struck.set()


def carry_out(replica: Replica, kill: Kill) -> Killed:
    """Start an apply and kill it; afterwards the world goes on, without the dead."""
    blow = _Blow(replica, kill)
    effects = replica.effects
    if kill.pause is None:
        effects.stop_at(Stop(kill.number, kill.place, blow, kill.of))
    else:
        effects.forget()
    running = blow.running = replica.start(*APPLY)
    blow.ready.set()
    if kill.pause is not None and running.until(lambda: len(effects.log) >= kill.number):
        time.sleep(kill.pause)
        if not running.over:
            with effects.alone():
                blow(Effect("", "a moment", time.monotonic()))
    hit = running.until(blow.struck.is_set)
    between = blow.between or (hit and _between(replica))
    effects.release(drop=kill.late is None, late=kill.late or 0.0)
    code = running.end()
    return Killed(code, blow.where, blow.died, between, running.said)


def _strike(replica: Replica, running: Run, victim: Victim, where: Effect) -> Victim:
    """Kill: the process, its group, or the plugin that is at work, in every stack; where no plugin is there yet, the group. Who died."""
    plugins = run.alive(replica.mark, "lab.plugins", _plugin(where)) if victim == "plugin" else []
    for pid in plugins:
        os.kill(pid, signal.SIGKILL)
    if plugins:
        return "plugin"
    running.signal(signal.SIGKILL, group=victim != "reconciler")
    return "reconciler" if victim == "reconciler" else "group"


def _plugin(where: Effect) -> str:
    """Whose call it is; of what is no call, either's, always the same."""
    if where.who == "engine":
        return "kubernetes" if where.what.startswith(("PATCH ", "PUT ", "DELETE ")) else "aws"
    return ("aws", "kubernetes")[len(where.what) % 2]


def _between(replica: Replica) -> bool:
    """Whether something lives in AWS of which the engine's record knows only that it was to be made."""
    pending = {
        operation["resource"]["urn"].split("::", 3)[-1]
        for stack in replica.stacks.values()
        for operation in stack.get("pending_operations") or ()
        if operation["type"] == "creating" and "::aws:" in operation["resource"]["urn"]
    }
    return bool(pending) and not pending.isdisjoint(_living(replica))


def _living(replica: Replica) -> set[str]:
    """The addresses of what lives in AWS, of any kind that is made by a call of its own."""
    seen, name = replica.all.judge.standing_in_aws(replica.name), replica.name
    zones = {f"zone/{name}/{name}.internal"} if seen["zones"] else set()
    records = {f"record/{name}/{record[0].rstrip('.')}" for zone in seen["zones"] for record in zone}
    return zones | records | {one[0] for kind in ("volumes", "interfaces", "addresses") for one in seen[kind]}
