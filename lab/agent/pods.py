"""What a Pod needs next: from its spec and its state to the steps that may be taken now. Pure; the worker takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.agent.clock import parse
from lab.agent.state import Container, Failure, Json, PodState, Running, Terminated, Waiting, specs

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True, slots=True)
class Prepare:
    """Give it its network and volumes."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a container."""

    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End a container that runs."""

    name: str


@dataclass(frozen=True, slots=True)
class Fail:
    """End the whole Pod."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Clean:
    """Take its network and volumes away: no process is left."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Let the API server forget it."""


Step = Prepare | Start | Stop | Fail | Clean | Remove


def decide(pod: Json, state: PodState, now: float, busy: AbstractSet[str] = frozenset()) -> list[Step]:
    """The steps that are due; *busy* are containers that a step is being taken for."""
    if not state.failure and not ending(pod) and (failure := overdue(pod, now)):
        return [Fail(failure)]
    if is_over(pod, state):
        return list(_wind_down(pod, state, busy))
    if not state.prepared:
        return [Prepare()]
    return [Start(name) for name in _startable(pod, state, now) if name not in busy]


def wake(pod: Json, state: PodState) -> float | None:
    """When something is due next if nothing happens before."""
    dues = [one.due for one in state.containers.values() if isinstance(one.state, Waiting) and one.due]
    limit = _deadline(pod)
    return min([*dues, *([limit] if limit and not state.failure else [])], default=None)


def is_over(pod: Json, state: PodState) -> bool:
    """Whether nothing of the Pod is to be started any more."""
    return ending(pod) or state.failure is not None or finished(pod, state)


def ending(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_sidecar(spec: Json) -> bool:
    """An init container that goes on beside the others."""
    return spec.get("restartPolicy") == "Always"


def restarts(pod: Json, spec: Json, how: Terminated) -> bool:
    """Whether a container that ended so is started again. A plain init container has done its work once it ended with 0."""
    policy = pod["spec"].get("restartPolicy", "Always")
    if is_sidecar(spec):
        return True
    if _is_init(pod, spec):
        return bool(how.exit_code and policy != "Never")
    return policy == "Always" or bool(policy == "OnFailure" and how.exit_code)


def finished(pod: Json, state: PodState) -> bool:
    """Whether the Pod has run its course: each container has ended for good, or an init container has failed for good."""
    if any(gone(pod, spec, state) and _failed(state, spec) for spec in pod["spec"].get("initContainers", []) if not is_sidecar(spec)):
        return True
    return all(gone(pod, spec, state) for spec in pod["spec"]["containers"])


def gone(pod: Json, spec: Json, state: PodState) -> bool:
    """Whether the container has ended for good."""
    how = state.containers[spec["name"]].ended
    return how is not None and not restarts(pod, spec, how)


def initialized(pod: Json, state: PodState) -> bool:
    """Whether the Pod is past its init containers; one that once was stays so."""
    begun = any(state.containers[spec["name"]].runs for spec in pod["spec"]["containers"])
    return begun or all(_is_past(spec, state) for spec in pod["spec"].get("initContainers", []))


def overdue(pod: Json, now: float) -> Failure | None:
    """The failure of a Pod that has been active for longer than it may."""
    limit = _deadline(pod)
    if limit is None or now < limit:
        return None
    return Failure("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


def _deadline(pod: Json) -> float | None:
    seconds, start = pod["spec"].get("activeDeadlineSeconds"), pod.get("status", {}).get("startTime")
    if seconds is None or start is None or pod["status"].get("phase") in ("Succeeded", "Failed"):
        return None
    return parse(start) + float(seconds)


def _failed(state: PodState, spec: Json) -> bool:
    how = state.containers[spec["name"]].ended
    return how is not None and how.exit_code != 0


def _is_init(pod: Json, spec: Json) -> bool:
    return any(one["name"] == spec["name"] for one in pod["spec"].get("initContainers", []))


def _is_past(spec: Json, state: PodState) -> bool:
    """Whether the next container may start: a sidecar has started, another init container has succeeded."""
    container = state.containers[spec["name"]]
    if is_sidecar(spec):
        return container.started
    return container.ended is not None and container.ended.exit_code == 0


def _startable(pod: Json, state: PodState, now: float) -> Iterator[str]:
    for spec in pod["spec"].get("initContainers", []):
        yield from _due(pod, spec, state.containers[spec["name"]], now)
        if not _is_past(spec, state):
            return
    for spec in pod["spec"]["containers"]:
        yield from _due(pod, spec, state.containers[spec["name"]], now)


def _due(pod: Json, spec: Json, container: Container, now: float) -> Iterator[str]:
    if isinstance(container.state, Running) or now < container.due:
        return
    how = container.ended
    if how is None or isinstance(container.state, Waiting) or restarts(pod, spec, how):
        yield spec["name"]


def _wind_down(pod: Json, state: PodState, busy: AbstractSet[str]) -> Iterator[Step]:
    """Sidecars go last, in the reverse of their order; then the network and the volumes; then the Pod."""
    running = [spec for spec in specs(pod) if isinstance(state.containers[spec["name"]].state, Running)]
    plain = [spec for spec in running if not is_sidecar(spec)]
    chosen = plain or running[-1:]
    yield from (Stop(spec["name"]) for spec in chosen if spec["name"] not in busy)
    if running or busy:
        return
    if state.prepared:
        yield Clean()
    elif ending(pod):
        yield Remove()
