"""Whether a member works, or what it waits for, in words that follow "waiting until"; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.members.live import Container, Live, Node, Pod
from reconciler.members.member import Member
from reconciler.model.outcome import Done, Failed, Outcome, Waiting, paused

_NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError"})
_NOT_MADE = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PostStartHookError"}
)
CANNOT_START = _NO_IMAGE | _NOT_MADE | {"InvalidImageName", "CrashLoopBackOff"}
_LONGEST = 240  # characters of a container's last words


def of_member(member: Member, live: Live, placing: str) -> Outcome:
    """How one member stands. *placing* is what its place still lacks."""
    pod, works = outdated(member, live), of_work(member, live, placing)
    if pod is None or not isinstance(works, Done):
        return works
    return Waiting(f"{member.name} runs revision {live.sets[member.namespace, member.set_name].revision} (now {pod.revision})")


def outdated(member: Member, live: Live) -> Pod | None:
    """The member's Pod, if its StatefulSet has another revision for it by now."""
    owner = live.sets.get((member.namespace, member.set_name))
    if owner is None or owner.observed < owner.generation:
        return None
    return next((pod for pod in live.running(member.name) if pod.revision != owner.revision), None)


def of_work(member: Member, live: Live, placing: str) -> Outcome:
    """Whether a member works, at whatever revision."""
    if member.stopped:
        return Waiting(f"the Pod of {member.name} has ended") if live.running(member.name) else Done()
    owner = live.sets.get((member.namespace, member.set_name))
    if owner is None:
        return Waiting(f"the StatefulSet {member.namespace}/{member.set_name} is made")
    if owner.observed < owner.generation:
        return Waiting(f"the StatefulSet {member.set_name} is seen by its controller at generation {owner.generation}")
    pods = live.running(member.name)
    if not pods:
        return Waiting(f"a Pod of {member.name} is made{_ended(live.pods.get(member.name, ()))}")
    if len(pods) > 1:
        return Waiting(f"only one Pod of {member.name} is left (now on {' and '.join(pod.node or 'no node' for pod in pods)})")
    return next(_lacks(member, pods[0], live, placing), Done())


def of_service(members: Iterable[Member], outcomes: Mapping[str, Outcome], live: Live) -> Outcome:
    """How a service stands: as its worst member does, and its StatefulSets have to count as many Pods as are declared."""
    mine = tuple(members)
    found = _worst(mine, outcomes, live)
    return paused(found) if any(member.paused for member in mine) else found


def _worst(mine: tuple[Member, ...], outcomes: Mapping[str, Outcome], live: Live) -> Outcome:
    for failed in (outcomes[member.name] for member in mine):
        if isinstance(failed, Failed):
            return failed
    waiting = [outcome for member in mine if isinstance(outcome := outcomes[member.name], Waiting)]
    if waiting:
        rest = f" (and {len(waiting) - 1} more of {len(mine)} members)" if len(waiting) > 1 else ""
        return Waiting(f"{waiting[0].until}{rest}", f"{waiting[0].said}{rest}" if waiting[0].said else "")
    return next(_miscounts(mine, live), Done())


def _miscounts(members: tuple[Member, ...], live: Live) -> Iterator[Outcome]:
    for namespace, name in dict.fromkeys((member.namespace, member.set_name) for member in members):
        declared = sum(1 for one in members if one.set_name == name and not one.stopped)
        owner = live.sets.get((namespace, name))
        if owner and owner.replicas != declared:
            yield Waiting(f"the StatefulSet {name} has {declared} replicas (now {owner.replicas})")


def _lacks(member: Member, pod: Pod, live: Live, placing: str) -> Iterator[Outcome]:
    """What a member with a Pod lacks, what comes first first."""
    if pod.node in live.unreachable:
        yield Waiting(live.unreachable[pod.node])
    if pod.terminating:
        yield Waiting(f"the old Pod of {member.name} on {pod.node} has ended")
    if not pod.node:
        yield Waiting(f"{member.name} has a node: {_no_node(member, pod, live.nodes.values())}")
    yield from (found for one in pod.containers if (found := _trouble(member, one)))
    if placing:
        yield Waiting(f"{member.name} is in its place: {placing}")
    if not pod.ready:
        yield Waiting(_unready(member, pod, live))


def _trouble(member: Member, one: Container) -> Outcome | None:
    """What keeps a container from running, if anything does."""
    who = f"container {one.name} of {member.name}"
    if one.reason == "InvalidImageName":
        return Failed(f"{who} has an image name that is none: {one.message}")
    if one.reason in _NO_IMAGE:
        return Waiting(f"{who} has its image: {one.reason}: {_brief(one.message)}")
    if one.reason in _NOT_MADE:
        return Waiting(f"{who} can be made: {one.reason}: {_brief(one.message)}")
    if one.reason == "CrashLoopBackOff":
        return Waiting(f"{who} stays up: it ended with code {one.last_code}, {one.restarts} times by now{_words(one.last_message)}")
    if one.state == "terminated" and one.code:
        return Waiting(f"{who} is started again: it ended with code {one.code}{_words(one.message)}")
    return None


def _unready(member: Member, pod: Pod, live: Live) -> str:
    """What a Pod on a node still lacks."""
    if not any(one.state in {"running", "terminated"} for one in pod.containers):
        for name, volume in member.disks.items():
            attachment = live.attachments.get(volume)
            if attachment is None or not attachment.attached or attachment.node != pod.node:
                error = f": {_brief(attachment.error)}" if attachment and attachment.error else ""
                return f"volume {name} of {member.name} is attached to {pod.node}{error}"
        return f"the containers of {member.name} are started on {pod.node}"
    for one in pod.containers:
        if one.init and one.state == "running":
            return f"init container {one.name} of {member.name} has ended"
    waiting = ", ".join(one.name for one in pod.containers if not one.init and not one.ready)
    return f"{member.name} on {pod.node} is ready: its probe has not passed yet ({waiting or pod.phase})"


def _no_node(member: Member, pod: Pod, nodes: Iterable[Node]) -> str:
    here = [node for node in nodes if node.zone == member.zone]
    usable = [node for node in here if node.ready and node.schedulable]
    if not usable:
        return f"of {len(here)} nodes in zone {member.zone} none is ready" if here else f"zone {member.zone} has no node"
    return _brief(pod.unscheduled) or "the scheduler has not chosen one yet"


def _ended(pods: tuple[Pod, ...]) -> str:
    return f" (the last one ended: {pods[0].phase}: {_brief(pods[0].message)})" if pods else ""


def _words(message: str) -> str:
    return f": {_brief(message)}" if message.strip() else ""


def _brief(message: str) -> str:
    """The end of what was said, on one line: that is where programs say why they ended."""
    text = " | ".join(line.strip() for line in message.splitlines() if line.strip())
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"
