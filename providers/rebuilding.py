"""Clears the way for volumes that are made anew: what stood for the lost ones is bound to them for ever, and has to go first.

Before the engine runs, in an order in which whoever dies leaves the loss to be found: the dead volume, its claim, the Pod that used it, and
last the PersistentVolume, by which the loss is told. The claim is made again at once, since its StatefulSet would else make one that is
not ours; what the engine then misses, it makes. Finalizers are taken off: what they hold on to is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler import errors
from reconciler.diff.losses import BROKEN
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.outcome import Done, Failed
from reconciler.model.resource import Resource
from reconciler.model.value import Ref
from reconciler.ports import Clock, Cloud, Cluster, Engine, ObjectKind, Payload, Progress, StackResult, StackRun
from reconciler.resources import kubernetes

GONE_WITHIN = 30.0  # seconds that the API server has to let go of what nobody holds any more
LOOK_EVERY = 1.0
_PV, _CLAIM = kubernetes.KINDS["PersistentVolume"], kubernetes.KINDS["PersistentVolumeClaim"]
_GOING = frozenset({"deleting", "deleted"})
_TRIES = 5  # to be faster than a StatefulSet's controller
_REPLACED = ("volume/", "kubernetes/PersistentVolume/", "kubernetes/PersistentVolumeClaim/")


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """*engine*, for which what lost volumes left is out of the way; *cloud* and *cluster* have its credentials, *members* theirs."""

    engine: Engine
    cloud: Callable[[], Cloud]
    cluster: Callable[[], Cluster]
    members: Callable[[], Cluster]
    clock: Clock

    def up(self, run: StackRun, progress: Progress) -> StackResult:
        lost = _Lost.of(run)
        if lost is None:
            return self.engine.up(run, progress)
        try:
            self._clear(lost, progress)
        except errors.ProviderError as error:
            progress(run.stack, "failed", error.message)
            return StackResult({change.id: Failed(error.message, retryable=True) for change in run.changes if change.acts})
        changes = tuple(replace(change, action="keep") if change.id in lost.claims else change for change in run.changes)
        result = self.engine.up(replace(run, changes=changes), progress)
        return replace(result, outcomes={**result.outcomes, **dict.fromkeys(lost.claims, Done())})

    def forget(self, environment: str, stack: str, ids: Iterable[ResourceId]) -> None:
        self.engine.forget(environment, stack, ids)

    def _clear(self, lost: _Lost, progress: Progress) -> None:
        cluster = self.cluster()
        self._require_others(lost, cluster)
        for id, live_id in lost.broken.items():
            progress(str(id), "start", "delete")
            _delete(self.cloud(), live_id)
        live = [found for one in lost.persistent if (found := cluster.get(_PV, _name(one)))]
        for one in live:
            _require_gone(self.cloud(), one["spec"]["csi"]["volumeHandle"])
        for resource in lost.claims.values():
            progress(str(resource.id), "start", "replace")
            self._claim_anew(cluster, resource)
        for member, namespace in lost.members.items():
            self._restart(member, namespace, progress)
        for one in live:
            self._remove(cluster, _PV, one)

    @staticmethod
    def _require_others(lost: _Lost, cluster: Cluster) -> None:
        """Raise ProviderError where a member that is to give the data back does not work: it may be the only one that has all of it."""
        for name, namespace in lost.others():
            pod = cluster.get(kubernetes.POD, name, namespace=namespace) or {}
            conditions = pod.get("status", {}).get("conditions", ())
            if not any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
                told = f"{name} does not work, and {', '.join(sorted(lost.members))} may need its data: nothing was begun"
                raise errors.ProviderError(told)

    def _claim_anew(self, cluster: Cluster, resource: Resource) -> None:
        name, namespace = _name(resource.id), resource.id.name.split("/")[1]
        body: Any = resource.fields
        for _ in range(_TRIES):
            if found := cluster.get(_CLAIM, name, namespace=namespace):
                self._remove(cluster, _CLAIM, found)
            if cluster.create(_CLAIM, body) is not None:
                return
        raise errors.ProviderError(f"somebody else makes the claim {namespace}/{name} again and again")

    def _restart(self, member: str, namespace: str, progress: Progress) -> None:
        pod = self.members().get(kubernetes.POD, member, namespace=namespace)
        if pod and self.members().delete(kubernetes.POD, member, namespace=namespace, uid=pod["metadata"]["uid"]):
            progress(member, "done", "Pod is made anew: its volume is another")

    def _remove(self, cluster: Cluster, kind: ObjectKind, found: Payload) -> None:
        """Delete just what was *found*, and wait until nothing of its name and uid is left."""
        metadata = found["metadata"]
        name, namespace, uid = metadata["name"], metadata.get("namespace", ""), metadata["uid"]
        cluster.delete(kind, name, namespace=namespace, uid=uid)
        deadline = self.clock.monotonic() + GONE_WITHIN
        while (live := cluster.get(kind, name, namespace=namespace)) and live["metadata"]["uid"] == uid:
            if self.clock.monotonic() >= deadline:
                raise errors.ProviderError(f"{kind.kind} {name} is being deleted, and does not go")
            _let_go(cluster, kind, live)
            self.clock.sleep(LOOK_EVERY)


@dataclass(frozen=True, slots=True)
class _Lost:
    """What of a run is made anew: *broken* volumes with their live ids, *persistent* volumes, *claims*; *members* with their namespaces."""

    run: StackRun
    broken: Mapping[ResourceId, str]
    persistent: tuple[ResourceId, ...]
    claims: Mapping[ResourceId, Resource]
    members: Mapping[str, str]

    @classmethod
    def of(cls, run: StackRun) -> _Lost | None:
        declared = {resource.id: resource for resource in run.resources}
        doomed = [change for change in run.changes if change.action == "replace" and _is_storage(change)]
        if not doomed:
            return None
        broken = {change.id: change.live_id for change in doomed if change.id.kind == "volume"}
        persistent = tuple(change.id for change in doomed if change.id.name.startswith("PersistentVolume/"))
        claims = {change.id: declared[change.id] for change in doomed if change.id.name.startswith("PersistentVolumeClaim/")}
        members: dict[str, str] = {}
        for resource in run.resources:
            if resource.id.name.startswith("PersistentVolume/"):
                spec: Any = resource.fields["spec"]
                handle: Ref = spec["csi"]["volumeHandle"]
                if resource.id in persistent or handle.id in broken:
                    members[handle.id.member] = spec["claimRef"]["namespace"]
        return cls(run, broken, persistent, claims, members)

    def others(self) -> Iterator[tuple[str, str]]:
        """The members that give the data back, with their namespaces."""
        for resource in self.run.resources:
            if resource.id.name.startswith("StatefulSet/"):
                spec: Any = resource.fields["spec"]
                _, namespace, name = resource.id.name.split("/")
                if not spec["replicas"]:
                    raise errors.ProviderError(f"{self.run.stack} is stopped: nobody gives {', '.join(sorted(self.members))} its data back")
                pods = (f"{name}-{number}" for number in range(spec["replicas"]))
                yield from ((pod, namespace) for pod in pods if pod not in self.members)


def _is_storage(change: Change) -> bool:
    return f"{change.id.kind}/{change.id.name}".startswith(_REPLACED)


def _name(id: ResourceId) -> str:
    return id.name.rpartition("/")[2]


def _let_go(cluster: Cluster, kind: ObjectKind, live: Payload) -> None:
    """Take the finalizers off an object as it was read, once it is asked to go."""
    metadata = live["metadata"]
    if not metadata.get("finalizers") or not metadata.get("deletionTimestamp"):
        return
    try:
        body = {"metadata": {"finalizers": None, "resourceVersion": metadata["resourceVersion"]}}
        cluster.patch(kind, metadata["name"], body, namespace=metadata.get("namespace", ""))
    except errors.ProviderError as error:
        if error.status not in {404, 409}:  # it is gone, or another now: it is looked at again
            raise


def _described(cloud: Cloud, id: str) -> Payload | None:
    """The volume; None where there is none."""
    try:
        found = [one for page in cloud.pages("ec2", "describe_volumes", VolumeIds=[id]) for one in page["Volumes"]]
    except errors.ProviderError as error:
        if error.code == "InvalidVolume.NotFound":
            return None
        raise
    return next((one for one in found if one.get("State") not in _GOING), None)


def _delete(cloud: Cloud, id: str) -> None:
    volume = _described(cloud, id)
    if volume is None:
        return
    if volume.get("State") != BROKEN:
        raise errors.ProviderError(f"{id} is in state {volume.get('State')} now: plan again")
    if volume.get("Attachments"):
        raise errors.ProviderError(f"{id} is still attached to {volume['Attachments'][0]['InstanceId']}: detach it, and apply again")
    cloud.call("ec2", "delete_volume", VolumeId=id)


def _require_gone(cloud: Cloud, id: str) -> None:
    """Raise ProviderError where the volume is there all the same: whoever lists by marks misses one whose marks were taken off."""
    if _described(cloud, id) is not None:
        raise errors.ProviderError(f"{id} is there, but does not say any more whose it is: put its tags back, and nothing is lost")
