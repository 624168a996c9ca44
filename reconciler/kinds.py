"""The two extension points, and how they are found: a kind is one file of `providers/kinds`, a service type one file of `stacks`.

Other installed packages may have service types as well.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import BaseModel

from reconciler.errors import UsageError
from reconciler.model.environment import Environment
from reconciler.model.initialise import Generated, Initialisation, Rotation, Script
from reconciler.model.observation import Observation, Scope
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.upgrades import ANY_LATER, Upgrades
from reconciler.model.value import Fields, Value
from reconciler.ports import Cloud, Cluster, Payload

ENTRY_POINTS = "reconciler.stacks"  # of other packages: an entry a service type
Effect = Literal["update", "replace", "refuse"]
ListKey: TypeAlias = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldPolicy:
    """How one declared field is compared and what a difference means.

    *canonical* maps both sides to what is compared (a quantity to its number, a name to lower case). *effect* is asked with (before, after)
    and may refuse with *why*, a sentence such as "a volume cannot shrink". *sensitive* values are never shown. *spends* says that changing
    it needs what the thing has little of, such as EBS's modifications a day: not while its observation is `busy`. *whole* says that a
    mapping is one value. *default* is what the API fills in where nothing is declared, given what stands beside it and what was there.
    Beside *rivals* it cannot stand: one that others hold is told as a change from itself to itself, which *effect* refuses.
    """

    canonical: Callable[[Value], Value] | None = None
    effect: Callable[[Value, Value], Effect] | Effect = "update"
    why: str = ""
    sensitive: bool = False
    spends: bool = False
    whole: bool = False
    default: Callable[[Fields, Value], Value] | None = None
    rivals: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sources:
    """What a kind may read from: the ports, with reading credentials."""

    cloud: Cloud
    cluster: Cluster
    environment: Environment


@dataclass(frozen=True, slots=True)
class Reading:
    """One bulk read of a kind, independent of the others: run side by side, failing alone."""

    scope: Scope
    read: Callable[[Sources], Iterator[Observation]]


class Kind(Protocol):
    """A kind of thing: how it is read in bulk, seen, compared and declared to the engine."""

    @property
    def name(self) -> str:
        """The first word of its addresses."""
        ...

    @property
    def ours(self) -> bool:
        """Whether a live thing of it that nothing declares is ours to delete by its marks alone."""
        ...

    def readings(self, environment: Environment) -> Iterable[Reading]: ...

    def view(self, payload: Payload, environment: str) -> Observation:
        """An API's payload as an observation; pure."""
        ...

    def policy(self, resource: Resource, path: tuple[str, ...]) -> FieldPolicy:
        """How the field at *path* (list items left out) is compared."""
        ...

    def list_key(self, resource: Resource, path: tuple[str, ...]) -> ListKey:
        """How the list at *path* compares: "" as one value, "=" as a set that is one value.

        One that others may add to merges item by item: by the fields that a tuple names, by the items' own values where it is empty.
        """
        ...

    def terraform_type(self, resource_name: str) -> str:
        """The type that Terraform's plan format has for it."""
        ...

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        """Register one Pulumi resource with *fields* (Refs already outputs); returns its attributes as outputs, by name."""
        ...

    def recall(self, inputs: Payload) -> Fields:
        """What `declare` was given, out of what the engine's state has of it; pure."""
        ...


@dataclass(frozen=True, slots=True)
class MemberPlan:
    """One member of a service as its type lays it out."""

    name: str
    ordinal: int
    zone: str
    set_name: str  # the StatefulSet whose Pod it is


Check = tuple[str, str, str]  # field path in the spec ("options.heap"), what is wrong, hint


class NoOptions(BaseModel, frozen=True, extra="forbid"):
    """For types that have none."""


def _nothing_to_check(_service: Service, _environment: Environment) -> Iterable[Check]:
    return ()


def _nobody_refills(service: Service, _environment: Environment, _members: frozenset[str]) -> str:
    return f"it is not known that members of a {service.type} service give each other their data back"


