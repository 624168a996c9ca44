"""The Service document: a stateful service of some members, each with volumes, a name and perhaps an address of its own."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from reconciler.model.document import DnsLabel, Flag, Named, Names, Part, Positive, Text, Whole
from reconciler.model.duration import Duration
from reconciler.model.environment import ComputeResources, Policy, Window
from reconciler.model.quantity import Size

VolumeType = Literal["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"]


class _Limit(NamedTuple):
    smallest: int
    largest: int
    iops: tuple[int, int] | None
    throughput: tuple[int, int] | None
    ratio: int = 0  # IOPS a GiB


# GiB, IOPS and MiB/s: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html
# and https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html for the ratios
_LIMITS: dict[str, _Limit] = {
    "gp2": _Limit(1, 16384, None, None),
    "gp3": _Limit(1, 65536, (3000, 80000), (125, 2000), ratio=500),
    "io1": _Limit(4, 16384, (100, 64000), None, ratio=50),
    "io2": _Limit(4, 65536, (100, 256000), None, ratio=1000),
    "st1": _Limit(125, 16384, None, None),
    "sc1": _Limit(125, 16384, None, None),
    "standard": _Limit(1, 1024, None, None),
}
_IOPS_A_THROUGHPUT = 4  # IOPS that each MiB/s of a gp3 volume needs
_OFTENEST = 60.0  # seconds between two snapshots
_KEY = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+"


class VolumeSpec(Part):
    """An EBS volume that each member has. The checks are CreateVolume's own, so that a plan does not pass what AWS refuses."""

    type: VolumeType = "gp3"
    size: Size
    iops: Positive | None = Field(default=None, validate_default=True)
    throughput: Positive | None = None
    encrypted: Flag = True
    kms_key: Text | None = None

    @field_validator("size")
    @classmethod
    def _size_fits_type(cls, size: Size, known: ValidationInfo) -> Size:
        limit = _LIMITS.get(known.data.get("type", ""))
        if limit and not limit.smallest <= size.gib <= limit.largest:
            raise ValueError(f"{size} is out of range: a {known.data['type']} volume has {limit.smallest}Gi to {limit.largest}Gi")
        return size

    @field_validator("iops")
    @classmethod
    def _iops_fit_type(cls, iops: int | None, known: ValidationInfo) -> int | None:
        kind = known.data.get("type", "")
        if iops is None and kind in {"io1", "io2"}:
            raise ValueError(f"a volume of type {kind} must say its iops")
        return _within("iops", iops, kind, _LIMITS[kind].iops) if kind else iops

    @field_validator("iops")
    @classmethod
    def _iops_fit_size(cls, iops: int | None, known: ValidationInfo) -> int | None:
        kind, size = known.data.get("type", ""), known.data.get("size")
        limit = _LIMITS.get(kind)
        if iops and size and limit and limit.iops and iops > max(limit.iops[0], limit.ratio * size.gib):
            most = max(limit.iops[0], limit.ratio * size.gib)
            raise ValueError(f"{iops} is out of range: a {kind} volume of {size} has {most} iops at most, {limit.ratio} for each GiB")
        return iops

    @field_validator("throughput")
    @classmethod
    def _throughput_fits_type(cls, throughput: int | None, known: ValidationInfo) -> int | None:
        kind = known.data.get("type", "")
        return _within("throughput", throughput, kind, _LIMITS[kind].throughput) if kind else throughput

    @field_validator("throughput")
    @classmethod
    def _throughput_fits_iops(cls, throughput: int | None, known: ValidationInfo) -> int | None:
        limit = _LIMITS.get(known.data.get("type", ""))
        if not throughput or not limit or not limit.iops or "iops" not in known.data:
            return throughput
        iops = known.data["iops"] or limit.iops[0]
        if throughput * _IOPS_A_THROUGHPUT > iops:
            most, needed = iops // _IOPS_A_THROUGHPUT, throughput * _IOPS_A_THROUGHPUT
            raise ValueError(f"{throughput} is out of range: with {iops} iops it is {most} at most; it needs iops: {needed}")
        return throughput

    @field_validator("kms_key")
    @classmethod
    def _key_means_encryption(cls, key: str | None, known: ValidationInfo) -> str | None:
        if key and known.data.get("encrypted") is False:
            raise ValueError("a volume that is not encrypted takes no kmsKey")
        if key and not re.fullmatch(_KEY, key):
            raise ValueError("must be the ARN of a key or of an alias: arn:aws:kms:us-east-1:111122223333:alias/data")
        return key


