"""What becomes of nodes that do not answer, and of those that do again; pure.

Kubernetes takes no StatefulSet's Pod off a node that it cannot reach: what runs there may still write. EC2 knows more. An instance that is
stopped, terminated or gone writes no more, and the taint `out-of-service` says so to Kubernetes, which then has the node's Pods end and
detaches its volumes. Its own collector of such Pods comes round every 20 s only, so those that are to end are taken away from here. Of an
instance that runs nothing is known: the environment says whether to wait for a person or to stop it. What EC2 says must have been read
after the node: then a node that is as it was read has not come back since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from reconciler.members.live import Live, Node, Pod
from reconciler.model.environment import MembersSettings

GONE = "gone"
OFF = frozenset({"stopped", "terminated", GONE})
ENDING = frozenset({"stopping", "shutting-down"})
_EC2 = "i-"
_NOTHING: Mapping[str, str] = {}

Deed: TypeAlias = Literal["taint", "clear", "stop", "take", ""]


@dataclass(frozen=True, slots=True)
class Finding:
    """A node, what to do about it, and what its members wait for, in words that follow "waiting until".

    *pods* are to be taken away: no kubelet that comes back starts anything of them, since they are to end already.
    """

    node: Node
    deed: Deed
    until: str
    pods: tuple[Pod, ...] = ()


def find(live: Live, settings: MembersSettings, now: float) -> tuple[Finding, ...]:
    """What is to be said and done of each node; *now* in seconds since the epoch."""
    return (*_back(live.nodes.values()), *(_judge(node, live, settings, now) for node in away(live)))


def words(findings: Iterable[Finding], refused: Mapping[str, str] = _NOTHING) -> dict[str, str]:
    """What is waited for of each node, by name; with what was *refused* when something was to be done about it."""
    return {one.node.name: one.until + refused.get(one.node.name, "") for one in findings if one.until}


def away(live: Live) -> Iterator[Node]:
    """The nodes that are not ready and hold a member's Pod."""
    holding = {pod.node for pods in live.pods.values() for pod in pods if not pod.finished}
    return (node for node in live.nodes.values() if node.name in holding and not node.ready)


def doubtful(live: Live) -> frozenset[str]:
    """The instances that EC2 has to be asked of: those of nodes that do not answer, and those that hold interfaces and are no node."""
    answering = {node.instance for node in live.nodes.values() if node.ready}
    holding = {one.instance for one in live.interfaces.values() if one.instance}
    return frozenset(id for id in {*(node.instance for node in away(live)), *(holding - answering)} if id.startswith(_EC2))


def witnesses(live: Live) -> tuple[str, ...]:
    """Instances that are there without doubt: who does not find them either looks into the wrong account or region."""
    return tuple(sorted(node.instance for node in live.nodes.values() if node.ready and node.instance.startswith(_EC2)))


def is_off(instance: str, live: Live) -> bool:
    """Whether EC2 says that nothing runs on *instance* any more; not knowing is no."""
    return live.instances.get(instance) in OFF


def seconds(node: Node, now: float) -> float:
    """For how long a node has not answered."""
    return now - datetime.fromisoformat(node.since).timestamp() if node.since else 0.0


def _back(nodes: Iterable[Node]) -> Iterator[Finding]:
    """Only our own taint is taken off, and only from a node that answers: then it has started anew.

    A taint that a person took off first leaves our note of it, which must not make theirs, some day, look like ours.
    """
    return (Finding(node, "clear", "") for node in nodes if node.ready and node.fenced)


def _judge(node: Node, live: Live, settings: MembersSettings, now: float) -> Finding:
    name, state = f"node {node.name}", live.instances.get(node.instance, "")
    if state in OFF:
        moved = f"Kubernetes takes its Pods off {name}, whose instance {node.instance} is {state}"
        if not node.out_of_service:
            return Finding(node, "taint", moved)
        ending = tuple(pod for pods in live.pods.values() for pod in pods if pod.node == node.name and pod.terminating)
        return Finding(node, "take" if ending else "", moved, ending)
    if not state:
        return Finding(node, "", f"{name} answers again, or EC2 says what has become of its instance {node.instance or '(unknown)'}")
    if state in ENDING:
        return Finding(node, "", f"instance {node.instance} of {name} has stopped (now {state})")
    return _running(node, live, settings, now)


def _running(node: Node, live: Live, settings: MembersSettings, now: float) -> Finding:
    """Its Pods may still write, so nothing is moved before it is stopped."""
    hand = f"`reconcile fence {node.name}` ends it)"
    if not node.silent:
        return Finding(node, "", f"node {node.name} is ready (its kubelet says that it is not; {hand}")
    told = f"node {node.name} answers again (its instance {node.instance} runs and may still write"
    if settings.unreachable == "wait":
        return Finding(node, "", f"{told}; {hand}")
    if reason := _refuge(node, live):
        return Finding(node, "", f"{told}; it is not stopped, since {reason}; {hand}")
    if seconds(node, now) < settings.unreachable_after.seconds:
        return Finding(node, "", f"{told}; it is stopped after {settings.unreachable_after})")
    return Finding(node, "stop", f"instance {node.instance} of node {node.name} has stopped")


def _refuge(node: Node, live: Live) -> str:
    """Why nobody would gain by stopping it: its members live in its zone, and where most nodes are away it may be the network to them."""
    others = [one for one in live.nodes.values() if one.zone == node.zone and one.name != node.name]
    answering = [one for one in others if one.ready and one.schedulable]
    if not answering:
        return f"no other node of zone {node.zone} could take its members"
    if len(answering) < len(others) - len(answering) + 1:
        return f"most nodes of zone {node.zone} do not answer"
    return ""