@dataclass(frozen=True, slots=True)
class ServiceType:
    """A service type: what `SERVICE` of a file of `stacks` holds.

    *members* says who its members are; *resources* what it declares (pure, stable under scaling). *check* finds what its
    options' model cannot. *order* is how its members restart, given their names. *secrets* are made by us, before anything of a service
    is; *initialise* says how its application is asked and made what it should be, None where there is nothing to do. *leader* asks who
    leads: they restart last, whatever the order, and *hand_over* is how those named let others lead before they go, None where they
    need not, or cannot. *drain* takes those named, who are members no longer, out of the application before their Pods go; the service
    is as it is declared, without them. *voters* says how many of so many members vote: of those no majority may go at once.
    *remembers* says what of the service's own its data has inside, in words that follow "has": no service of another name can begin
    with a copy of that; "" where it has nothing of the kind. *rotation* says how its secrets are exchanged for those of
    `spec.rotation`, None where they cannot be. *refills* says why members (their names) that come back with empty volumes are not given
    their data by the others, in words for a refusal; "" where they are. *upgrades* says from which version a living service goes to
    which.
    """

    name: str
    level: Literal["full", "rendered"]
    versions: tuple[str, ...]
    resources: Callable[[Service, Environment], tuple[Resource, ...]]
    members: Callable[[Service, Environment], tuple[MemberPlan, ...]]
    options: type[BaseModel] = NoOptions
    check: Callable[[Service, Environment], Iterable[Check]] = _nothing_to_check
    order: Callable[[tuple[str, ...]], tuple[str, ...]] = field(default=lambda names: tuple(reversed(names)))
    secrets: Callable[[Service, Environment], tuple[Generated, ...]] = lambda _service, _environment: ()
    initialise: Callable[[Service, Environment], Initialisation | None] = lambda _service, _environment: None
    leader: Callable[[Service, Environment], Script | None] = lambda _service, _environment: None
    hand_over: Callable[[Service, Environment, tuple[str, ...]], Script | None] = lambda _service, _environment, _leaders: None
    drain: Callable[[Service, Environment, tuple[str, ...]], Initialisation | None] = lambda _service, _environment, _leaving: None
    voters: Callable[[Service, int], int] = lambda _service, _members: 0
    remembers: Callable[[Service], str] = lambda _service: ""
    rotation: Callable[[Service, Environment], Rotation | None] = lambda _service, _environment: None
    refills: Callable[[Service, Environment, frozenset[str]], str] = _nobody_refills
    upgrades: Upgrades = ANY_LATER
    holds: frozenset[str] = frozenset()
    origin: str = ""  # the package that it comes from, with its version; "" for this program's own

    @property
    def default_version(self) -> str:
        return self.versions[0]


def discover(package: str) -> dict[str, Any]:
    """Every module of *package* by file name; imports them, so call it only where they are needed."""
    root = importlib.import_module(package)
    names = sorted(entry.name for entry in pkgutil.iter_modules(root.__path__) if not entry.name.startswith("_"))
    return {name: importlib.import_module(f"{package}.{name}") for name in names}


def service_types(package: str = "stacks") -> dict[str, ServiceType]:
    """The service types by name: ours, and those of other installed packages (their entry points `reconciler.stacks`).

    Raises:
        UsageError: another package's type cannot be loaded, is none, or has a name that is taken.
    """
    found = {module.SERVICE.name: module.SERVICE for module in discover(package).values()}
    for entry in sorted(metadata.entry_points(group=ENTRY_POINTS), key=str):
        type_ = _of_others(entry)
        if taken := found.get(type_.name):
            by = taken.origin or "this program"
            raise UsageError(
                f"{type_.origin} has a service type {type_.name}, which {by} has as well", hint="remove one of the two packages"
            )
        found[type_.name] = type_
    return found


def _of_others(entry: metadata.EntryPoint) -> ServiceType:
    """The type that *entry* names, itself or as `SERVICE` of a module, with where it comes from."""
    origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    try:
        loaded = entry.load()
    except Exception as error:  # whatever somebody else's module raises while it is imported
        text = f"the service type {entry.name} of {origin} cannot be loaded: {type(error).__name__}: {error}"
        raise UsageError(text, hint="mend or remove that package") from error
    type_ = getattr(loaded, "SERVICE", loaded)
    if not isinstance(type_, ServiceType):
        raise UsageError(f"{entry.value} of {origin} is no service type", hint="name a ServiceType, or a module that has one as SERVICE")
    return replace(type_, origin=origin)


def kinds(package: str = "providers.kinds") -> dict[str, Kind]:
    """The kinds by the first word of their addresses."""
    return {module.KIND.name: module.KIND for module in discover(package).values()}


__all__ = [
    "Check",
    "Fields",
    "Kind",
    "ListKey",
    "MemberPlan",
    "NoOptions",
    "Reading",
    "ServiceType",
    "Sources",
    "discover",
    "kinds",
    "service_types",
]
