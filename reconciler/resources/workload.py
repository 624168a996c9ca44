"""What services of all types share: members with volumes, names and addresses, and the StatefulSet that runs them. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.kinds import MemberPlan
from reconciler.model.address import ResourceId
from reconciler.model.document import SecretRef
from reconciler.model.environment import Environment
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import account, kubernetes, marks, member, shared, storage
from reconciler.resources.overlay import overlay

SET = "reconciler/set"  # a label: which of a service's StatefulSets a Pod is of
CHECKSUM = "reconciler/checksum"
RESTARTED = "reconciler/restarted-at"
CONFIG_PATH = "/etc/service"
SECRETS_PATH = "/etc/service-secrets"  # each in a file of its own
OWN_PATH = "/run/service"  # in memory: what a Pod makes of its secrets for itself
_SECRET_MODE = 0o440  # with fsGroup also readable for whoever the image runs as
_HISTORY = 10  # revisions kept: the server's default, said because it cannot change, so that an imported set is declared as it is read
_MOVED_AFTER = 30  # seconds that a Pod stays on a node that is gone, in place of Kubernetes' 300


@dataclass(frozen=True, slots=True)
class Program:
    """What a type says of its Pods.

    *container* is the main one: name, image, command, ports and probes. *mounts* say where a volume lies in it. *files* are
    mounted at CONFIG_PATH, *secrets* at SECRETS_PATH. A change of *signature* restarts the Pods, so it must not depend on how many
    members there are unless each of them has to know. *spare* is how many members may be away at once with nobody noticing. *group*
    owns the files of the volumes.
    """

    container: Mapping[str, Any]
    mounts: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    signature: Any = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    preparing: tuple[Mapping[str, Any], ...] = ()  # init containers that run once the member is in its place
    secrets: Mapping[str, SecretRef] = field(default_factory=dict)  # by the name of their file at SECRETS_PATH
    former: Mapping[str, SecretRef] = field(default_factory=dict)  # the same of those that may be gone: of the generation before
    grace: int = 30
    spare: int = 1
    group: int | None = None  # of an image that runs as somebody else than root; None where its entrypoint sees to it
    fixed: Mapping[str, str] = field(default_factory=dict)  # options that are for ever: a plan refuses to change them
    begun: Mapping[str, str] = field(default_factory=dict)  # the same of options that are named only where they are on
    labels: Mapping[str, str] = field(default_factory=dict)  # of the Pods, beside ours
    security: Mapping[str, Any] = field(default_factory=dict)  # the Pods' securityContext: whom an image runs as that must not be root
    rules: tuple[Mapping[str, Any], ...] = ()  # what the Pods may do at the API server; without any they have no token


def resources(
    service: Service, environment: Environment, program: Program, plan: tuple[MemberPlan, ...] | None = None
) -> tuple[Resource, ...]:
    """Everything that a service of one StatefulSet declares; *plan* where its type has members of its own."""
    return tuple(_resources(service, environment, program, plan or member.members(service, environment)))


def _resources(service: Service, environment: Environment, program: Program, plan: tuple[MemberPlan, ...]) -> Iterator[Resource]:
    namespace = shared.namespace_needs(environment, service.namespace)
    disks = tuple(storage.disks(service, environment, plan, namespace))
    yield from disks
    places = tuple(member.places(service, environment, plan))
    yield from places
    before = [_headless(service, environment, program, namespace), *_config(service, environment, program, namespace)]
    before += account.resources(service, environment, program.rules, namespace)
    if member.has_interface(service):
        before.append(member.facts(service, environment, plan, namespace))
    named = {place.id for place in places if place.owner == "engine"}  # a member with an interface binds to its name
    yield from before
    yield _budget(service, environment, program, namespace)
    claims = (disk.id for disk in disks if disk.id.name.startswith("PersistentVolumeClaim/"))
    yield _stateful_set(service, environment, program, plan, frozenset({*claims, *named, *(one.id for one in before), *namespace}))


def selector(service: Service, environment: Environment) -> dict[str, str]:
    """The labels that a member's Pod has for ever: a StatefulSet's selector cannot change."""
    return {marks.ENVIRONMENT: environment.name, marks.SERVICE: service.name, SET: service.name}


def readiness(script: str, period: int = 5, using: str = "bash") -> dict[str, Any]:
    """A probe that asks the application itself, in a shell of its image."""
    return {"exec": {"command": [using, "-c", script]}, "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": 3}


def main_container(service: Service, environment: Environment, program: Program) -> dict[str, Any]:
    """The type's container with what all have: resources, names, volumes and files."""
    mounts: list[dict[str, Any]] = [{"name": name, "mountPath": path} for name, path in program.mounts.items()]
    if program.files:
        mounts.append({"name": "config", "mountPath": CONFIG_PATH, "readOnly": True})
    if program.secrets:
        mounts += _secret_mounts()
    # A member with an address of its own binds to that only, so several may share a node; declared ports would keep them apart.
    ports = [] if member.has_interface(service) else [{"name": name, "containerPort": port} for name, port in program.ports.items()]
    own = {
        "env": [*member.environment_variables(environment), *program.container.get("env", ())],
        "resources": service.resources.manifest(),
        "ports": ports,
        "volumeMounts": mounts,
    }
    told = {"terminationMessagePolicy": "FallbackToLogsOnError"}  # so that `status` can say why a container ended
    return {**program.container, **told, **{name: value for name, value in own.items() if value}}


