"""EBS volumes with the states, checks, times that moto leaves out: creating, attaching, detaching, deleting; one volume a client token."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any, cast

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import elastic_block_store
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from lab.aws.strict import capacity, pages, tags
from lab.aws.strict.attachment import detach_volume, tell_volume
from lab.aws.strict.base import StrictBase

ATTACHABLE = {"running", "stopped"}


class Volume(elastic_block_store.Volume):
    """A volume that knows it is being made or deleted. It has its parent's name because moto's serializer goes by it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.serial = pages.serial()
        self.passing: str | None = None
        """The state it passes through: creating, deleting."""

    @property
    def status(self) -> str:
        return self.passing or super().status


def install() -> None:
    """Let moto make its volumes of this kind."""
    elastic_block_store.Volume = Volume  # type: ignore[misc]


class Volumes(StrictBase, ElasticBlockStore):
    """EC2's actions on volumes, their modification apart."""

    def create_volume(self) -> ActionResult:
        self.error_on_dryrun()
        tags.check_specifications(self._get_params())
        return ActionResult(self._once(self._make_volume))

    def _make_volume(self) -> Volume:
        zone, snapshot = self._get_param("AvailabilityZone"), self._asked_snapshot()
        if zone is None or self.ec2_backend.get_zone_by_name(zone) is None:
            raise EC2ClientError("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
        size = self._get_param("Size") or (snapshot.volume_size if snapshot else None)
        if size is None:
            raise EC2ClientError("MissingParameter", "The request must contain the parameter size or snapshotId")
        if snapshot and size < snapshot.volume_size:
            message = f"Size {size} is smaller than that of snapshot {snapshot.id}, which is {snapshot.volume_size}"
            raise EC2ClientError("InvalidParameterValue", message)
        asked = capacity.shape(self._get_param("VolumeType") or "gp2", size, self._get_param("Iops"), self._get_param("Throughput"))
        volume = cast("Volume", super().create_volume().result)
        volume.iops, volume.throughput, volume.passing = asked.iops, asked.throughput, "creating"
        volume.kms_key_id = self._key(volume.kms_key_id)
        if snapshot:
            self.world.disks.restore(snapshot.id, volume.id)
        self.world.later.add(self.world.settings.creating, partial(setattr, volume, "passing", None))
        return volume

    def _asked_snapshot(self) -> Any:
        """The snapshot that a volume is to be made from, which has to be completed; None where it is to be empty."""
        id = self._get_param("SnapshotId")
        if not id:
            return None
        snapshot = self.ec2_backend.get_snapshot(id)
        if snapshot.status != "completed":
            raise EC2ClientError("IncorrectState", f"Snapshot is in invalid state - {snapshot.status}")
        return snapshot

    def _key(self, told: str | None) -> str | None:
        """The ARN of the key itself, which is all that EBS answers: of an id, of an alias (whose key is as if drawn for its name)."""
        if not told:
            return None
        name = told.rpartition(":")[2] if ":alias/" in told else told
        id_ = str(uuid.uuid5(uuid.NAMESPACE_URL, name)) if name.startswith("alias/") else told.rpartition("/")[2]
        return f"arn:aws:kms:{self.region}:{self.current_account}:key/{id_}"

    def delete_volume(self) -> ActionResult:
        self.error_on_dryrun()
        volume = self._asked_volume()
        if volume.attachment:
            raise EC2ClientError("VolumeInUse", f"Volume {volume.id} is currently attached to {volume.attachment.instance.id}")
        if volume.passing == "creating":
            raise EC2ClientError("IncorrectState", f"The volume '{volume.id}' is 'creating'")
        if volume.passing is None:
            volume.passing = "deleting"
            self.world.later.add(self.world.settings.deleting, partial(self._drop_volume, volume))
        return EmptyResult()

    def _drop_volume(self, volume: Volume) -> None:
        self.ec2_backend.volumes.pop(volume.id, None)
        self.ec2_backend.tags.pop(volume.id, None)

    def attach_volume(self) -> ActionResult:
        self.error_on_dryrun()
        volume, instance, device = (
            self._asked_volume(),
            self.ec2_backend.get_instance(self._get_param("InstanceId")),
            self._get_param("Device"),
        )
        self._check_volume_attachable(volume, instance, device)
        attachment = self.ec2_backend.attach_volume(volume.id, instance.id, device)
        attachment.status = "attaching"
        self.world.later.add(self.world.settings.attaching, partial(self._volume_attached, attachment))
        return _told(attachment)

    def _volume_attached(self, attachment: Any) -> None:
        if attachment.volume.attachment is attachment and attachment.status == "attaching":
            attachment.status = "attached"
            tell_volume(self.world, "volume.attached", attachment)

    def _check_volume_attachable(self, volume: Volume, instance: Any, device: str | None) -> None:
        if device is None:
            raise EC2ClientError("MissingParameter", "The request must contain the parameter device")
        if volume.attachment:
            raise EC2ClientError("VolumeInUse", f"{volume.id} is already attached to an instance")
        if volume.passing:
            raise EC2ClientError("IncorrectState", f"Volume '{volume.id}' is '{volume.passing}', not 'available'.")
        if instance.state not in ATTACHABLE:
            raise EC2ClientError("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
        if volume.availability_zone != instance.placement.zone:
            message = f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'"
            raise EC2ClientError("InvalidVolume.ZoneMismatch", message)
        if device in instance.block_device_mapping:
            message = f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"
            raise EC2ClientError("InvalidParameterValue", message)

    def detach_volume(self) -> ActionResult:
        self.error_on_dryrun()
        volume = self._asked_volume()
        attachment = volume.attachment
        if attachment is None:
            raise EC2ClientError("IncorrectState", f"Volume '{volume.id}' is in the '{volume.status}' state.")
        instance, device = self._get_param("InstanceId", attachment.instance.id), self._get_param("Device", attachment.device)
        if (instance, device) != (attachment.instance.id, attachment.device):
            message = f"The volume '{volume.id}' is not attached to instance '{instance}' as device '{device}'."
            raise EC2ClientError("InvalidAttachment.NotFound", message)
        if attachment.status != "detaching":
            detach_volume(self.world, self.ec2_backend, attachment)
        elif not self._get_bool_param("Force"):
            raise EC2ClientError("IncorrectState", f"Volume '{volume.id}' is in the 'detaching' state.")
        return _told(attachment)

    def describe_volumes(self) -> ActionResult:
        size = pages.size(self._get_param("MaxResults"), capped=True)
        found = cast("dict[str, list[Volume]]", super().describe_volumes().result)["Volumes"]
        page, token = pages.cut(found, size, self._get_param("NextToken"))
        return ActionResult({"Volumes": page, "NextToken": token})

    def _asked_volume(self) -> Volume:
        return cast("Volume", self.ec2_backend.get_volume(self._get_param("VolumeId")))


def _told(attachment: Any) -> ActionResult:
    return ActionResult(
        {
            "VolumeId": attachment.volume.id,
            "InstanceId": attachment.instance.id,
            "Device": attachment.device,
            "State": attachment.status,
            "AttachTime": attachment.attach_time,
        }
    )
