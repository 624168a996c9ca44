"""What a dead run made and nothing declares any more: live with our marks, in no record of the engine's, and so never deleted by it.

Removed here by the API's own calls, with the engine's credentials, once its stack has ended well; only what the plan says. Records go
before: whose they are is told by the interface that they lead to, and nobody would know it once that is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from reconciler import errors
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.outcome import Blocked, Done, Failed, Outcome
from reconciler.ports import Checkpoints, Cloud, Cluster, Engine, Progress, StackResult, StackRun
from reconciler.resources import kubernetes

# What is to go is not there (of a record: not as it was seen): as asked, or the next pass sees what it is now.
GONE = frozenset({"InvalidNetworkInterfaceID.NotFound", "InvalidAllocationID.NotFound", "InvalidChangeBatch"})


@dataclass(frozen=True, slots=True)
class Sweeping:
    """*engine*, which leaves what it has no record of to *cloud* and *cluster*; both are made when there is something to remove."""

    engine: Engine
    checkpoints: Checkpoints
    cloud: Callable[[], Cloud]
    cluster: Callable[[], Cluster]

    def up(self, run: StackRun, progress: Progress) -> StackResult:
        known = (self.checkpoints.stacks(run.revision.environment) or {}).get(run.stack, frozenset())
        strays = tuple(change for change in run.changes if change.action == "delete" and change.live_id and change.id not in known)
        rest = tuple(change for change in run.changes if change not in strays)
        acts = any(change.acts for change in rest)
        names = {change.id: self._removed(change, progress) for change in strays if change.id.kind == "record"}
        result = self.engine.up(replace(run, changes=rest), progress) if acts or not strays else StackResult()
        well = all(isinstance(outcome, Done) for outcome in result.outcomes.values())
        others = (change for change in strays if change.id not in names)
        swept = {change.id: self._removed(change, progress) if well else Blocked(run.stack) for change in others}
        return replace(result, outcomes={**result.outcomes, **names, **swept})

    def forget(self, environment: str, stack: str, ids: Iterable[ResourceId]) -> None:
        self.engine.forget(environment, stack, ids)

    def _removed(self, change: Change, progress: Progress) -> Outcome:
        address = str(change.id)
        progress(address, "start", "delete")
        try:
            self._remove(change)
        except errors.ProviderError as error:
            if error.code not in GONE:
                progress(address, "failed", error.message)
                return Failed(error.message, retryable=True)
        progress(address, "done", "delete")
        return Done()

    def _remove(self, change: Change) -> None:
        match change.id.kind:
            case "kubernetes":
                kind, namespace, name = change.id.name.split("/")
                self.cluster().delete(kubernetes.KINDS[kind], name, namespace=namespace.removeprefix("-"))
            case "interface":
                _remove_interface(self.cloud(), change.live_id)
            case "address":
                _release(self.cloud(), change.live_id)
            case "record":
                _unname(self.cloud(), change)
            case kind:
                raise errors.ProviderError(f"{change.id} is not in the engine's record, and a {kind} is removed by nobody else")


def _remove_interface(cloud: Cloud, id: str) -> None:
    for page in cloud.pages("ec2", "describe_network_interfaces", NetworkInterfaceIds=[id]):
        for attachment in (one["Attachment"] for one in page["NetworkInterfaces"] if one.get("Attachment")):
            cloud.call("ec2", "detach_network_interface", AttachmentId=attachment["AttachmentId"])
    cloud.call("ec2", "delete_network_interface", NetworkInterfaceId=id)


def _release(cloud: Cloud, id: str) -> None:
    for page in cloud.pages("ec2", "describe_addresses", AllocationIds=[id]):
        for associated in (one["AssociationId"] for one in page["Addresses"] if one.get("AssociationId")):
            cloud.call("ec2", "disassociate_address", AssociationId=associated)
    cloud.call("ec2", "release_address", AllocationId=id)


def _unname(cloud: Cloud, change: Change) -> None:
    """Route53 deletes only what is named as it is."""
    was: dict[str, Any] = {str(field.path[0]): field.before for field in change.fields}
    values = [{"Value": value} for value in was["values"]]
    record = {"Name": f"{change.id.name}.", "Type": was["type"], "TTL": was["ttl"], "ResourceRecords": values}
    batch = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]}
    cloud.call("route53", "change_resource_record_sets", HostedZoneId=was["zone"], ChangeBatch=batch)
