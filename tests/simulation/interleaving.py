"""One interleaving out of a seed: trouble for some turns, then quiet, in which every member has to come to its place."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from reconciler import errors
from reconciler.members import flight
from reconciler.model.outcome import Done, spell
from tests.simulation import people
from tests.simulation.judge import Broken, Judge
from tests.simulation.kubernetes import Kubernetes
from tests.simulation.process import Process
from tests.simulation.seat import Seat, Weather
from tests.simulation.town import Town
from tests.turns import Turns
from tests.unit.member_world import Time

CASTS = (("kv-0",), ("db-0",), ("db-0", "db-2"), ("kv-0", "db-0"), ("kv-0", "kv-1", "db-0", "db-1"))
PAUSES = (0.0, 0.0, 0.0, 0.5, 1.0, 4.0, 31.0)  # seconds that may pass between two turns
ROUNDS = 16  # of quiet, after which everybody has to be in place
ROUND = 10.0  # seconds
SETTLED = 0.8  # how likely everybody is in place at first
_TURNS = Turns()


class Interleaving:
    """Everything in it is drawn from *seed*. *trace* gets a line for each step."""

    def __init__(self, seed: int, trace: list[str] | None = None) -> None:
        self.dice = dice = random.Random(seed)
        self.trace = trace
        self.clock = Time()
        self.town = _settled(dice.choice(CASTS)).another(dice) if dice.random() < SETTLED else Town(dice.choice(CASTS), dice)
        self.kubernetes = Kubernetes(self.town)
        self.judge = Judge(self.town)
        self.deeds = dice.choice(people.THEMES)
        storm = dice.random() < 0.6
        self.weather = Weather(*(dice.choice((0.0, 0.05, 0.2)) for _ in range(3))) if storm else Weather()
        self.processes = {name: self._process(name) for name in "abc"[: dice.choice((2, 2, 3))]}
        self.judge.says_placed = lambda name, uid: any(one.says_placed(name, uid) for one in self.processes.values())
        self.asleep: dict[str, int] = {}  # until which turn a process stands still, in the middle of whatever it does
        self.drowsy = dice.choice((0.0, 0.1, 0.3))
        self.actors, self.weights = self._cast()

    def _process(self, name: str) -> Process:
        seat = Seat(self.town, self.judge, _TURNS, self.weather, lambda words, fate: self.say(name, words, fate))
        return Process(seat, self.clock, _TURNS)

    def _cast(self) -> tuple[list[Callable[[], None]], list[float]]:
        """Who may have a turn, and how likely: some interleavings have a slow controller, some a slow cloud."""
        dice, kubernetes = self.dice, self.kubernetes
        some, rare = (0.3, 1.0, 3.0), (0.0, 0.1, 0.5)
        drawn: list[tuple[Callable[[], None], float]] = [
            *((self._calls(name), 4 * dice.choice(some)) for name in self.processes),
            (kubernetes.go_on, 4 * dice.choice(some)),
            (kubernetes.stateful_sets, dice.choice(rare)),
            (kubernetes.schedule, dice.choice(rare)),
            (kubernetes.attach_volumes, dice.choice(rare)),
            (kubernetes.monitor, dice.choice(rare)),
            (self._kubelet, dice.choice(some)),
            (self._settle, dice.choice(some)),
            (self._deliver, 1.0 if self.weather.lost else 0.0),
            (self._move, 2 * dice.choice(some)),
            (self._deed, dice.choice(some)),
            (self._crash, dice.choice(rare)),
        ]
        return [actor for actor, _ in drawn], [weight for _, weight in drawn]

    def run(self) -> None:
        """Raises Broken where anything does not hold."""
        with _impatient():
            try:
                self._trouble(self.dice.choice((20, 40, 60)))
                self._quiet()
            finally:
                for process in self.processes.values():
                    process.crash()

    def say(self, who: str, words: str, fate: str = "") -> None:
        if self.trace is not None:
            self.trace.append(f"{self.town.turn:4} {who:6} {words}{f' ({fate})' if fate else ''}")

    # trouble

    def _trouble(self, turns: int) -> None:
        dice, town = self.dice, self.town
        for actor in dice.choices(self.actors, self.weights, k=turns):
            town.turn += 1
            self.clock.seconds += dice.choice(PAUSES)
            actor()
            town.remember()
            self.judge.always()

    def _calls(self, name: str) -> Callable[[], None]:
        def act() -> None:
            if self.asleep.get(name, 0) > self.town.turn:
                return
            if self.dice.random() < self.drowsy:
                self.asleep[name] = self.town.turn + self.dice.randint(4, 40)
            self.processes[name].turn(self.dice.choice((1, 2, 4, 8, 16)))

        return act

    def _kubelet(self) -> None:
        name = self.dice.choice(list(self.town.machines))
        self.kubernetes.kubelet(name, patient=self.dice.random() < 0.2)

    def _settle(self) -> None:
        for id, one in self.town.interfaces.items():
            if "Attachment" in one and self.dice.random() < 0.5:
                self.town.settle(id)

    def _deliver(self) -> None:
        if self.town.under_way:
            words, effect = self.town.under_way.pop(self.dice.randrange(len(self.town.under_way)))
            self.say("late", words)
            try:
                effect()
            except errors.ProviderError as error:
                self.say("late", f"refused: {error.message}")

    def _move(self) -> None:
        self.say("fate", people.end_a_pod(self.town))

    def _deed(self) -> None:
        if words := self.dice.choice(self.deeds)(self.town):
            self.say("fate", words)

    def _crash(self) -> None:
        name = self.dice.choice(list(self.processes))
        self.processes[name].crash()
        self.say(name, "dies, and begins anew")

    # quiet

    def _quiet(self) -> None:
        self.weather.throttled = self.weather.lost = self.weather.late = 0.0
        while self.town.under_way:
            self._deliver()
        self.town.turn += 1  # who is amid a tick saw what was before
        people.make_good(self.town)
        self.say("fate", "everything is made good, and nothing befalls anybody any more")
        for who, _ in zip(itertools.cycle(self.processes.values()), range(ROUNDS), strict=False):
            self._round(who)
            if self._converged(who):
                return
        raise Broken(f"liveness: after {ROUNDS} rounds: {self._lacking()}")

    def _round(self, who: Process) -> None:
        town = self.town
        town.turn += 1
        self.kubernetes.go_on()
        who.tick()
        town.settle_attachments()
        self.kubernetes.go_on()
        town.remember()
        self.judge.always()
        self.clock.seconds += ROUND

    def _converged(self, who: Process) -> bool:
        town = self.town
        if not all(town.placed(name) and town.current(name) for name in town.names):
            return False
        return all(outcome == Done() for outcome in who.standing.members.values())

    def _lacking(self) -> str:
        told = {f"{who}: {name}": spell(outcome) for who, one in self.processes.items() for name, outcome in one.standing.members.items()}
        return "; ".join(
            [f"{name} is not in place" for name in self.town.names if not self.town.placed(name)] + [f"{k}: {v}" for k, v in told.items()]
        )


@cache
def _settled(cast: tuple[str, ...]) -> Town:
    """A town in which everybody is in place."""
    town = Town(cast, random.Random(0))
    kubernetes = Kubernetes(town)
    made = Process(Seat(town, Judge(town), _TURNS, Weather(), lambda *_: None), Time(), _TURNS)
    while not all(town.placed(name) for name in cast):
        kubernetes.go_on()
        with _impatient():
            made.tick()
        town.settle_attachments()
        town.remember()
    return town


@contextmanager
def _impatient() -> Iterator[None]:
    """A tick waits for no clock that the simulator does not move."""
    within, flight.WITHIN = flight.WITHIN, 0.0
    try:
        yield
    finally:
        flight.WITHIN = within
