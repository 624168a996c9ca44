"""EBS volumes: read by tag, grown in place, never replaced. One that is being deleted is gone: nothing brings its data back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from providers import marked, modified
from reconciler.kinds import Effect, FieldPolicy, Kind, Reading, Sources
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, Scope
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.value import Fields, Value
from reconciler.ports import Payload

GOING = frozenset({"deleting", "deleted"})


class _Volume:
    name = "volume"
    ours = True

    def readings(self, environment: Environment) -> Iterable[Reading]:
        return (Reading(Scope(self.name, environment.name), self._read),)

    def _read(self, sources: Sources) -> Iterator[Observation]:
        """The volumes first: a modification that begins between the two reads shows as one that is not completed, not as none at all."""
        environment = sources.environment.name
        pages = sources.cloud.pages("ec2", "describe_volumes", Filters=marked.filters(environment), MaxResults=marked.PAGE)
        volumes = [volume for page in pages for volume in page["Volumes"] if volume.get("State") not in GOING]
        budgets = modified.read(sources.cloud) if volumes else None
        for volume in volumes:
            seen = self.view(volume, environment)
            yield budgets.told(seen) if budgets else seen

    def view(self, payload: Payload, environment: str) -> Observation:
        optional = {"iops": payload.get("Iops"), "throughput": payload.get("Throughput"), "kms_key": payload.get("KmsKeyId")}
        fields: Fields = {
            "size": f"{payload['Size']}Gi",
            "type": payload["VolumeType"],
            "zone": payload["AvailabilityZone"],
            "encrypted": bool(payload.get("Encrypted")),
            **{name: value for name, value in optional.items() if value is not None},
            "tags": marked.tags(payload.get("Tags")),
        }
        attached: Mapping[str, str] = next(iter(payload.get("Attachments") or ()), {})
        attributes = {
            "id": payload["VolumeId"],
            "zone": payload["AvailabilityZone"],
            "state": payload.get("State", ""),
            "instance": attached.get("InstanceId", ""),
            "snapshot": payload.get("SnapshotId", ""),
        }
        return marked.observation(
            self.name, environment, payload["VolumeId"], fields, attributes=attributes, since=payload.get("CreateTime", "")
        )

    def policy(self, resource: Resource, path: tuple[str, ...]) -> FieldPolicy:
        match path:
            case ("kms_key",):
                return _key_policy(resource)
            case ("encrypted",):
                return marked.refused(_CRYPTED if resource.fields.get("encrypted") else _BY_ACCOUNT)
            case _:
                return _POLICIES.get(path, marked.UPDATE)

    def list_key(self, _resource: Resource, _path: tuple[str, ...]) -> str:
        return ""

    def terraform_type(self, _resource_name: str) -> str:
        return "aws_ebs_volume"

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        import pulumi  # noqa: PLC0415 - takes long, and only the engine's program needs it
        from pulumi_aws import ebs  # noqa: PLC0415 - a third of a second, likewise

        # an alias is read back as the key behind it, which the engine would take for a reason to replace the volume
        # what it was made from is only said then: without that, too, it would be replaced
        kept = pulumi.ResourceOptions(ignore_changes=["kmsKeyId", "snapshotId"])
        made = ebs.Volume(
            str(resource.id),
            availability_zone=fields["zone"],
            size=Quantity.parse(fields["size"]).gib,
            type=fields["type"],
            encrypted=fields["encrypted"],
            iops=fields.get("iops"),
            throughput=fields.get("throughput"),
            kms_key_id=fields.get("kms_key"),
            snapshot_id=fields.get("snapshot"),
            tags=fields["tags"],
            opts=pulumi.ResourceOptions.merge(options, kept),
        )
        return {"": made, "id": made.id, "zone": made.availability_zone}

    def recall(self, inputs: Payload) -> Fields:
        found = marked.recalled(inputs, _INPUTS)
        return {**found, "size": f"{int(found['size'])}Gi"} if "size" in found else found


def _amount(size: Value) -> Value:
    return str(Quantity.parse(size).value.normalize()) if isinstance(size, str) else size


def _growth(before: Value, after: Value) -> Effect:
    grows = isinstance(before, str) and isinstance(after, str) and Quantity.parse(after) > Quantity.parse(before)
    return "update" if grows else "refuse"


def _key(key: Value) -> Value:
    """A key's own id: specs may have it bare, AWS answers with the ARN."""
    return key.rpartition("/")[2] if isinstance(key, str) else key


def _key_policy(resource: Resource) -> FieldPolicy:
    """An alias says nothing of the key behind it, so it is only used at creation."""
    alias = "alias/" in str(resource.fields.get("kms_key"))
    return FieldPolicy(canonical=(lambda _: None) if alias else _key, effect="refuse", why=_CRYPTED)


_CRYPTED = "a volume keeps its encryption and key; move the data to a volume of another name"
_BY_ACCOUNT = f"{_CRYPTED}, or say encrypted: true where it is the account that encrypts by default"
_SPENDING = FieldPolicy(spends=True)
_POLICIES: dict[tuple[str, ...], FieldPolicy] = {
    ("size",): FieldPolicy(canonical=_amount, effect=_growth, why="a volume cannot shrink", spends=True),
    ("type",): _SPENDING,
    ("iops",): _SPENDING,
    ("throughput",): _SPENDING,
    ("zone",): marked.refused("a volume cannot leave its zone"),
}
_INPUTS = {
    "size": "size",
    "type": "type",
    "zone": "availabilityZone",
    "encrypted": "encrypted",
    "iops": "iops",
    "throughput": "throughput",
    "kms_key": "kmsKeyId",
    "tags": "tags",
}  # not `snapshotId`: nothing declares what it was made from once it is there

KIND: Kind = _Volume()
