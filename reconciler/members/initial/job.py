"""A look or a step as a Kubernetes Job: its manifest, and what is read back of it. Pure.

Names are made of the *situation* (what is asked of whom) and the *turn*: two reconcilers that decide alike make one Job.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from reconciler.members.live import Set
from reconciler.model.environment import Environment
from reconciler.model.initialise import Said, Script
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.ports import Payload
from reconciler.resources import marks

INIT = "reconciler/initialise"  # labels of a Job and its Pod, with the situation: what it is for
LEAD = "reconciler/leader"
ROTATE = "reconciler/rotate"
DRAIN = "reconciler/drain"
TURN = "reconciler/turn"
DOES = "reconciler/does"
State: TypeAlias = Literal["running", "done", "failed"]
_DIGITS = 10  # of a situation: a service has a handful of them in its life
_NAME = 40  # characters of a service's name in the names of its Jobs
_SAY = "say() { printf '%s' \"$1\" > /dev/termination-log; }\n"
_SHORT = {INIT: "init", LEAD: "lead", ROTATE: "keys", DRAIN: "drain"}  # in the names of Jobs
_OF_A_POD = ("fieldRef", "resourceFieldRef")


@dataclass(frozen=True, slots=True)
class Turn:
    """A Job as it is. *said* is the answer of one that is done, *message* its last words, *ended* is in seconds since the epoch."""

    name: str
    namespace: str
    service: str
    situation: str
    number: int
    does: str
    state: State
    said: Said | None = None
    message: str = ""
    ended: float = 0.0


def situation(service: Service, look: Script, sets: Iterable[Set], whose: Iterable[str]) -> str:
    """What an answer is good for: it must be asked anew when other members (or Pods), another revision or another question come."""
    known = [[one.uid, one.revision] for one in sets]
    text = json.dumps([service.name, look.text, sorted(known), sorted(whose)])
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Job belongs: what it is *label*led as, its situation, its turn, and the StatefulSet that takes it along when it goes."""

    label: str
    situation: str
    number: int
    owner: Set


def manifest(service: Service, environment: Environment, script: Script, place: Place, of: Resource) -> Payload:
    """The Job of *script*, made like the Pods of the declared StatefulSet *of*."""
    labels = {**marks.labels(environment.name, service.name), place.label: place.situation}
    owner, number = place.owner, place.number
    metadata = {
        "name": f"{service.name[:_NAME]}-{_SHORT[place.label]}-{place.situation}-{number}",
        "namespace": owner.namespace,
        "labels": {**labels, TURN: str(number)},
        "annotations": {DOES: script.does},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": owner.name, "uid": owner.uid}],
    }
    declared: Any = of.fields["spec"]
    template = {"metadata": {"labels": labels}, "spec": _pod(script, declared["template"]["spec"])}
    spec = {"backoffLimit": 0, "activeDeadlineSeconds": script.deadline, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _pod(script: Script, like: Mapping[str, Any]) -> dict[str, Any]:
    """As a member's Pod sees its configuration, where a member may run; with nothing that belongs to one member."""
    main = like["containers"][0]
    shared = [volume for volume in like.get("volumes", ()) if not volume.keys().isdisjoint(("configMap", "secret", "projected"))]
    names = {volume["name"] for volume in shared}
    kept = ("imagePullSecrets", "nodeSelector", "tolerations", "securityContext", "serviceAccountName", "priorityClassName")
    container = {
        "name": "ask",
        "image": main["image"],
        "command": ["bash", "-c", f"{_SAY}{script.text}"],
        "env": [one for one in main.get("env", ()) if not _is_of_a_pod(one)],
        "volumeMounts": [one for one in main.get("volumeMounts", ()) if one["name"] in names],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **{name: main[name] for name in ("securityContext", "imagePullPolicy") if name in main},
    }
    return {
        **{name: like[name] for name in kept if name in like},
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container],
        "volumes": shared,
    }


def _is_of_a_pod(variable: Mapping[str, Any]) -> bool:
    source = variable.get("valueFrom") or {}
    return any(name in source for name in _OF_A_POD) or "$(" in variable.get("value", "")


def turn(job: Payload, pod: Payload | None, label: str) -> Turn:
    """What *job* and its Pod tell."""
    metadata, labels = job["metadata"], job["metadata"]["labels"]
    conditions = {one["type"]: one for one in job.get("status", {}).get("conditions", ()) if one["status"] == "True"}
    over = conditions.get("Complete") or conditions.get("Failed")
    words = _words(pod)
    said = _parsed(words) if "Complete" in conditions else None
    return Turn(
        name=metadata["name"],
        namespace=metadata["namespace"],
        service=labels[marks.SERVICE],
        situation=labels[label],
        number=int(labels[TURN]),
        does=metadata.get("annotations", {}).get(DOES, ""),
        state="running" if over is None else "done" if "Complete" in conditions else "failed",
        said=said,
        message=words or (over or {}).get("message", ""),
        ended=datetime.fromisoformat(over["lastTransitionTime"]).timestamp() if over else 0.0,
    )


def _words(pod: Payload | None) -> str:
    statuses = (pod or {}).get("status", {}).get("containerStatuses", ())
    ends = [one.get("state", {}).get("terminated") or {} for one in statuses]
    return str(ends[0].get("message", "")).strip() if ends else ""


def _parsed(words: str) -> Said | None:
    try:
        said = json.loads(words)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def stateful_set(service: Service, resources: Iterable[Resource]) -> Resource | None:
    """The declared StatefulSet that the Jobs of *service* are made like: its first."""
    mine = (one for one in resources if one.stack == service.name and one.id.name.startswith("StatefulSet/"))
    return min(mine, key=lambda one: one.id, default=None)