def _pod_template(service: Service, environment: Environment, program: Program) -> dict[str, Any]:
    notes = {CHECKSUM: checksum(program.signature), RESTARTED: service.restarted_at}
    rendered = {
        "metadata": {
            "annotations": {name: text for name, text in notes.items() if text},
            **({"labels": dict(program.labels)} if program.labels else {}),
        },
        "spec": _pod(service, environment, program),
    }
    template = overlay(rendered, service.pod_template)
    labels = {**template["metadata"].get("labels", {}), **marks.labels(environment.name, service.name), SET: service.name}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def _pod(service: Service, environment: Environment, program: Program) -> dict[str, Any]:
    volumes = [{"name": "config", "configMap": {"name": config_name(service)}}] if program.files else []
    if program.secrets:
        volumes += [_secrets(program), {"name": "own", "emptyDir": {"medium": "Memory"}}]
    network: dict[str, Any] = {}
    if member.has_interface(service):
        volumes.append({"name": "member", "configMap": {"name": member.facts_name(service)}})
        network = {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    apart = {"labelSelector": {"matchLabels": selector(service, environment)}, "topologyKey": "kubernetes.io/hostname"}
    return {
        **network,
        "initContainers": [member.gate(service, environment), *program.preparing],
        "containers": [main_container(service, environment, program)],
        **({"volumes": volumes} if volumes else {}),
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": apart}]}},
        "tolerations": [
            {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _MOVED_AFTER}
            for state in ("not-ready", "unreachable")
        ],
        "terminationGracePeriodSeconds": program.grace,
        **account.used(service, program.rules),
        **({"securityContext": security} if (security := _security(program)) else {}),
        "enableServiceLinks": False,  # their REDIS_PORT=tcp://… is read by many an image as its own setting
    }


def _secrets(program: Program) -> dict[str, Any]:
    """One volume of all secrets. A Pod waits for those that are not made yet, and not for those of the generation before."""
    sources = [{"secret": _source(file, ref)} for file, ref in program.secrets.items()]
    sources += [{"secret": {**_source(file, ref), "optional": True}} for file, ref in program.former.items()]
    return {"name": "secrets", "projected": {"sources": sources, "defaultMode": _SECRET_MODE}}


def _source(file: str, ref: SecretRef) -> dict[str, Any]:
    return {"name": ref.name, "items": [{"key": ref.key or file, "path": file}]}


def _secret_mounts() -> list[dict[str, Any]]:
    return [{"name": "secrets", "mountPath": SECRETS_PATH, "readOnly": True}, {"name": "own", "mountPath": OWN_PATH}]


def own_files(name: str, image: str, script: str, environment: Environment | None = None) -> dict[str, Any]:
    """An init container that writes below OWN_PATH what its Pod makes of its secrets; in an *environment*, also of its member's files."""
    told = {"env": member.environment_variables(environment)} if environment else {}
    config = [{"name": "config", "mountPath": CONFIG_PATH, "readOnly": True}] if environment else []
    return {
        "name": name,
        "image": image,
        "command": ["bash", "-ec", script],
        **told,
        "volumeMounts": [*_secret_mounts(), *config],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _security(program: Program) -> dict[str, Any]:
    """A file system is given to its group once, not searched through at each start."""
    owned = {"fsGroup": program.group, "fsGroupChangePolicy": "OnRootMismatch"} if program.group else {}
    return {**owned, **program.security}


def _stateful_set(
    service: Service, environment: Environment, program: Program, plan: tuple[MemberPlan, ...], needs: frozenset[ResourceId]
) -> Resource:
    spec = {
        "serviceName": service.name,
        "replicas": 0 if service.stopped else len(plan),
        "selector": {"matchLabels": selector(service, environment)},
        # Parallel, so that one zone without nodes holds nobody else up. OnDelete: `members.rollout` restarts, in the type's order.
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "OnDelete"},
        "revisionHistoryLimit": _HISTORY,
        "template": _pod_template(service, environment, program),
    }
    if service.volumes:
        spec["volumeClaimTemplates"] = storage.claim_templates(service, environment)
    metadata = _metadata(service, service.name)
    fixed = {marks.TYPE: service.type, **program.fixed}  # another program would find files that are not its own
    kept = {f"{marks.FIXED}{name}": value for name, value in fixed.items()} | _begun(program)
    metadata["annotations"] = {**kept, marks.VERSION: service.version}
    if service.rotation:
        metadata["annotations"] = {**metadata["annotations"], marks.ROTATION: str(service.rotation)}
    manifest = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}
    return kubernetes.claimed(environment, service.name, manifest, needs=needs, origin=service.origin)


