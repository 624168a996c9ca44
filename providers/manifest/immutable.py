"""Which fields the API server never lets change, or only one way: the update validation of k8s.io/kubernetes/pkg/apis. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.kinds import Effect
from reconciler.model.quantity import Quantity
from reconciler.model.value import Value
from reconciler.resources import marks

Meaning = tuple[Effect | Callable[[Value, Value], Effect], str]
_NEVER = "for ever; a new one of another name can have it"
_MAY_CHANGE = {
    "Deployment": frozenset(
        {"replicas", "template", "strategy", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds", "paused"}
    ),
    "StatefulSet": frozenset(
        {
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
            "revisionHistoryLimit",
        }
    ),
    "PersistentVolumeClaim": frozenset({"volumeAttributesClassName"}),
    "PersistentVolume": frozenset(
        {
            "accessModes",
            "capacity",
            "claimRef",
            "mountOptions",
            "persistentVolumeReclaimPolicy",
            "storageClassName",
            "volumeAttributesClassName",
        }
    ),
}
_REPLACED = {
    "StorageClass": frozenset({"parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"}),
    "Secret": frozenset({"type"}),
    "ClusterRoleBinding": frozenset({"roleRef"}),
    "RoleBinding": frozenset({"roleRef"}),
}
_SEALED = frozenset({"data", "binaryData", "stringData"})
_PRIMARY = {"clusterIP": "address", "clusterIPs": "address", "ipFamilies": "IP family"}


def meaning(kind: str, path: tuple[str, ...], *, sealed: bool) -> Meaning:
    """What a difference at *path* means, and why. *sealed* is a ConfigMap or Secret that is declared immutable."""
    if len(path) > 1 and path[0] == "spec":
        return _of_spec(kind, path)
    if path[:2] == ("metadata", "annotations") and path[-1].startswith(marks.FIXED):
        option = path[-1].removeprefix(marks.FIXED)
        field = option if option == marks.TYPE else f"options.{option}"
        return _unset, f"a service keeps the {option} that it was begun with; put {field} back, or make another service"
    if path[:2] == ("metadata", "annotations") and path[-1].startswith(marks.BEGUN):
        option = path[-1].removeprefix(marks.BEGUN)
        why = f"a service has {option} from its beginning, or never; put options.{option} back, or make another service"
        return "refuse", why
    if path[-1:] == (marks.ROTATION,):
        return _next, "secrets are rotated one generation at a time, and never back"
    if kind in {"ConfigMap", "Secret"} and path[:1] == ("immutable",):
        return _replaced_once_set, ""
    gone = path[:1] and (path[0] in _REPLACED.get(kind, frozenset()) or (sealed and path[0] in _SEALED))
    return ("replace" if gone else "update"), ""


def unless_it_stays(effect: Effect | Callable[[Value, Value], Effect]) -> Callable[[Value, Value], Effect]:
    """*effect*, but a refusal of what is told to change into itself: it is in the way of another field."""

    def found(before: Value, after: Value) -> Effect:
        if before is not None and before == after:
            return "refuse"
        return effect if isinstance(effect, str) else effect(before, after)

    return found


def _of_spec(kind: str, path: tuple[str, ...]) -> Meaning:
    if kind == "PersistentVolumeClaim" and path[1:] == ("resources", "requests", "storage"):
        return _growth, "a claim cannot shrink"
    if (kind, path[1:]) in {("PersistentVolumeClaim", ("volumeName",)), ("PersistentVolume", ("nodeAffinity",))}:
        return _unset, f"a {'claim keeps its volume' if path[1] == 'volumeName' else f'{kind} keeps its {path[1]}'} {_NEVER}"
    if kind in _MAY_CHANGE and path[1] not in _MAY_CHANGE[kind]:
        return "refuse", f"a {kind} keeps its {path[1]} {_NEVER}"
    if kind == "Service" and path[1] in _PRIMARY:
        return _replaced_where_the_first_differs, ""
    if kind == "Service" and path[1] in {"healthCheckNodePort", "loadBalancerClass"}:
        return _replaced_once_set, ""
    return "update", ""


def _growth(before: Value, after: Value) -> Effect:
    if before is None:
        return "update"
    grows = isinstance(before, str | int) and isinstance(after, str | int) and Quantity.parse(str(after)) > Quantity.parse(str(before))
    return "update" if grows else "refuse"


def _unset(before: Value, _after: Value) -> Effect:
    return "refuse" if before else "update"


def _next(before: Value, after: Value) -> Effect:
    """A generation is followed by the next one alone: only its secrets and the former ones are known to members that restart."""
    return "update" if _number(after) == _number(before) + 1 else "refuse"


def _number(text: Value) -> int:
    return int(text) if isinstance(text, str) and text.isdecimal() else 0


def _replaced_once_set(before: Value, _after: Value) -> Effect:
    return "replace" if before else "update"


def _replaced_where_the_first_differs(before: Value, after: Value) -> Effect:
    return "replace" if before and _first(before) != _first(after) else "update"


def _first(value: Value) -> Value:
    return value[0] if isinstance(value, Sequence) and not isinstance(value, str) and value else value
