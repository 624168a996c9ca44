"""One run of the product over the world in memory, as `reconcile apply` goes: lease, settle, plan, guard, converge; and what befalls it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from providers.memory import Killed, MemoryLeases, Table
from providers.memory.fault import Blow
from providers.memory.stepping import Step
from providers.pulumi.events import Operation
from providers.pulumi.gate import Gate
from reconciler import errors, loop
from reconciler import plan as planning
from reconciler.loop import Prepared
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.report import Report
from tests.memory_world import MemoryWorld

LATE = ("describe_volumes", "describe_network_interfaces", "describe_addresses")
LONG = 60.0  # seconds after which every describe agrees


@dataclass(frozen=True)
class Trouble:
    """What befalls one run: a blow at its n-th effect; calls that fail so often; describes that are late; another run before it.

    *hurried*: the next run comes at once, and describes are as late for it as for this one.
    """

    blow: Blow | None = None
    number: int = 0
    failing: str = ""
    times: int = 0
    late: float = 0.0
    locked: bool = False
    hurried: bool = False


@dataclass
class Ended:
    """How a run ended: with a report, with an error that a person is told, or not at all. *did* are the engine's steps."""

    prepared: Prepared | None = None
    report: Report | None = None
    error: str = ""
    killed: bool = False
    did: tuple[Step, ...] = ()

    @property
    def refused(self) -> frozenset[str]:
        """The stacks of which the plan refuses or holds something."""
        changes = self.prepared.plan.changes if self.prepared else ()
        return frozenset(change.stack for change in changes if change.action in {"refuse", "hold"})


@dataclass
class Runs:
    """Runs one after the other, each a process of its own as far as the world can tell."""

    world: MemoryWorld
    table: Table = field(default_factory=Table)

    def __post_init__(self) -> None:
        self.world.engine.gate = _gate

    def plan(self, wanted: Desired) -> Prepared:
        return self.world.plan(wanted)

    def apply(self, wanted: Desired, trouble: Trouble = Trouble()) -> Ended:
        """One apply under *trouble*, which is over afterwards; what a dead one held is taken over by the next."""
        ended, before = Ended(), len(self.world.engine.did)
        self._befall(trouble)
        leases = MemoryLeases(self.table)
        try:
            lease = leases.hold("apply", duration=60.0)
            self._run(wanted, ended)
            lease.release()
        except errors.ReconcilerError as error:
            ended.error = error.message
            if not trouble.locked:
                self.table.holders.clear()
        except Killed:
            ended.killed = True
        ended.did = tuple(self.world.engine.did[before:])
        self._heal(hurried=trouble.hurried)
        return ended

    def _run(self, wanted: Desired, ended: Ended) -> None:
        world = self.world.world(wanted.environment)
        loop.settle(world, wanted.environment.name)
        ended.prepared = loop.prepare(world, wanted)
        planning.guard(ended.prepared.plan, wanted.environment.guard, 10_000)
        ended.report = loop.converge(world, ended.prepared, loop.Options(timeout=4.0))

    def _befall(self, trouble: Trouble) -> None:
        world = self.world
        if trouble.blow:
            world.cloud.fate.order(trouble.blow, trouble.number)
        if trouble.failing:
            fake = world.cluster if " " in trouble.failing else world.cloud
            fake.fail(trouble.failing, errors.TransientError(f"{trouble.failing}: Throttling", code="Throttling"), times=trouble.times)
        if trouble.late:
            world.cloud.late = dict.fromkeys(LATE, trouble.late)
        if trouble.locked:
            MemoryLeases(self.table).hold("apply", duration=60.0)

    def _heal(self, *, hurried: bool) -> None:
        """The trouble is over, the dead are known to be dead, and time has passed."""
        self.table.holders.clear()
        self.world.cloud.fate.heal()
        self.world.cloud.heal()
        self.world.cluster.heal()
        if not hurried:
            self.world.clock.sleep(LONG)
            self.world.cloud.late = {}


def _gate(changes: Iterable[Change], steps: Iterable[Step]) -> str:
    """The product's own gate, before the engine in memory."""
    gate = Gate(changes)
    previewed = [Operation(step.op, str(step.id)) for step in steps if step.op != "same"]
    return "" if gate.judge(previewed) else gate.refusal
