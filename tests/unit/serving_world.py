"""A branch in memory, its commits opened upon a world in memory, and a process that serves it; time moves only where it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from providers.memory import MemoryLeases, Table
from reconciler import errors
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.origin import Revision
from reconciler.model.outcome import Done, Outcome
from reconciler.model.service import Service
from reconciler.serving import tend
from reconciler.serving.follow import Follower
from reconciler.serving.ground import Ground
from reconciler.serving.tend import Tender, Tenders
from tests.memory_world import ENVIRONMENT, MemoryWorld, loaded

KV = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: NAME}
spec:
  type: redis
  replicas: REPLICAS
  volumes: {data: {size: SIZE}}
"""


def service(name: str = "kv", replicas: int = 2, size: str = "10Gi") -> str:
    return KV.replace("NAME", name).replace("REPLICAS", str(replicas)).replace("SIZE", size)


def town(*services: str, policy: str = "automatic", more: str = "") -> str:
    """The documents of an environment with *services*."""
    return "---\n".join((f"{ENVIRONMENT}  policy: {policy}\n{more}", *services))


@dataclass
class Branch:
    """What is pushed, and what was opened and closed of it. *away* says that it cannot be read."""

    memory: MemoryWorld
    table: Table = field(default_factory=Table)
    texts: list[str] = field(default_factory=list)
    away: str = ""
    opened: list[Ground] = field(default_factory=list)
    closed: list[Ground] = field(default_factory=list)
    looks: int = 0  # how often all that is live was read
    drain: Callable[[Desired, Service, tuple[str, ...]], Outcome] = lambda _wanted, _of, _names: Done()

    def push(self, text: str) -> Revision:
        self.texts.append(text)
        return loaded(text).revision

    def newest(self) -> Revision:
        if self.away:
            raise errors.TransientError(self.away)
        return loaded(self.texts[-1]).revision

    def open(self, commit: str) -> Ground:
        desired = next((one for text in self.texts if (one := loaded(text)).revision.commit == commit), None)
        if desired is None:
            raise errors.UsageError(f"there is no {commit}")
        bare = self.memory.world(desired.environment)

        def observe() -> Observed:
            self.looks += 1
            return bare.observe()

        def drain(wanted: Desired, of: Service, names: tuple[str, ...]) -> Outcome:
            return self.drain(wanted, of, names)

        world = replace(bare, observe=observe, leases=lambda: MemoryLeases(self.table), drain=drain)

        @contextmanager
        def locked() -> Iterator[None]:
            with world.leases().hold("apply", duration=60):
                yield

        ground = Ground(world, desired, locked, lambda: self.closed.append(ground))
        self.opened.append(ground)
        return ground


@dataclass
class Serving:
    """A process with all roles; `turn` is what its threads do in a while, one after the other."""

    branch: Branch
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        clock = self.branch.memory.clock
        self.tenders = Tenders(Tender(tend.members(self._progress), clock), Tender(tend.components, clock))
        head = self.branch.open(self.branch.newest().commit)
        self.follower = Follower(self.branch, clock, head, self.tenders, 10.0, self.said.append)

    def turn(self, seconds: float = 0.0) -> str:
        """Let *seconds* pass, then every thread take a step; what the follower has to complain of."""
        self.branch.memory.clock.time += seconds
        trouble = self.follower.step().trouble
        for tender in (self.tenders.members, self.tenders.components):
            assert tender
            tender.step()
        return trouble

    def _progress(self, address: str, what: str, words: str) -> None:
        del what
        self.said.append(f"{address}: {words}")


def serving(*services: str, policy: str = "automatic", more: str = "") -> Serving:
    """A process that serves a branch with one commit of *services*."""
    branch = Branch(MemoryWorld())
    branch.push(town(*services, policy=policy, more=more))
    return Serving(branch)
