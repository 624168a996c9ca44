"""EBS snapshots with what moto leaves out: pending until completed, of one instance's volumes at one instant, and with the data itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import elastic_block_store
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from lab.aws.strict import pages, tags
from lab.aws.strict.base import StrictBase
from lab.aws.strict.volumes import Volume

MOST_EXCLUDED = 40


class Snapshot(elastic_block_store.Snapshot):
    """A snapshot that is pending at first, and remembers how large its volume was. It has its parent's name for moto's serializer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.serial = pages.serial()
        self.status = "pending"
        self._size = self.volume.size
        self.encrypted = self.volume.encrypted
        self.kms_key_id = self.volume.kms_key_id

    @property
    def volume_size(self) -> int:
        return int(self._size)

    @property
    def state(self) -> str:
        return self.status

    @property
    def progress(self) -> str:
        return "100%" if self.status == "completed" else "0%"


def install() -> None:
    """Let moto make its snapshots of this kind."""
    elastic_block_store.Snapshot = Snapshot  # type: ignore[misc]


class Snapshots(StrictBase, ElasticBlockStore):
    """EC2's actions on snapshots."""

    def create_snapshot(self) -> ActionResult:
        self.error_on_dryrun()
        tags.check_specifications(self._get_params())
        volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
        return ActionResult(self._make_snapshots([cast("Volume", volume)])[0])

    def create_snapshots(self) -> ActionResult:
        self.error_on_dryrun()
        tags.check_specifications(self._get_params())
        return ActionResult({"Snapshots": self._make_snapshots(self._asked_volumes())})

    def _make_snapshots(self, volumes: Iterable[Volume]) -> list[Snapshot]:
        """Of all *volumes* at one instant."""
        given = self._parse_tag_specification().get("snapshot", {})
        wanted = list(volumes)
        if creating := next((one for one in wanted if one.passing), None):
            raise EC2ClientError("IncorrectState", f"The volume '{creating.id}' is '{creating.passing}'")
        made = [cast("Snapshot", self.ec2_backend.create_snapshot(one.id, self._get_param("Description", ""))) for one in wanted]
        self.world.disks.keep({snapshot.id: snapshot.volume.id for snapshot in made})
        for snapshot in made:
            copied = self.ec2_backend.tags.get(snapshot.volume.id, {}) if self._get_param("CopyTagsFromSource") == "volume" else {}
            snapshot.add_tags({**{key: value for key, value in copied.items() if not key.startswith(tags.RESERVED)}, **given})
            self.world.later.add(self.world.settings.snapshotting, partial(setattr, snapshot, "status", "completed"))
        return made

    def _asked_volumes(self) -> list[Volume]:
        """What is attached to the instance, but for what is not to be taken."""
        asked = self._get_param("InstanceSpecification", {})
        instance = self.ec2_backend.get_instance(asked.get("InstanceId"))
        excluded = set(asked.get("ExcludeDataVolumeIds") or ())
        if len(excluded) > MOST_EXCLUDED:
            raise EC2ClientError("InvalidParameterValue", f"No more than {MOST_EXCLUDED} volumes may be excluded.")
        attached = {device: one.volume_id for device, one in instance.get_block_device_mapping}
        root = attached.get(instance.root_device_name)
        if root in excluded:
            raise EC2ClientError("InvalidParameterValue", f"The root volume {root} cannot be excluded by ExcludeDataVolumeIds.")
        if unknown := excluded - set(attached.values()):
            raise EC2ClientError("InvalidParameterValue", f"{min(unknown)} is not attached to {instance.id}")
        if str(asked.get("ExcludeBootVolume", False)).lower() == "true":
            attached.pop(instance.root_device_name, None)
        found = [cast("Volume", self.ec2_backend.get_volume(id)) for id in attached.values() if id not in excluded]
        if not found:
            raise EC2ClientError("InvalidParameterValue", f"{instance.id} has no volume that is not excluded.")
        return found

    def delete_snapshot(self) -> ActionResult:
        self.error_on_dryrun()
        id = self._get_param("SnapshotId")
        self.ec2_backend.delete_snapshot(id)
        self.ec2_backend.tags.pop(id, None)
        self.world.disks.drop(id)
        return EmptyResult()

    def describe_snapshots(self) -> ActionResult:
        """A page; of the account's own, which are all that there are but moto's ready-made ones, where `self` is asked for."""
        size = pages.size(self._get_param("MaxResults"), capped=True)
        found = cast("dict[str, list[Any]]", super().describe_snapshots().result)["Snapshots"]
        if self._get_param("OwnerIds"):
            found = [one for one in found if isinstance(one, Snapshot)]
        page, token = pages.cut(found, size, self._get_param("NextToken"))
        return ActionResult({"Snapshots": page, "NextToken": token})
