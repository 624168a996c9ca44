"""The role that follows the branch: reads it, plans, and carries out what may be done without a person, or what a person handed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler import errors, loop, past
from reconciler import plan as planning
from reconciler.loop import Prepared
from reconciler.model.desired import Desired
from reconciler.model.outcome import Failed, Outcome, Waiting, spell
from reconciler.ports import Clock
from reconciler.serving import orders, policy, tend
from reconciler.serving.ground import Ground, Source
from reconciler.serving.handover import Desk, Order, What
from reconciler.serving.pace import Pace, Turn
from reconciler.serving.policy import Permit
from reconciler.serving.post import Step
from reconciler.serving.tend import Charge, Tender, Tenders
from reconciler.world import World

TICK = 0.5  # seconds between two looks at whether anything is due

ORDERED = 900.0  # seconds for which an apply that was handed over waits until members are drained, before the engine begins
UNASKED = 5.0  # and a pass of our own: the next one goes on, and branch and orders wait for neither

_WORDS = {"start": "begins to ", "done": "", "failed": "failed to "}

Said = Callable[[str], None]


@dataclass(slots=True)
class Follower:
    """Keeps nothing that cannot be found again: on what it stands, and how long to wait. While it does not *converge* it only reads."""

    source: Source
    clock: Clock
    head: Ground
    tenders: Tenders
    interval: float
    said: Said = field(default=lambda _: None)
    got_on: Callable[[], None] = field(default=lambda: None)
    desk: Desk = field(default_factory=Desk)
    converges: Callable[[], bool] = lambda: True
    _polls: Pace = field(init=False)
    _passes: Pace = field(init=False)
    _trouble: dict[str, str] = field(default_factory=dict)
    _grounds: list[Ground] = field(default_factory=list)  # those that are open
    _desired: Desired | None = None  # what is looked after: not all of what git says may have been carried out
    _last: str = ""
    _begun: bool = False

    def __post_init__(self) -> None:
        self._polls, self._passes = Pace(self.interval, calm=self.interval), Pace(self.interval)
        self._grounds.append(self.head)

    def step(self) -> Step:
        """Whatever is due now: a look at the branch, an apply that was handed over, a pass."""
        if not self._begun:
            self._begin()
        order = self.desk.next(self.clock.monotonic())
        if order or self._polls.is_due(self.clock.monotonic()):
            self._poll()
        if order:
            self._hand_on(order)
        elif self._passes.is_due(self.clock.monotonic(), self._goal()):
            self._turn()
        return Step(TICK, next(iter(self._trouble.values()), ""))

    def _begin(self) -> None:
        """Look after what was carried out last, as far as it is on record here, before anything is planned."""
        world, environment = self.head.world, self.head.desired.environment.name
        last = next(iter(world.history.entries(environment, 1)), None)
        former = self._former(last) if last else None
        if former:
            self._tend(former, loop.prepare(former.world, former.desired), Permit(), approved=True)
        self._begun = True

    def _former(self, last: Mapping[str, Any]) -> Ground | None:
        """The ground of the *last* apply; None where its commit cannot be had any more."""
        if last["tree"] == self.head.tree:
            return self.head
        try:
            return self._opened(last["commit"]) if last["commit"] else None
        except errors.ReconcilerError as error:
            self._say(f"the commit of the last apply is not to be had, its members are placed as the branch has them: {error.message}")
            return None

    def _opened(self, commit: str) -> Ground:
        self._grounds.append(self.source.open(commit))
        return self._grounds[-1]

    def _poll(self) -> None:
        """Read the branch; what cannot be read leaves us where we stand."""
        try:
            revision = self.source.newest()
            if revision.tree != self.head.tree:
                self.head = self._opened(revision.commit)
                self._say(f"follows {revision.short} from now on")
                for fault in self.head.desired.faults:
                    self._say(str(fault))
        except errors.ReconcilerError as error:
            self._polls, self._trouble["git"] = self._polls.after(self.clock.monotonic(), "bad"), error.message
        else:
            self._polls = self._polls.after(self.clock.monotonic(), "calm")
            self._trouble.pop("git", None)

    def _turn(self) -> None:
        """A pass, and when the next one is due."""
        goal = self._goal()
        try:
            turn = self._pass()
        except errors.LockHeld as error:
            turn = "bad"
            self._say(error.message)
        except errors.ReconcilerError as error:
            turn, self._trouble["pass"] = "bad", error.message
        else:
            self._trouble.pop("pass", None)
        self._passes = self._passes.after(self.clock.monotonic(), turn, goal)

    def _goal(self) -> str:
        """What a pass is made for: new specs, and a role that was just taken, wait for no pause."""
        return f"{self.head.tree} {self.converges()}"

    def _pass(self) -> Turn:
        """Look, and carry out what may be done; most passes end with the look."""
        ground, rule = self.head, self.head.desired.environment.policy
        prepared = loop.prepare(ground.world, ground.desired)
        todo = policy.work(prepared.plan)
        if not self.converges():
            self._tend(ground, prepared, Permit())
            return "calm"
        permit = policy.permit(prepared.plan, rule)
        if not todo or permit.nothing:
            self._say(
                permit.why or (f"{len(prepared.plan.held)} services are on hold" if prepared.plan.held else "everything is as declared")
            )
            self._tend(ground, prepared, permit)
            return "calm"
        try:
            failed = self._carry_out(ground, permit)
        except errors.UnsafePlanError as error:
            self._say(f"a person has to apply this: {error.message}")
            self._tend(ground, prepared, Permit(why=error.message))
            return "calm"
        return "bad" if failed else "busy"

    def _hand_on(self, order: Order) -> None:
        """Carry out what a person handed over, if it is still what that person saw."""
        wanted, ground = order.wanted, self.head
        try:
            self._require_able()
            orders.require_same(wanted, ground.desired.revision)
            order.state = "applying"
            self._carry_out(ground, Permit(frozenset(wanted["services"])), order)
        except errors.LockHeld as error:
            order.put_off(error.message, self.clock.monotonic() + self.interval)
        except errors.ReconcilerError as error:
            order.refuse(error)

    def _require_able(self) -> None:
        """Raise where it is not known what the branch has, or another process is to carry it out."""
        if "git" in self._trouble:
            raise errors.TransientError(f"the branch cannot be read: {self._trouble['git']}", hint="try again")
        if not self.converges():
            raise errors.LockHeld("another process has the role reconcile", hint="hand it over there")

    def _carry_out(self, ground: Ground, permit: Permit, order: Order | None = None) -> bool:
        """Plan once more with the lock in hand, and do it; whether anything failed."""
        world, environment = ground.world, ground.desired.environment
        with ground.locked():
            seen = loop.settle(world, environment.name, self._say)
            delete_data = order is not None and order.wanted["allow_delete_data"]
            prepared = loop.prepare(world, ground.desired, permit.only, seen, delete_data=delete_data)
            if order:
                orders.require_approved(order.wanted, prepared.plan)
            planning.guard(prepared.plan, environment.guard, order.wanted["allow_deletes"] if order else None)
            self._say(f"applies {prepared.plan.revision.short}: {len(prepared.plan.acting)} changes{_because(permit)}")
            self._tend(ground, prepared, permit, approved=order is not None)
            patience = ORDERED if order else UNASKED
            how = loop.Options(patience, wait=False, progress=lambda address, what, words: self._progress(order, address, what, words))
            report = loop.converge(self._shared(world), prepared, how)
            acting = prepared.plan.acting
            ended = [(change, outcome) for change in acting if (outcome := report.outcomes.get(str(change.id)))]
            failed = [change for change, outcome in ended if isinstance(outcome, Failed)]
            waiting = {change.stack: outcome for change, outcome in ended if isinstance(outcome, Waiting)}  # until members are drained
            result = "interrupted" if world.stopping() else "partly" if failed or waiting else "converged"
            if prepared.plan and not (waiting and waiting.keys() >= {change.stack for change, _ in ended}):
                past.record(world, prepared, report, "apply", result)
            if order and not world.stopping():
                orders.conclude(order, prepared, report, self.clock.monotonic())
        for stack, outcome in waiting.items():
            self._say(f"{stack}: {spell(outcome)}")
        for change in failed:
            self._say(f"{change.id} failed: {report.failed[str(change.id)].message}")
        return bool(failed)

    def _shared(self, world: World) -> World:
        """*world* for a pass beside which others look after members and components."""
        tender = self.tenders.members
        if tender:
            return replace(
                world, members=lambda *_: self._seen(tender), take=lambda *_: None, land=lambda *_: None, components=lambda _: ()
            )
        return replace(world, components=lambda _: ())

    def _seen(self, tender: Tender) -> dict[str, Outcome]:
        self.got_on()
        return dict(tender.outcomes)

    def _tend(self, ground: Ground, prepared: Prepared, permit: Permit, *, approved: bool = False) -> None:
        """Have members and components looked after as *prepared* says, but for what is left as it is."""
        still = {change.stack for change in prepared.plan.changes if change.action in {"hold", "refuse"} and not change.stands}
        still |= prepared.desired.held.keys()

        def left(service: str) -> bool:
            return permit.nothing or service in still or (bool(permit.only) and service not in permit.only)

        self._desired = desired = tend.looked_after(self._desired, prepared.desired, left)
        if self.tenders.members:
            self.tenders.members.follow(Charge(ground, desired, () if permit.nothing else prepared.plan.changes))
        asked = approved or prepared.desired.environment.policy != "approval"
        if self.tenders.components and asked and not permit.why and not permit.only:
            self.tenders.components.follow(Charge(ground, prepared.desired))
        self._close_others()

    def close(self) -> None:
        """Close all that is open; nobody acts any more."""
        for ground in self._grounds:
            ground.close()

    def _close_others(self) -> None:
        for ground in [one for one in self._grounds if one is not self.head and not self.tenders.on(one)]:
            self._grounds.remove(ground)
            ground.close()

    def _progress(self, order: Order | None, address: str, what: What, words: str) -> None:
        self.got_on()
        self._say(f"{address}: {_WORDS[what]}{words}")
        if order:
            order.said.append((address, what, words))

    def _say(self, words: str) -> None:
        """Say it, but not the same twice in a row."""
        if words != self._last:
            self._last = words
            self.said(words)


def _because(permit: Permit) -> str:
    return f" ({permit.why})" if permit.why else ""
