"""The seams to the outside, by noun. Adapters in `providers/` implement them; the core and the tests see nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

from reconciler.model.address import ResourceId
from reconciler.model.change import Action, Change
from reconciler.model.initialise import Generated
from reconciler.model.origin import Revision
from reconciler.model.outcome import Outcome
from reconciler.model.resource import Resource
from reconciler.model.value import Fields

Payload = Mapping[str, Any]  # as the world sends it; lives only until it is projected
Recall = Callable[[ResourceId, Payload], Fields]  # what the engine was given for a thing → what was declared of it


class Specs(Protocol):
    """The specs of a commit, out of git's objects."""

    def read(self, environment: str) -> tuple[Revision, Mapping[str, bytes]]: ...

    def environments(self) -> tuple[str, ...]: ...

    def vanished(self, environment: str, services: Iterable[str]) -> Mapping[str, str]:
        """The commits (short) that took the documents of *services* away, so far as the history tells."""
        ...

    @property
    def lost(self) -> str:
        """Why the repository may not tell everything that was ever declared; "" where it does."""
        ...

    @property
    def base_url(self) -> str:
        """Where the repository lies for relative clone URLs."""
        ...


class Cloud(Protocol):
    """AWS, by the operations of its API. Errors are ProviderError, TransientError where waiting may help; throttling is waited out."""

    def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Payload]:
        """Every page of a listing operation, in order."""
        ...

    def call(self, service: str, operation: str, **arguments: Any) -> Payload:
        """One call, such as `call("ec2", "attach_network_interface", …)`."""
        ...


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """A kind of Kubernetes object and where the API serves it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True


class Cluster(Protocol):
    """Kubernetes. Errors are ProviderError (with `status`, the HTTP code), TransientError where waiting may help."""

    def list(self, kind: ObjectKind, *, namespace: str = "", selector: str = "") -> Iterator[Payload]:
        """Every object (of all namespaces where *namespace* is ""), read in chunks."""
        ...

    def names(self, kind: ObjectKind, *, namespace: str = "") -> Iterator[str]:
        """The name of every object; nothing else of them is sent."""
        ...

    def exists(self, kind: ObjectKind, name: str, *, namespace: str = "") -> bool:
        """Whether there is one; only its metadata is sent, so that this may be asked of Secrets."""
        ...

    def get(self, kind: ObjectKind, name: str, *, namespace: str = "") -> Payload | None: ...

    def create(self, kind: ObjectKind, body: Payload) -> Payload | None:
        """The created object; None where one of its name exists already."""
        ...

    def replace(self, kind: ObjectKind, body: Payload) -> Payload | None:
        """Compare-and-set by the body's resourceVersion; None where another writer came first."""
        ...

    def patch(self, kind: ObjectKind, name: str, body: Payload, *, namespace: str = "", subresource: str = "") -> Payload:
        """A JSON merge patch."""
        ...

    def delete(self, kind: ObjectKind, name: str, *, namespace: str = "", uid: str = "", at_once: bool = False) -> bool:
        """False where there was nothing to delete; with a *uid*, also where another has taken the name.

        *at_once* waits for no kubelet to end a Pod's containers: only where they are known to run no more.
        """
        ...

    def log(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> Iterator[str]:
        """The lines of a container's log so far."""
        ...


@dataclass(frozen=True, slots=True)
class StackRun:
    """One run of the engine over one stack: everything the stack declares, what the plan says of it, and what a person lets pass.

    *inherits* is what the engine may still have of it under other stacks, by stack: it is struck out there before it is taken here.
    """

    revision: Revision
    stack: str
    resources: tuple[Resource, ...]
    changes: tuple[Change, ...]
    attributes: Mapping[ResourceId, Mapping[str, str]] = field(default_factory=dict)  # of live things that other stacks or people made
    foreign: Mapping[ResourceId, Mapping[str, str]] = field(default_factory=dict)  # tags that others put on what the stack declares
    inherits: Mapping[str, frozenset[ResourceId]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StackResult:
    """How the changes of a stack ended, and what the engine learned of what it holds (for the Refs of other stacks)."""

    outcomes: Mapping[ResourceId, Outcome] = field(default_factory=dict)
    attributes: Mapping[ResourceId, Mapping[str, str]] = field(default_factory=dict)


Verdict = Literal["planned", "allowed", "differs", "worse"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One operation of the engine's preview (`same` for a planned change that it sees no need for), beside what the plan says of it."""

    address: str
    op: str
    fields: tuple[str, ...]
    planned: Action
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class StackView:
    """What the engine would do to a stack; *message* says why it could not tell, "" where it could."""

    stack: str
    steps: tuple[Seen, ...]
    message: str = ""


Progress = Callable[[str, Literal["start", "done", "failed"], str], None]  # address, what happened, words


class Engine(Protocol):
    """What applies a stack. It never does more than the run's changes say: a preview that is worse stops that stack."""

    def up(self, run: StackRun, progress: Progress) -> StackResult: ...

    def forget(self, environment: str, stack: str, ids: Iterable[ResourceId]) -> None:
        """Strike *ids* out of the engine's record of *stack*, and the stack too once it holds nothing; what is live stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the engine's state has of one thing: what was last declared of it, and whether it would refuse to let it go."""

    fields: Fields
    protected: bool = False


class Views(Protocol):
    """What tells beforehand what the engine would do; it changes nothing, not even the engine's record."""

    def view(self, run: StackRun) -> StackView: ...


class Checkpoints(Protocol):
    """The engine's own record, read without starting it."""

    def stacks(self, environment: str) -> Mapping[str, frozenset[ResourceId]] | None:
        """What the engine's state holds, by stack; what is live but not in it was left by a crash. None where another machine keeps it."""
        ...

    def pending(self, environment: str) -> frozenset[ResourceId]:
        """What was being made when an earlier run died: it may still turn up."""
        ...

    def recorded(self, environment: str, stack: str, recall: Recall) -> Mapping[ResourceId, Recorded]:
        """What was last declared to the engine, thing by thing: the record of what was applied, on whichever machine."""
        ...


class Lease(Protocol):
    """A held lease, released at the end of a `with`; `lost` is true once another holder has taken it."""

    @property
    def lost(self) -> bool: ...

    def release(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *failure: object) -> None: ...


class Leases(Protocol):
    """Who may act: a compare-and-set on a Lease, with a heartbeat while it is held."""

    def hold(self, name: str, *, duration: float) -> Lease:
        """Take the lease *name* for *duration* seconds, renewed all the while; LockHeld where another has it."""
        ...

    def heard(self, name: str) -> float | None:
        """Seconds since anybody was last heard of as its holder; None where nobody ever was."""
        ...


class Secrets(Protocol):
    """What is generated: made once, and told to nobody but those who mount it."""

    def names(self, namespace: str) -> frozenset[str]:
        """The names of all Secrets of *namespace*; nothing else of them is read."""
        ...

    def make(self, namespace: str, labels: Mapping[str, str], wanted: Generated) -> bool:
        """Make the Secret; False where there is one of its name, which stays as it is."""
        ...

    def remove(self, namespace: str, name: str) -> None:
        """Remove the Secret, if it is there: nobody takes what it says any more."""
        ...


class Resolver(Protocol):
    """Asks DNS as a client in the environment would."""

    def addresses(self, name: str) -> tuple[str, ...]: ...


class Clock(Protocol):
    """Time: *now* in seconds since the epoch, for people; *monotonic* for waits."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Deed:
    """What an apply did to one thing; *healed* are the drifted fields that it put back, each with a digest of what was declared."""

    address: str
    action: str
    healed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Healed:
    """How often a field was put back to the same declared value, and since when (seconds since the epoch)."""

    address: str
    path: str
    digest: str
    times: int
    since: float


class History(Protocol):
    """What was applied when, newest first."""

    def record(
        self,
        revision: Revision,
        action: str,
        summary: Mapping[str, int],
        result: str,
        deeds: Iterable[Deed] = (),
        followed: Mapping[str, Any] | None = None,
    ) -> None:
        """Append an apply: what it did, and what was declared of the records that follow their Pods."""
        ...

    def entries(self, environment: str, limit: int) -> Iterable[Mapping[str, Any]]: ...

    def healed(self, environment: str, since: float) -> Iterable[Healed]:
        """Every field that was put back after *since*."""
        ...

    def touched(self, environment: str, address: str) -> Mapping[str, Any] | None:
        """The last entry whose apply did something to *address*, with its `deed`; None where none did."""
        ...
