"""A fence that a person orders: which node, who lies there, and, once it is approved, each step until Kubernetes is told that it is off."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from reconciler import errors
from reconciler.members import fencing, read, unreachable
from reconciler.members.live import Node
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.ports import Clock, Cloud, Cluster

LOOK_EVERY = 2.0


@dataclass(frozen=True, slots=True)
class Case:
    """A node that does not answer, what EC2 says of its instance, and the members that lie there, each with its environment."""

    node: Node
    state: str
    members: tuple[str, ...]

    @property
    def off(self) -> bool:
        return self.state in unreachable.OFF


def look(cluster: Cluster, cloud: Cloud, name: str) -> Case:
    """What there is to say of the node *name*.

    Raises:
        UsageError: there is none, or it answers: one that works is drained.
        ProviderError: EC2 does not know its instance, nor any other node's.
    """
    nodes = read.nodes(cluster)
    node = nodes.get(name)
    if node is None:
        near = difflib.get_close_matches(name, nodes, 3, 0.5) or sorted(nodes)[:3]
        raise errors.UsageError(f"there is no node {name}", hint=f"there is {', '.join(near)}" if near else "the cluster has no nodes")
    if node.ready:
        raise errors.UsageError(f"node {name} answers; nothing was done", hint=f"kubectl drain {name} empties a node that works")
    others = [one.instance for one in nodes.values() if one.ready]
    state = read.instances(cloud, [node.instance], others).get(node.instance, "")
    if not state:
        text = f"EC2 knows neither instance {node.instance or '(unknown)'} of node {name} nor that of any node that answers"
        raise errors.ProviderError(text, hint="see whether account and region are right: nothing proves that it is off")
    return Case(node, state, read.members_on(cluster, name))


def carry_out(case: Case, look_again: Callable[[], Case], fence: Fence, timeout: float) -> Outcome:
    """Stop the instance if it runs, wait until EC2 says that it is off, then say so to Kubernetes."""
    end = fence.clock.monotonic() + timeout
    while True:
        if case.off and case.node.out_of_service:
            return Done()
        if case.off:
            fencing.taint(fence.cluster, case.node, fence.clock.now())
        elif case.state not in unreachable.ENDING:
            fencing.stop(fence.cluster, fence.cloud, case.node)
        case = look_again()
        if case.off:
            continue
        if fence.stopping() or fence.clock.monotonic() >= end:
            return Waiting(f"instance {case.node.instance} has stopped (now {case.state}); it is safe to run again")
        fence.clock.sleep(LOOK_EVERY)


@dataclass(frozen=True, slots=True)
class Fence:
    """What a fence is made with."""

    cluster: Cluster
    cloud: Cloud
    clock: Clock
    stopping: Callable[[], bool]
