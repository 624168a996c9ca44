"""ModifyVolume as EBS does it: grow only, one at a time, four in a rolling day, and it takes a while: modifying, optimizing, completed."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.utils import generic_filter

from lab.aws.strict import capacity, pages
from lab.aws.strict.base import StrictBase
from lab.aws.strict.capacity import Shape
from lab.aws.strict.volumes import Volume

A_DAY, IN_A_DAY = timedelta(hours=24), 4


class Modification:
    """One change of a volume from one shape to another; attributes are named as moto's serializer looks them up."""

    def __init__(self, volume: Volume, target: Shape, began: datetime) -> None:
        self.serial = pages.serial()
        self.volume_id = volume.id
        self.original_volume_type, self.target_volume_type = volume.volume_type, target.type
        self.original_size, self.target_size = volume.size, target.size
        self.original_iops, self.target_iops = volume.iops, target.iops
        self.original_throughput, self.target_throughput = volume.throughput, target.throughput
        self.modification_state = "modifying"
        self.progress = 0
        self.start_time = began
        self.end_time: datetime | None = None

    def get_filter_value(self, name: str) -> Any:
        """What DescribeVolumesModifications' filter *name* looks at."""
        return getattr(self, name.replace("-", "_"), None)


class VolumeModifications(StrictBase, ElasticBlockStore):
    """EC2's actions on the modification of volumes."""

    def modify_volume(self) -> ActionResult:
        self.error_on_dryrun()
        volume = cast("Volume", self.ec2_backend.get_volume(self._get_param("VolumeId")))
        target = self._target_shape(volume)
        _check(volume, target, self.world.now())
        modification = Modification(volume, target, self.world.now())
        volume.modifications.append(cast("Any", modification))
        self.world.later.add(self.world.settings.modifying, partial(self._optimize_volume, volume, modification))
        return ActionResult({"VolumeModification": modification})

    def _target_shape(self, volume: Volume) -> Shape:
        kind = self._get_param("VolumeType") or volume.volume_type
        kept = kind == volume.volume_type
        iops = self._get_param("Iops") or (volume.iops if kept and kind != "gp2" else None)
        if iops is None and not kept and kind in {"io1", "io2"}:
            iops = capacity.BASE_IOPS
        throughput = self._get_param("Throughput") or (volume.throughput if kept else None)
        return capacity.shape(kind, self._get_param("Size") or volume.size, iops, throughput)

    def _optimize_volume(self, volume: Volume, modification: Modification) -> None:
        volume.volume_type, volume.size = modification.target_volume_type, modification.target_size
        volume.iops, volume.throughput = modification.target_iops, modification.target_throughput
        modification.modification_state, modification.progress = "optimizing", 50
        self.world.later.add(self.world.settings.optimizing, partial(self._complete, modification))

    def _complete(self, modification: Modification) -> None:
        modification.modification_state, modification.progress, modification.end_time = "completed", 100, self.world.now()

    def describe_volumes_modifications(self) -> ActionResult:
        wanted, size = self._get_param("VolumeIds", []), pages.size(self._get_param("MaxResults"), capped=True)
        volumes = self.ec2_backend.describe_volumes(volume_ids=wanted)
        for volume in volumes:
            if wanted and not volume.modifications:
                raise EC2ClientError("InvalidVolumeModification.NotFound", f"Modification for volume '{volume.id}' does not exist.")
        found = generic_filter(self._filters_from_querystring(), [volume.modifications[-1] for volume in volumes if volume.modifications])
        page, token = pages.cut(cast("list[Modification]", found), size, self._get_param("NextToken"))
        return ActionResult({"VolumesModifications": page, "NextToken": token})


def _check(volume: Volume, target: Shape, now: datetime) -> None:
    past = cast("list[Modification]", volume.modifications)
    if volume.passing:
        raise EC2ClientError("IncorrectState", f"Volume '{volume.id}' is '{volume.passing}'; it must be 'available' or 'in-use'.")
    if past and past[-1].modification_state != "completed":
        state = past[-1].modification_state.upper()
        raise EC2ClientError(
            "IncorrectModificationState", f"Cannot modify volume {volume.id}: it is currently in modification state {state}."
        )
    if target.size < volume.size:
        raise EC2ClientError("InvalidParameterValue", "New size cannot be smaller than existing size")
    recent = [each for each in past if each.start_time > now - A_DAY]
    if len(recent) >= IN_A_DAY:
        again = recent[-IN_A_DAY].start_time + A_DAY
        message = (
            f"You've reached the maximum modification rate per volume limit. The next modification is possible at {again.isoformat()}Z."
        )
        raise EC2ClientError("VolumeModificationRateExceeded", message)
