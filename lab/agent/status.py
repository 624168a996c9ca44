"""From what the agent knows of a Pod to the PodStatus a kubelet would report. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.agent import pods
from lab.agent.clock import stamp
from lab.agent.state import Container, Json, PodState, Running, Terminated, Waiting, specs

STEADY_FIELDS = ("phase", "reason", "message", "hostIP", "podIP", "startTime", "qosClass", "observedGeneration")
LISTS = ("hostIPs", "podIPs", "containerStatuses", "initContainerStatuses")


def build(pod: Json, state: PodState, host: str, now: float) -> Json:
    """The status of *pod* on the node at *host*; transition times of what has not changed are kept."""
    before = pod.get("status", {})
    status: Json = {
        "phase": phase(pod, state),
        "startTime": before.get("startTime") or stamp(state.seen),
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "observedGeneration": pod["metadata"].get("generation", 0),
        "conditions": _dated(list(_conditions(pod, state)), before.get("conditions", []), now),
        "containerStatuses": [_container(pod, spec, state) for spec in pod["spec"]["containers"]],
    }
    if pod["spec"].get("initContainers"):
        status["initContainerStatuses"] = [_container(pod, spec, state) for spec in pod["spec"]["initContainers"]]
    if state.address:
        status |= {"podIP": state.address, "podIPs": [{"ip": state.address}]}
    if state.failure:
        status |= {"reason": state.failure.reason, "message": state.failure.message}
    elif state.message:
        status["message"] = state.message
    return status


def differs(wanted: Json, live: Json) -> bool:
    """Whether the API server must be told; conditions of others are not ours to compare."""
    if any(wanted.get(name) != live.get(name) for name in (*STEADY_FIELDS, *LISTS) if name in wanted):
        return True
    if live.get("message") and not wanted.get("message"):
        return True
    theirs = {one["type"]: one for one in live.get("conditions", [])}
    return any(_word(one) != _word(theirs.get(one["type"], {})) for one in wanted["conditions"])


def patch(wanted: Json, live: Json) -> Json:
    """*wanted* as a strategic merge patch over *live*: lists of addresses are replaced, words that no longer hold are taken back."""
    replaced = {name: [*wanted[name], {"$patch": "replace"}] for name in ("podIPs", "hostIPs") if name in wanted}
    dropped = {name: None for name in ("reason", "message") if name in live and name not in wanted}
    return wanted | replaced | dropped


def phase(pod: Json, state: PodState) -> str:
    """The Pod's phase; a terminal one only once nothing of it runs."""
    running = any(isinstance(one.state, Running) for one in state.containers.values())
    mains = [state.containers[spec["name"]] for spec in pod["spec"]["containers"]]
    if not running and (state.failure or pods.finished(pod, state) or (pods.ending(pod) and _all_ended(mains))):
        return "Failed" if state.failure or _any_failed(pod, state) else "Succeeded"
    if not pods.initialized(pod, state) or any(one.runs == 0 for one in mains):
        return "Pending"
    return "Running"


def _all_ended(containers: list[Container]) -> bool:
    return all(one.ended for one in containers)


def _any_failed(pod: Json, state: PodState) -> bool:
    counting = [state.containers[spec["name"]] for spec in specs(pod) if not pods.is_sidecar(spec)]
    return any(one.ended is not None and one.ended.exit_code != 0 for one in counting)


def _conditions(pod: Json, state: PodState) -> Iterator[Json]:
    over = phase(pod, state) in ("Succeeded", "Failed")
    initialized = pods.initialized(pod, state)
    yield _condition("PodReadyToStartContainers", holds=state.prepared, reason=state.blocked and "VolumesNotReady", message=state.blocked)
    if initialized or not over:
        waiting = [spec["name"] for spec in pod["spec"].get("initContainers", []) if not state.containers[spec["name"]].ended]
        said = f"containers with incomplete status: [{' '.join(waiting)}]"
        yield _condition("Initialized", holds=initialized, reason="ContainersNotInitialized", message=said)
    else:
        yield _condition("Initialized", holds=False, reason="PodFailed")
    if over:
        reason = "PodCompleted" if phase(pod, state) == "Succeeded" else "PodFailed"
        yield _condition("ContainersReady", holds=False, reason=reason)
        yield _condition("Ready", holds=False, reason=reason)
    else:
        yield from _readiness(pod, state)
    yield _condition("PodScheduled", holds=True)


