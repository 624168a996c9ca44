"""What the agent knows of a Pod beyond its spec: frozen values that `pods` decides from and `status` reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.agent import clock

Json = dict[str, Any]

FIRST_BACK_OFF, LONGEST_BACK_OFF, STEADY = 1.0, 30.0, 60.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running; *reason* in the words of a kubelet."""

    reason: str = "PodInitializing"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """Running since then, under that id."""

    since: float
    id: str = ""


@dataclass(frozen=True, slots=True)
class Terminated:
    """How and when it ended."""

    exit_code: int
    reason: str
    started: float
    finished: float
    message: str = ""
    signal: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a Pod. *restarts* counts the starts after the first; not before *due* may it start again."""

    state: Waiting | Running | Terminated = field(default_factory=Waiting)
    last: Terminated | None = None
    restarts: int = 0
    runs: int = 0
    started: bool = False
    ready: bool = False
    back_off: float = 0.0
    due: float = 0.0

    @property
    def ended(self) -> Terminated | None:
        """How its latest run ended, also while it waits for the next; None while it runs or before it ever ran."""
        match self.state:
            case Terminated():
                return self.state
            case Waiting():
                return self.last
            case Running():
                return None

    def start(self, now: float, identity: str) -> Container:
        """It runs."""
        last = self.state if isinstance(self.state, Terminated) else self.last
        return replace(self, state=Running(now, identity), last=last, runs=self.runs + 1, restarts=self.runs, started=False, ready=False)

    def end(self, how: Terminated) -> Container:
        """It has ended; the time to the next start doubles unless it had run steadily."""
        steady = how.finished - how.started > STEADY
        wait = FIRST_BACK_OFF if steady or not self.back_off else min(self.back_off * 2, LONGEST_BACK_OFF)
        return replace(self, state=how, started=False, ready=False, back_off=wait, due=how.finished + wait)

    def refuse(self, reason: str, message: str, now: float) -> Container:
        """It can't be started as things are (an image, a Secret that is not there): try again a little later."""
        last = self.state if isinstance(self.state, Terminated) else self.last
        wait = min(max(self.back_off * 2, FIRST_BACK_OFF), 4.0)
        return replace(self, state=Waiting(reason, message), last=last, back_off=wait, due=now + wait)

    def probed(self, kind: str, *, holds: bool, gated: bool) -> Container:
        """A probe has made up its mind; *gated*: readiness is another probe's word, not the startup probe's."""
        if kind == "readinessProbe":
            return replace(self, ready=holds)
        if kind == "startupProbe" and holds:
            return replace(self, started=True, ready=not gated)
        return self

    def wait(self, name: str) -> Container:
        """It has ended and is to be started again when it is due."""
        if not isinstance(self.state, Terminated):
            return self
        message = f"back-off {self.back_off:.0f}s restarting failed container={name}"
        return replace(self, state=Waiting("CrashLoopBackOff", message), last=self.state)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the agent itself ends a Pod."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PodState:
    """A Pod on its node. *prepared*: it has its network and its volumes; *failure*: it is being ended whatever its containers say."""

    containers: Mapping[str, Container]
    seen: float
    prepared: bool = False
    address: str = ""
    failure: Failure | None = None
    blocked: str = ""
    message: str = ""

    def put(self, name: str, container: Container) -> PodState:
        """The state with *container* in the place of the one called *name*."""
        return replace(self, containers={**self.containers, name: container})


def names(pod: Json) -> list[str]:
    """Every container of the Pod, in the order of the spec, the init containers first."""
    return [spec["name"] for spec in specs(pod)]


def specs(pod: Json) -> list[Json]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def spec_of(pod: Json, name: str) -> Json:
    return next(spec for spec in specs(pod) if spec["name"] == name)


def fresh(pod: Json, now: float) -> PodState:
    """A Pod that is seen for the first time."""
    first = "PodInitializing" if pod["spec"].get("initContainers") else "ContainerCreating"
    return PodState({name: Container(Waiting(first)) for name in names(pod)}, now)


def resume(pod: Json, now: float) -> PodState:
    """A Pod that an agent before this one, or the node before its death, has left: what ran is lost, what ended stays so.

    With it went the Pod's network: init containers, which may have set that up, run again wherever anything may.
    """
    status = pod.get("status", {})
    known = {one["name"]: one for one in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]}
    state = fresh(pod, now)
    again = {one["name"] for one in pod["spec"].get("initContainers", []) if pod["spec"].get("restartPolicy", "Always") != "Never"}
    for name, container in state.containers.items():
        if name in known:
            resumed = _resumed(container, known[name], now)
            state = state.put(name, replace(resumed, state=Waiting(), last=None) if name in again else resumed)
    if status.get("phase") == "Failed" and status.get("reason"):
        return replace(state, failure=Failure(status["reason"], status.get("message", "")))
    return state


def _resumed(container: Container, known: Json, now: float) -> Container:
    runs = known["restartCount"] + (1 if known.get("containerID") or "running" in known["state"] else 0)
    container = replace(container, runs=runs, restarts=known["restartCount"])
    for kind in ("state", "lastState"):
        if (ended := known.get(kind, {}).get("terminated")) is not None:
            return replace(container, state=_terminated(ended))
    if "running" in known["state"]:
        since = clock.parse(known["state"]["running"]["startedAt"])
        return replace(
            container, state=Terminated(137, "ContainerStatusUnknown", since, now, "its node or the node's agent has started anew")
        )
    return container


def _terminated(ended: Json) -> Terminated:
    started, finished = (clock.parse(ended[name]) for name in ("startedAt", "finishedAt"))
    return Terminated(
        ended["exitCode"],
        ended["reason"],
        started,
        finished,
        ended.get("message", ""),
        ended.get("signal", 0),
        ended.get("containerID", ""),
    )
