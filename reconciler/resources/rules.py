"""What more than one type finds wrong with a service. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reconciler.kinds import Check
from reconciler.model.quantity import Quantity
from reconciler.model.service import Service

_COMPRESSED = Quantity.parse("31Gi")


def odd(service: Service) -> Iterator[Check]:
    """An even number of voters is no safer than one less."""
    if service.replicas % 2 == 0:
        fewer, more = service.replicas - 1, service.replicas + 1
        why = f"{service.replicas} voters survive the loss of no more members than {fewer} would"
        yield "replicas", why, f"choose {fewer} or {more}"


def volumes(service: Service, title: str, needed: Collection[str] = (), optional: Collection[str] = ()) -> Iterator[Check]:
    """Whether a service has the volumes that its type *title* has a use for."""
    for name in needed:
        if name not in service.volumes:
            yield "volumes", f"{title} needs the volume {name}", f"add volumes: {{{name}: {{size: 10Gi}}}}"
    known = [*needed, *optional]
    has = f"the volume{'s' if len(known) > 1 else ''} {' and '.join(known)}" if known else "no volumes"
    for name in service.volumes:
        if name not in known:
            yield f"volumes.{name}", f"{title} has {has}", "remove it, or give it one of these names" if known else "remove it"


def heap(service: Service, size: Quantity, least: Quantity, *, half: bool = False) -> Iterator[Check]:
    """Whether a JVM's heap is at least *least* and leaves something of the limit of memory; *half* of it where files are to be cached."""
    limit = service.resources.limits.get("memory")
    if size < least:
        yield "options.heap", f"{size} is less than {least}", f"write a quantity such as {least}"
    elif size > _COMPRESSED:
        yield (
            "options.heap",
            f"more than {_COMPRESSED} holds less: pointers take twice the room from there",
            f"choose {_COMPRESSED} or less",
        )
    elif limit and size >= limit:
        yield "options.heap", f"{size} leaves nothing of the limit of {limit} for the JVM itself", "raise limits.memory"
    elif half and limit and size.value * 2 > limit.value:
        why = f"{size} is more than half of the limit of {limit}, and the other half is to cache files"
        yield "options.heap", why, "raise limits.memory, or choose a smaller heap"
