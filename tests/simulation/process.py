"""A controller in a process of its own, stepped from call to call; it may die between any two, and begins again with nothing remembered."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from reconciler.members.controller import Controller, Standing
from reconciler.members.flight import Call, Flights
from reconciler.model.outcome import Done, Outcome
from reconciler.ports import Clock
from tests.simulation.seat import Seat
from tests.simulation.town import MEMBERS
from tests.turns import Task, Turns
from tests.unit.member_world import ENVIRONMENT

HALTING = 0.4  # how likely a turn ends before the next write, and there alone
TICK = 99  # more calls than a tick has
IDLE = 0.9  # how likely a process does nothing where nothing is new


class Process:
    """One reconciler. A tick is a task; so is each of its calls that may take long (`reconciler/members/flight.py`)."""

    def __init__(self, seat: Seat, clock: Clock, turns: Turns) -> None:
        self.seat, self._clock, self._turns = seat, clock, turns
        self.tasks: list[Task] = []
        self.standing = Standing()
        self._begin()

    def _begin(self) -> None:
        controller = Controller(self.seat, self.seat, self._clock, ENVIRONMENT)
        controller._actor = replace(controller._actor, flights=Flights(_pool=_Pool(self)))  # type: ignore[arg-type]
        self._controller, self._tick, self._known = controller, None, -1

    def turn(self, calls: int) -> None:
        """So many calls more, or those up to a write; after a tick the next begins, where there is news (or for no reason, at times)."""
        town = self.seat.town
        if self._tick is None or self._tick.over:
            if self._known == town.version and town.dice.random() < IDLE:
                return
            self._known = town.version
            self._tick = self.begin(self._whole, town.turn)
        self.seat.halting = town.dice.random() < HALTING
        town.dice.choice(self.tasks).step(TICK if self.seat.halting else calls)
        self.tasks = [task for task in self.tasks if not task.over]

    def crash(self) -> None:
        for task in self.tasks:
            task.crash()
        self.tasks = []
        self._begin()

    def tick(self) -> None:
        """A tick as it is in quiet times: what was begun ends, and it is done without a pause."""
        for task in self.tasks:
            while task.step():
                pass
        self.tasks = []
        self._whole()

    def says_placed(self, member: str, uid: str) -> bool:
        pods = self.standing.live.running(member)
        return self.standing.members.get(member) == Done() and [pod.uid for pod in pods] == [uid]

    def begin(self, call: Callable[[], object], since: int) -> Task:
        self.tasks.append(self._turns.begin(call, since))
        return self.tasks[-1]

    def begin_more(self, call: Callable[[], object]) -> None:
        """What a tick begins beside itself; others may go on meanwhile, and so may it. Where nobody takes turns it is done at once."""
        if self._turns.moving is None:
            call()
            return
        self.begin(call, self._turns.moving.since)
        self._turns.pause()

    def _whole(self) -> None:
        self.standing = self._controller.tick([MEMBERS[name] for name in self.seat.town.names])


class _Pool:
    """What calls that take long are given to: each a task, which others may overtake."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def submit(self, call: Call) -> Future[Outcome | None]:
        future: Future[Outcome | None] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except Exception as error:  # noqa: BLE001 - as a thread pool does
                future.set_exception(error)

        self._process.begin_more(run)
        return future