def _readiness(pod: Json, state: PodState) -> Iterator[Json]:
    watched = [spec for spec in pod["spec"].get("initContainers", []) if pods.is_sidecar(spec)] + pod["spec"]["containers"]
    unready = [spec["name"] for spec in watched if not state.containers[spec["name"]].ready]
    said = f"containers with unready status: [{' '.join(unready)}]"
    yield _condition("ContainersReady", holds=not unready, reason="ContainersNotReady", message=said)
    if unready:
        yield _condition("Ready", holds=False, reason="ContainersNotReady", message=said)
        return
    live = {one["type"]: one["status"] for one in pod.get("status", {}).get("conditions", [])}
    shut = [gate["conditionType"] for gate in pod["spec"].get("readinessGates", []) if live.get(gate["conditionType"]) != "True"]
    said = "; ".join(f'the status of pod readiness gate "{gate}" is not "True", but {live.get(gate, "absent")}' for gate in shut)
    yield _condition("Ready", holds=not shut, reason="ReadinessGatesNotReady", message=said)


def _condition(kind: str, *, holds: bool, reason: str = "", message: str = "") -> Json:
    why = {} if holds else {name: text for name, text in (("reason", reason), ("message", message)) if text}
    return {"type": kind, "status": "True" if holds else "False", **why}


def _dated(conditions: list[Json], before: list[Json], now: float) -> list[Json]:
    old = {one["type"]: one for one in before}
    return [
        # a strategic merge keeps what is not named: a reason that no longer holds has to be taken back
        {"reason": None, "message": None} | one | {"lastProbeTime": None, "lastTransitionTime": _since(one, old.get(one["type"]), now)}
        for one in conditions
    ]


def _since(condition: Json, before: Json | None, now: float) -> str:
    if before and before["status"] == condition["status"] and before.get("lastTransitionTime"):
        return str(before["lastTransitionTime"])
    return stamp(now)


def _word(condition: Json) -> tuple[Any, ...]:
    return condition.get("status"), condition.get("reason") or None, condition.get("message") or None


def _container(pod: Json, spec: Json, state: PodState) -> Json:
    container = state.containers[spec["name"]]
    shown: Json = {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": f"lab://{spec['image']}" if container.runs else "",
        "restartCount": container.restarts,
        "started": container.started and isinstance(container.state, Running),
        "ready": _is_ready(pod, spec, container),
        "state": _state(container.state),
        "lastState": _state(container.last) if container.last else {},
    }
    identity = getattr(container.state, "id", "") or (container.last.id if container.last else "")
    return shown | ({"containerID": identity} if identity else {})


def _is_ready(pod: Json, spec: Json, container: Container) -> bool:
    if spec in pod["spec"].get("initContainers", []) and not pods.is_sidecar(spec):
        return container.ended is not None and container.ended.exit_code == 0
    return container.ready and isinstance(container.state, Running)


def _state(state: Waiting | Running | Terminated) -> Json:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        case Running(since):
            return {"running": {"startedAt": stamp(since)}}
        case Terminated():
            optional = {"message": state.message, "signal": state.signal, "containerID": state.id}
            return {
                "terminated": {
                    "exitCode": state.exit_code,
                    "reason": state.reason,
                    "startedAt": stamp(state.started),
                    "finishedAt": stamp(state.finished),
                    **{name: word for name, word in optional.items() if word},
                }
            }
