"""What others have made under a name that we would use: it is told before anything is done, and taken over by nobody. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from reconciler.model.address import ResourceId
from reconciler.model.change import FOREIGN, Change
from reconciler.model.resource import Resource

REFUSAL = "something of this name lives already without our marks; give the service another name, or remove what is there"


def wanted(changes: Iterable[Change], recorded: Mapping[str, frozenset[ResourceId]]) -> frozenset[ResourceId]:
    """The names that *changes* would take. What the engine has *recorded* is ours, though somebody took its marks off."""
    new = (one for one in changes if one.action == "create" and one.id.kind == "kubernetes")
    return frozenset(one.id for one in new if one.id not in recorded.get(one.stack, ()))


def refuse(changes: Iterable[Change], taken: Collection[ResourceId], resources: Mapping[ResourceId, Resource]) -> Iterator[Change]:
    """*changes*, with those refused whose name is *taken*; what services share, such as a namespace, serves whoever made it."""
    for one in changes:
        if one.action != "create" or one.id not in taken:
            yield one
        elif resources[one.id].shared:
            yield replace(one, action="keep", reason=FOREIGN, fields=())
        else:
            yield replace(one, action="refuse", reason=f"{resources[one.id].origin}: {REFUSAL}", fields=())
