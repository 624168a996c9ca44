"""The Kubernetes side: an object is its manifest, marked; its address names kind, namespace and name."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from reconciler.fields import managed
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.environment import Environment
from reconciler.model.origin import Origin
from reconciler.model.resource import Removal, Resource
from reconciler.ports import ObjectKind
from reconciler.resources import marks

KINDS: dict[str, ObjectKind] = {
    kind.kind: kind
    for kind in (
        ObjectKind("v1", "Namespace", "namespaces", namespaced=False),
        ObjectKind("v1", "Service", "services"),
        ObjectKind("v1", "ConfigMap", "configmaps"),
        ObjectKind("v1", "Secret", "secrets"),
        ObjectKind("v1", "ServiceAccount", "serviceaccounts"),
        ObjectKind("v1", "PersistentVolume", "persistentvolumes", namespaced=False),
        ObjectKind("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
        ObjectKind("apps/v1", "Deployment", "deployments"),
        ObjectKind("apps/v1", "StatefulSet", "statefulsets"),
        ObjectKind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
        ObjectKind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
        ObjectKind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False),
        ObjectKind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
        ObjectKind("rbac.authorization.k8s.io/v1", "Role", "roles"),
        ObjectKind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
        ObjectKind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False),
    )
}
_INSTALLED = ("Deployment", "ClusterRole", "ClusterRoleBinding")  # what only the reconciler itself is made of
OBSERVED = tuple(kind for kind in KINDS.values() if kind.kind not in {"Secret", *_INSTALLED})  # what stacks declare; secrets never are
INSTALLED = tuple(KINDS[kind] for kind in ("ServiceAccount", "PersistentVolumeClaim", "Service", *_INSTALLED))
SKIP_AWAIT = "pulumi.com/skipAwait"  # readiness is judged by `members`; the engine would wait for Pods that wait for us
DELETION = "pulumi.com/deletionPropagationPolicy"  # the default, foreground, keeps the name of what is replaced for a while
MANAGER = "pulumi.com/patchFieldManager"  # one an object, the same after an import: fields it dropped are still its own to remove
NODE = ObjectKind("v1", "Node", "nodes", namespaced=False)
REVISION = ObjectKind("apps/v1", "ControllerRevision", "controllerrevisions")
POD = ObjectKind("v1", "Pod", "pods")
JOB = ObjectKind("batch/v1", "Job", "jobs")
LEASE = ObjectKind("coordination.k8s.io/v1", "Lease", "leases")
ATTACHMENT = ObjectKind("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", namespaced=False)


def object_id(environment: str, stack: str, kind: str, namespace: str, name: str) -> ResourceId:
    """The id of an object; cluster-wide ones have the namespace `-`."""
    return ResourceId("kubernetes", environment, stack, f"{kind}/{namespace or '-'}/{name}")


def claimed(
    environment: Environment,
    stack: str,
    manifest: Mapping[str, Any],
    *,
    needs: Iterable[ResourceId] = (),
    removal: Removal = "delete",
    origin: Origin | None = None,
) -> Resource:
    """*manifest* as a resource, with our labels and annotations laid over it."""
    kind, metadata = manifest["kind"], dict(manifest["metadata"])
    id = object_id(environment.name, stack, kind, metadata.get("namespace", ""), metadata["name"])
    metadata["labels"] = {**metadata.get("labels", {}), **marks.labels(environment.name, stack)}
    manager = f"{managed.ENGINE}{hashlib.sha256(str(id).encode()).hexdigest()[:8]}"
    own = {marks.ADDRESS: str(id), SKIP_AWAIT: "true", DELETION: "background", MANAGER: manager}
    metadata["annotations"] = {**metadata.get("annotations", {}), **own}
    fields = {**_encoded(manifest), "metadata": metadata}
    return Resource(id, fields, stack, needs=frozenset(needs), removal=removal, origin=origin or environment.origin)


def _encoded(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Secret's texts as data: the API would never give back what it made of `stringData`, nor take away what left it."""
    texts = manifest.get("stringData") if manifest["kind"] == "Secret" else None
    if not texts:
        return manifest
    known = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items() if isinstance(text, str)}
    rest = {name: text for name, text in texts.items() if name not in known}
    bare = {name: value for name, value in manifest.items() if name != "stringData"}
    return {**bare, "data": {**(manifest.get("data") or {}), **known}, **({"stringData": rest} if rest else {})}


def storage_class(environment: Environment) -> Resource:
    """The environment's own class: claims wait for their Pod, volumes can grow, nothing is provisioned or deleted by it."""
    manifest = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": class_name(environment)},
        "provisioner": "ebs.csi.aws.com",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Retain",
        "allowVolumeExpansion": True,
    }
    return claimed(environment, SHARED, manifest)


def class_name(environment: Environment) -> str:
    return f"reconciler-{environment.name}"


def namespace(environment: Environment, name: str) -> Resource:
    """A namespace that the environment's services use; kept when nobody declares it any more, and `default` never declared."""
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return replace(claimed(environment, SHARED, manifest, removal="retain"), shared=True)