def _headless(service: Service, environment: Environment, program: Program, needs: frozenset[ResourceId]) -> Resource:
    """Names for Pods inside the cluster, also of those that are not ready: members find each other before they are."""
    ports = [{"name": name, "port": port, "targetPort": port} for name, port in program.ports.items()]
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": selector(service, environment),
        **({"ports": ports} if ports else {}),
    }
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(service, service.name), "spec": spec}
    return kubernetes.claimed(environment, service.name, manifest, needs=needs, origin=service.origin)


def _config(service: Service, environment: Environment, program: Program, needs: frozenset[ResourceId]) -> Iterator[Resource]:
    if program.files:
        metadata = _metadata(service, config_name(service))
        if program.begun:  # what is refused must not come by the files, which the next Pod reads
            metadata["annotations"] = _begun(program)
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": dict(program.files),
        }
        yield kubernetes.claimed(environment, service.name, manifest, needs=needs, origin=service.locate("spec.options"))


def _begun(program: Program) -> dict[str, str]:
    return {f"{marks.BEGUN}{name}": value for name, value in program.begun.items()}


def _budget(service: Service, environment: Environment, program: Program, needs: frozenset[ResourceId]) -> Resource:
    """How many members a drain of nodes may take at once; a Pod that does not work anyway may always go.

    One may always: where none is spare, as in a service of one, a drain interrupts it, and forbidding that would keep its node for ever.
    """
    spec = {
        "maxUnavailable": max(1, program.spare),
        "selector": {"matchLabels": selector(service, environment)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    manifest = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _metadata(service, service.name), "spec": spec}
    return kubernetes.claimed(environment, service.name, manifest, needs=needs, origin=service.origin)


def _metadata(service: Service, name: str) -> dict[str, Any]:
    return {"namespace": service.namespace, "name": name}


def config_name(service: Service) -> str:
    return f"{service.name}-config"


def checksum(signature: Any) -> str:
    """Short, and stable between runs and versions of Python; "" of nothing."""
    if not signature:
        return ""
    return hashlib.sha256(json.dumps(signature, sort_keys=True).encode()).hexdigest()[:16]