def _within(what: str, value: int | None, kind: str, limit: tuple[int, int] | None) -> int | None:
    if value is None:
        return None
    if not limit:
        raise ValueError(f"a volume of type {kind} takes no {what}")
    if not limit[0] <= value <= limit[1]:
        raise ValueError(f"{value} is out of range: a {kind} volume has {what} of {limit[0]} to {limit[1]}")
    return value


class Snapshots(Part):
    """How often volumes are copied, and how many copies are kept."""

    every: Duration
    keep: Annotated[Positive, Field(le=1000)]

    @field_validator("every")
    @classmethod
    def _not_too_often(cls, every: Duration) -> Duration:
        if every.seconds < _OFTENEST:
            raise ValueError(f"{every} is too often: who takes snapshots looks once a minute, so it is 1m at least")
        return every


class Restore(Part):
    """Where a new service's data comes from: its own retained volumes, or another service's snapshot."""

    retained: Flag = False
    service: Text | None = None
    snapshot_time: Text | None = None

    @field_validator("snapshot_time")
    @classmethod
    def _is_a_moment(cls, text: str | None) -> str | None:
        if text is not None and _moment(text) is None:
            raise ValueError(f"{text} is no moment: write it as 2026-11-22T18:00:00Z, with its offset from UTC")
        return text

    @property
    def moment(self) -> datetime | None:
        """The moment by which a snapshot has to have been taken."""
        return _moment(self.snapshot_time or "")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.retained == bool(self.service or self.snapshot_time) or bool(self.service) != bool(self.snapshot_time):
            raise ValueError("must be either {retained: true} or {service, snapshotTime}")
        return self


def _moment(text: str) -> datetime | None:
    """The moment that *text* says; None where it says none, or not whose time."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


class Moved(Part):
    """The name that a service had before."""

    name: DnsLabel


class Ignored(Part):
    """A field that others own, and why."""

    path: Text
    reason: Text


class ServiceSpec(Part):
    """The `spec` of a Service document."""

    type: Text
    version: str = ""
    replicas: Annotated[Positive, Field(le=1000)] = 3
    zones: Names = ()
    namespace: DnsLabel = ""
    volumes: dict[DnsLabel, VolumeSpec] = Field(default_factory=dict)
    addresses: Literal["none", "private", "elastic"] = "none"
    resources: ComputeResources = ComputeResources()
    pod_template: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    depends_on: Names = ()
    stopped: Flag = False
    restarted_at: str = ""
    rotation: Annotated[Whole, Field(ge=0)] = 0
    snapshots: Snapshots | None = None
    restore_from: Restore | None = None
    deletion_policy: Literal["Retain", "Delete"] = "Retain"
    protect: Flag = False
    moved_from: Moved | None = None
    ignore: tuple[Ignored, ...] = ()
    owner: Annotated[str, Field(max_length=256)] = ""
    paused: Flag = False
    policy: Policy | None = None
    windows: tuple[Window, ...] = ()


class Service(ServiceSpec, Named):
    """One service. `load` fills *version*, *zones* and *namespace* where the document leaves them to type and environment.

    *parents* are those that it names in `dependsOn`, in that order, as far as nothing is wrong with their documents.
    """

    pinned: dict[str, str] = Field(default_factory=dict, exclude=True)  # the zones of members that live elsewhere than the formula says
    parents: tuple["Parent", ...] = Field(default=(), exclude=True)


@dataclass(frozen=True, slots=True)
class Parent:
    """A service as those see it that depend on it: under the name that its members have, with *members*, their names, and no parents."""

    service: Service
    members: tuple[str, ...]

    @property
    def type(self) -> str:
        return self.service.type


Service.model_rebuild()
