"""Small specs for tests of the loader: an environment, one service type of its own, and texts to vary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds import Check, MemberPlan, ServiceType
from reconciler.model.desired import Desired
from reconciler.model.document import Part, Whole
from reconciler.model.environment import Environment
from reconciler.model.origin import Revision
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud
from reconciler.specs.load import load

REVISION = Revision("1c9e0d2" + "0" * 33, "t" * 40, "lab")
ENVIRONMENT = "apiVersion: reconciler/v1\nkind: Environment\nmetadata: {name: lab}\nspec:\n  zones: [us-east-1a, us-east-1b]\n"


class Options(Part):
    """The test type's own options."""

    heap: Quantity | None = None
    shards: Whole = 0


def members(service: Service, environment: Environment) -> tuple[MemberPlan, ...]:
    shards = Options.model_validate(service.options).shards
    names = [f"{service.name}-{n}" if not shards else f"{service.name}-{n % shards}-{n // shards}" for n in range(service.replicas)]
    return tuple(MemberPlan(name, n, service.zones[n % len(service.zones)], name.rpartition("-")[0]) for n, name in enumerate(names))


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    volumes = [
        cloud.volume(service, environment, member.name, name, member.zone)
        for member in members(service, environment)
        for name in service.volumes
    ]
    return (*volumes, *(cloud.record(service, environment, member.name) for member in members(service, environment)))


def check(service: Service, environment: Environment) -> Iterator[Check]:
    heap = Options.model_validate(service.options).heap
    if heap and heap.gib > 31:
        yield "options.heap", f"a heap of {heap} has no compressed pointers", "31Gi at most"


TYPES: Mapping[str, ServiceType] = {
    "store": ServiceType("store", "full", ("8.0", "7.2"), resources, members, Options, check),
    "queue": ServiceType("queue", "rendered", (), resources, members, Options),
}


def document(kind: str, name: str, spec: str) -> str:
    """One document; its spec begins in line 5."""
    indented = "".join(f"  {line}\n" for line in spec.strip("\n").splitlines())
    return f"apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{indented}"


def service(name: str, spec: str = "", type_: str = "store") -> str:
    """A service; what *spec* adds begins in line 6."""
    return document("Service", name, f"type: {type_}\n{spec}")


def loaded(files: Mapping[str, str | bytes] | None = None, types: Mapping[str, ServiceType] = TYPES, **others: Any) -> Desired:
    """What *files* (below specs/lab) declare, beside an environment."""
    texts = {"environment.yaml": ENVIRONMENT, **(files or {})}
    contents = {f"specs/lab/{name}": text.encode() if isinstance(text, str) else text for name, text in texts.items()}
    return load({name: text for name, text in contents.items() if text}, REVISION, types, **others)
