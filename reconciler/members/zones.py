"""Whether the zones of members have nodes, said before anybody waits for one; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.members.live import Node
from reconciler.members.member import Member
from reconciler.model.change import Change

_NAMED = 5  # members; the rest are counted


def starting(changes: Iterable[Change]) -> frozenset[str]:
    """The services whose StatefulSet a plan makes or changes: their Pods need nodes."""
    acting = (one for one in changes if one.acts and one.action not in {"delete", "forget"})
    return frozenset(one.stack for one in acting if one.id.kind == "kubernetes" and one.id.name.startswith("StatefulSet/"))


def warnings(members: Iterable[Member], nodes: Mapping[str, Node]) -> Iterator[str]:
    """`zone us-east-1c has no ready node (of 2): kv-2, zk-2 wait for one`."""
    running = [member for member in members if not member.stopped]
    for zone in sorted({member.zone for member in running}):
        here = [node for node in nodes.values() if node.zone == zone]
        if not any(node.ready and node.schedulable for node in here):
            names = [member.name for member in running if member.zone == zone]
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            count = f"no node that is ready and takes Pods (of {len(here)})" if here else "no node"
            yield f"zone {zone} has {count}: {', '.join(names[:_NAMED])}{more} will wait for one"
