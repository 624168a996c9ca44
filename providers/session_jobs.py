"""Sessions as Kubernetes Jobs. The whole input of a session travels in its Job: one object, made at once, gone with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from providers.session_mounts import secrets
from providers.session_pod import LABELS, SESSION_LABEL, manifest
from reconciler.components.ports import Phase, Sight
from reconciler.errors import ProviderError
from reconciler.model.environment import Environment
from reconciler.model.frame import parse
from reconciler.model.session import Session
from reconciler.ports import Clock, Cluster, Payload
from reconciler.resources.kubernetes import JOB, KINDS, POD

POLL = 1.0  # seconds between two readings of a running session's report
_JOB_NAME = "batch.kubernetes.io/job-name"


class JobRunner:
    """Runs the sessions of one environment as Jobs in its namespace; a Job that exists under a session's name is that session's."""

    def __init__(self, cluster: Cluster, environment: Environment, clock: Clock) -> None:
        self._cluster = cluster
        self._environment = environment
        self._clock = clock
        self._namespace = environment.kubernetes.namespace
        ours = {**LABELS, "reconciler/environment": environment.name}
        self._selector = ",".join([*(f"{name}={value}" for name, value in ours.items()), SESSION_LABEL])
        self._read: dict[str, float] = {}

    def start(self, session: Session) -> None:
        """Make the Job, unless it is there already. A Secret that it would wait for in vain is told at once."""
        for name in secrets(self._environment.sessions, session).values():
            if self._cluster.get(KINDS["Secret"], name, namespace=self._namespace) is None:
                raise ProviderError(
                    f"there is no Secret {name} in namespace {self._namespace}", hint="make it; the session starts by itself then"
                )
        self._cluster.create(JOB, manifest(session, self._environment))

    def look(self, sessions: Sequence[Session]) -> Mapping[str, Sight]:
        if not sessions:
            return {}
        jobs = self._jobs()
        pods = self._pods()
        self._read = {name: when for name, when in self._read.items() if name in jobs}
        return {one.name: self._look(one, jobs[one.name], pods.get(one.name)) if one.name in jobs else Sight("absent") for one in sessions}

    def stop(self, name: str) -> None:
        self._cluster.delete(JOB, name, namespace=self._namespace)

    def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        return tuple(sorted(name for name, job in self._jobs().items() if name not in known and _phase(job) in {"pending", "running"}))

    def log(self, session: Session) -> Iterator[str]:
        pod = self._pods().get(session.name)
        if pod is None:
            return
        for container in ("clone", "ansible"):
            if _has_run(pod, container):
                yield from self._cluster.log(self._namespace, pod["metadata"]["name"], container)

    def _jobs(self) -> dict[str, Payload]:
        return {job["metadata"]["name"]: job for job in self._cluster.list(JOB, namespace=self._namespace, selector=self._selector)}

    def _pods(self) -> dict[str, Payload]:
        """The latest Pod of each Job."""
        found = [pod for pod in self._cluster.list(POD, namespace=self._namespace, selector=self._selector) if _job(pod)]
        found.sort(key=lambda pod: (_job(pod), pod["metadata"].get("creationTimestamp", "")))
        return {name: list(pods)[-1] for name, pods in groupby(found, key=_job)}

    def _look(self, session: Session, job: Payload, pod: Payload | None) -> Sight:
        phase = _phase(job)
        over = phase in {"succeeded", "failed"}
        if pod is None:
            return Sight(phase, reason=_condition(job) if over else "its Pod is not made yet")
        if not _has_run(pod, "report"):
            return Sight("pending" if phase == "running" else phase, reason=self._why_failed(job, pod) if over else _why_waiting(pod))
        if not over and self._clock.monotonic() - self._read.get(session.name, -POLL) < POLL:
            return Sight(phase)
        self._read[session.name] = self._clock.monotonic()
        try:
            lines = list(self._cluster.log(self._namespace, pod["metadata"]["name"], "report"))
        except ProviderError as error:
            return Sight(phase, reason=_condition(job) if over else "", unread=f"its report cannot be read: {error}")
        frames = tuple(frame for line in lines if (frame := parse(line)) and frame.number > session.frames)
        return Sight(phase, frames, reason=_condition(job) if phase == "failed" else "")

    def _why_failed(self, job: Payload, pod: Payload) -> str:
        """Nothing was reported, so the cloning said why, if it came that far."""
        try:
            said = [line for line in self._cluster.log(self._namespace, pod["metadata"]["name"], "clone", tail=5) if line.strip()]
        except ProviderError:
            said = []
        return said[-1] if said else "; ".join(filter(None, [_condition(job), _why_waiting(pod)]))


def _job(pod: Payload) -> str:
    return str(pod["metadata"].get("labels", {}).get(_JOB_NAME, ""))


def _phase(job: Payload) -> Phase:
    """By the Job, never by its Pod: a Pod may be deleted or evicted, and the Job knows what that means."""
    status = job.get("status", {})
    finished = {condition["type"] for condition in status.get("conditions", ()) if condition["status"] == "True"}
    if "Complete" in finished:
        return "succeeded"
    if "Failed" in finished:
        return "failed"
    return "running" if status.get("active") else "pending"


def _condition(job: Payload) -> str:
    """Why the Job failed, in its own words."""
    failed: Payload = next((one for one in job.get("status", {}).get("conditions", ()) if one["type"] == "Failed"), {})
    return ": ".join(text for text in (failed.get("reason", ""), failed.get("message", "")) if text)


def _statuses(pod: Payload) -> dict[str, Any]:
    status = pod.get("status", {})
    return {one["name"]: one for one in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))}


def _has_run(pod: Payload, container: str) -> bool:
    """Whether there is a log of it."""
    state = _statuses(pod).get(container, {}).get("state", {})
    return "running" in state or "terminated" in state


def _why_waiting(pod: Payload) -> str:
    """What keeps a Pod from beginning: an image, a mount, a node."""
    for name, one in _statuses(pod).items():
        waiting = one.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in {None, "PodInitializing", "ContainerCreating"}:
            return f"container {name}: {waiting['reason']} {waiting.get('message', '')}".strip()
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"its Pod has no node: {condition.get('message', '')}"
    return "it fetches its layers" if _has_run(pod, "clone") else ""
