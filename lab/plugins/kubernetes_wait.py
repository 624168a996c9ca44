"""Part of the stand-in `kubernetes` plugin: waiting until an object is ready, or gone, told in the real one's words (pkg/await)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lab.plugins import kubernetes_objects as objects
from lab.plugins.kubernetes_client import Client, Object, Place
from lab.plugins.patience import Cancelled, OutOfTime, Patience

DEFAULT_SECONDS: Final = {"Pod": 300.0, "StatefulSet": 600.0, "Deployment": 600.0, "Job": 300.0}
# Kinds whose deletion is not awaited either when `pulumi.com/skipAwait` is set (allowsSkipAwaitWithDelete).
UNWATCHED: Final = frozenset({"Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an object is: *ready*, or what is missing (*problems*) and how that is said on the way (*status*)."""

    ready: bool
    status: str = ""
    problems: tuple[str, ...] = ()


class NotReady(Exception):
    """The object is there and did not become ready; *live* is how it was last seen."""

    def __init__(self, live: Object, message: str, problems: tuple[str, ...]) -> None:
        super().__init__(message)
        self.live = live
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Watcher:
    """Waits for objects of one API server and says so to the engine."""

    client: Client
    patience: Patience
    say: Callable[[str], None]

    def ready(self, place: Place, live: Object, seconds: float) -> Object:
        """The object once it is ready; kinds without a notion of that are at once."""
        judge = _JUDGES.get(str(live.get("kind")))
        if judge is None:
            return live
        namespace, name = objects.named(live)
        seen, last = live, Progress(ready=False)

        def probe() -> Object | None:
            nonlocal seen, last
            seen, before = self.client.get(place, namespace, name) or seen, last
            last = judge(seen)
            if last.status and last.status != before.status:
                self.say(last.status)
            return seen if last.ready else None

        limit = float(objects.annotation(live, objects.TIMEOUT) or seconds or DEFAULT_SECONDS[str(live["kind"])])
        try:
            return self.patience.until(probe, limit, name)
        except OutOfTime as error:
            raise NotReady(seen, f"'{name}' timed out waiting to be Ready", last.problems) from error
        except Cancelled as error:
            raise NotReady(seen, f'Resource operation was cancelled for "{name}"', last.problems) from error

    def gone(self, place: Place, live: Object, seconds: float) -> None:
        """Return once the object is gone, or another of its name is there."""
        namespace, name = objects.named(live)
        seen = live

        def probe() -> bool | None:
            nonlocal seen
            now = self.client.get(place, namespace, name)
            seen = now or seen
            return True if now is None or _uid(now) != _uid(live) else None

        try:
            self.patience.until(probe, seconds or 300.0, name)
        except OutOfTime as error:
            kind = f"{live.get('apiVersion')}/{live.get('kind')}"
            raise NotReady(
                seen, f"'{name}' timed out waiting to be Ready", (f'Timed out waiting for deletion of {kind} "{name}"',)
            ) from error


def _uid(live: Object) -> Any:
    return live["metadata"].get("uid")


def _stateful_set(live: Object) -> Progress:
    spec, status = live.get("spec") or {}, live.get("status") or {}
    wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    by_hand = (spec.get("updateStrategy") or {}).get("type") == "OnDelete" and live["metadata"].get("generation", 1) > 1
    counted = wanted == status.get("replicas", 0) == ready and (by_hand or wanted == status.get("currentReplicas", 0))
    before, after = status.get("currentRevision", ""), status.get("updateRevision", "")
    advanced = by_hand or bool(before and before == after)
    current = ready if advanced else min(ready, status.get("updatedReplicas", 0))
    problems = [] if counted else [f"{current} out of {wanted} replicas succeeded readiness checks"]
    if not advanced:
        problems.append(f'StatefulSet controller failed to advance from revision "{before}" to revision "{after}"')
    if not problems and _observed(live):
        return Progress(ready=True, status="StatefulSet initialization complete")
    if live["metadata"].get("generation", 1) <= 1:
        return Progress(
            ready=False, status=f"[1/2] Waiting for StatefulSet to create Pods ({current}/{wanted} Pods ready)", problems=tuple(problems)
        )
    step = f"[1/3] Waiting for StatefulSet update to roll out ({current}/{wanted} Pods ready)"
    return Progress(
        ready=False,
        status=step if not counted else "[2/3] Waiting for StatefulSet to update .status.currentRevision",
        problems=tuple(problems),
    )


def _deployment(live: Object) -> Progress:
    spec, status = live.get("spec") or {}, live.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    available = (conditions.get("Available") or {}).get("status") == "True"
    rolled = status.get("updatedReplicas", 0) == spec.get("replicas", 1) == status.get("availableReplicas", 0)
    if _observed(live) and rolled and (available or spec.get("replicas") == 0):
        return Progress(ready=True, status="Deployment initialization complete")
    failed = [f"[{one.get('reason')}] {one.get('message')}" for one in conditions.values() if one.get("status") == "False"]
    counted = f"({status.get('availableReplicas', 0)}/{spec.get('replicas', 1)} Pods available)"
    return Progress(
        ready=False,
        status=f"[1/2] Waiting for app ReplicaSet to be available {counted}",
        problems=(*failed, "Minimum number of live Pods was not attained"),
    )


def _pod(live: Object) -> Progress:
    status = live.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    if (conditions.get("Ready") or {}).get("status") == "True" or status.get("phase") == "Succeeded":
        return Progress(ready=True, status="Pod is ready")
    missing = [f"[{one.get('reason')}] {one.get('message')}" for one in conditions.values() if one.get("status") == "False"]
    return Progress(ready=False, status="Waiting for Pod to be ready", problems=tuple(missing))


def _job(live: Object) -> Progress:
    conditions = {one["type"]: one for one in (live.get("status") or {}).get("conditions") or () if one.get("status") == "True"}
    if "Complete" in conditions:
        return Progress(ready=True, status="Job ready")
    if (failed := conditions.get("Failed")) is not None:
        raise NotReady(live, f"Resource '{objects.named(live)[1]}' was created but failed to initialize", (str(failed.get("message")),))
    return Progress(ready=False, status="Waiting for Job to complete", problems=("Job has not completed",))


def _observed(live: Object) -> bool:
    return bool((live.get("status") or {}).get("observedGeneration", 0) >= live["metadata"].get("generation", 0))


_JUDGES: Final = {"Pod": _pod, "StatefulSet": _stateful_set, "Deployment": _deployment, "Job": _job}
