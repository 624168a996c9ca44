"""Part of the stand-in `aws` plugin: `aws:ebs/volume:Volume`, after internal/service/ec2/ebs_volume.go of terraform-provider-aws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lab.plugins import aws_schema, aws_tags
from lab.plugins.aws_client import AwsError, flag, number, tag_specification, tags, text
from lab.plugins.aws_schema import OUTPUT, REGION, TAGS, TAGS_ALL, Field, Schema
from lab.plugins.properties import UNKNOWN, Values
from lab.plugins.provider import Failure, Refused

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lab.plugins.aws_account import Account

TITLE: Final = "EBS Volume"
CREATE_SECONDS: Final = 300.0
DELETE_SECONDS: Final = 600.0
SCHEMA: Schema = {
    "arn": OUTPUT,
    "availabilityZone": Field(required=True, replaces=True),
    "createTime": OUTPUT,
    "encrypted": Field(bool, computed=True, replaces=True),
    "finalSnapshot": Field(bool, default=False),
    "iops": Field(int, computed=True),
    "kmsKeyId": Field(computed=True, replaces=True),
    "multiAttachEnabled": Field(bool, replaces=True),
    "outpostArn": Field(replaces=True),
    "region": REGION,
    "size": Field(int, computed=True),
    "snapshotId": Field(computed=True, replaces=True),
    "tags": TAGS,
    "tagsAll": TAGS_ALL,
    "throughput": Field(int, computed=True),
    "type": Field(computed=True),
    "volumeInitializationRate": Field(int),
}


def check(news: Values) -> Iterator[Failure]:
    """The schema's own rules and the provider's (CustomizeDiff); sizes and ratios are EC2's to judge."""
    if news.get("size") is None and news.get("snapshotId") is None:
        yield Failure("size", '"size": one of `size,snapshot_id` must be specified')
    if news.get("volumeInitializationRate") is not None and news.get("snapshotId") is None:
        yield Failure("volumeInitializationRate", "'volume_initialization_rate' must not be set unless 'snapshot_id' is set")
    yield from aws_schema.arn(news, "kmsKeyId")
    yield from aws_schema.arn(news, "outpostArn")
    yield from aws_schema.between(news, "throughput", 125, 2000)
    yield from aws_schema.between(news, "volumeInitializationRate", 100, 300)
    kind = news.get("type", "")
    if kind is not UNKNOWN:
        yield from _misplaced(news, str(kind))


def replaced(olds: Values, news: Values) -> frozenset[str]:  # noqa: ARG001 - as other types have it
    """No more than the schema says: size, type, iops and throughput change in place."""
    return frozenset()


def create(account: Account, news: Values) -> str:
    """Ask for the volume, its tags with it; the token makes a repeated call the same one."""
    answer = account.client.ec2(
        "CreateVolume",
        AvailabilityZone=news["availabilityZone"],
        ClientToken=aws_tags.token(),
        Encrypted=news.get("encrypted"),
        Iops=news.get("iops"),
        KmsKeyId=news.get("kmsKeyId"),
        MultiAttachEnabled=news.get("multiAttachEnabled"),
        OutpostArn=news.get("outpostArn"),
        Size=news.get("size") or None,
        SnapshotId=news.get("snapshotId"),
        Throughput=news.get("throughput"),
        VolumeType=news.get("type"),
        VolumeInitializationRate=news.get("volumeInitializationRate"),
        **tag_specification("volume", news.get("tagsAll") or {}),
    )
    return text(answer, "volumeId") or ""


def settle(account: Account, id_: str, news: Values, seconds: float) -> None:  # noqa: ARG001 - as other types have it
    """Wait until a describe shows the volume, ready for use."""

    def ready() -> bool | None:
        found = _describe(account, id_)
        status = text(found, "status") if found is not None else "creating"
        if status == "error":
            raise Refused(f"unexpected state '{status}', wanted target 'available'")
        return True if status in {"available", "in-use"} else None

    account.client.patience.until(ready, seconds, "state to become 'available'")


def read(account: Account, id_: str, known: Values) -> Values | None:  # noqa: ARG001 - as other types have it
    """The volume as it is; None when it is gone."""
    found = _describe(account, id_)
    if found is None or text(found, "status") == "deleted":
        return None
    return {
        "id": id_,
        "arn": account.arn(f"volume/{id_}"),
        "availabilityZone": text(found, "availabilityZone"),
        "createTime": text(found, "createTime"),
        "encrypted": flag(found, "encrypted"),
        "iops": number(found, "iops") or 0,
        "kmsKeyId": text(found, "kmsKeyId") or "",
        "multiAttachEnabled": flag(found, "multiAttachEnabled"),
        "outpostArn": text(found, "outpostArn") or "",
        "region": account.region,
        "size": number(found, "size"),
        "snapshotId": text(found, "snapshotId") or "",
        "tagsAll": tags(found),
        "throughput": number(found, "throughput") or 0,
        "type": text(found, "volumeType"),
    }


def update(account: Account, id_: str, olds: Values, news: Values, seconds: float) -> None:
    """The tags first, as the provider's interceptor does; then one modification, until EC2 lets the new size be used.

    With another type that takes IOPS the provider asks for those of the state where the program says none: the old type's.
    """
    aws_tags.change(account.client, id_, olds.get("tagsAll") or {}, news.get("tagsAll") or {})
    changed = {name for name in ("size", "iops", "throughput", "type") if news.get(name) is not None and news[name] != olds.get(name)}
    if changed:
        kind = news.get("type") or olds.get("type")
        known = {name: news.get(name) or olds.get(name) for name in ("iops", "throughput")}
        iops = known["iops"] if "iops" in changed or ("type" in changed and kind in {"io1", "io2", "gp3"}) else None
        throughput = known["throughput"] if kind == "gp3" else None
        account.client.ec2(
            "ModifyVolume",
            VolumeId=id_,
            Iops=iops or None,
            Size=news.get("size") if "size" in changed else None,
            Throughput=throughput or None,
            VolumeType=kind if "type" in changed else None,
        )
        account.client.patience.until(lambda: _modified(account, id_), seconds, f"modification of {id_} to become 'optimizing'")


def delete(account: Account, id_: str, olds: Values, seconds: float) -> None:
    """Delete the volume once nothing holds it any more, after a last snapshot where one was asked for."""
    if olds.get("finalSnapshot"):
        _snapshot(account, id_, olds, seconds)
    account.client.patience.until(lambda: _let_go(account, id_), seconds, "the volume to be detached")

    def gone() -> bool | None:
        found = _describe(account, id_)
        return True if found is None or text(found, "status") == "deleted" else None

    account.client.patience.until(gone, seconds, "the volume to be gone")


def _misplaced(news: Values, kind: str) -> Iterator[Failure]:
    """resourceEBSVolumeCustomizeDiff: what belongs to another type of volume."""
    iops = news.get("iops")
    if kind in {"io1", "io2"} and not iops:
        yield Failure("iops", f"'iops' must be set when 'type' is '{kind}'")
    if kind not in {"io1", "io2", "gp3"} and iops:
        yield Failure("iops", f"'iops' must not be set when 'type' is '{kind}'")
    if kind not in {"io1", "io2"} and news.get("multiAttachEnabled"):
        yield Failure("multiAttachEnabled", f"'multi_attach_enabled' must not be set when 'type' is '{kind}'")
    if kind != "gp3" and news.get("throughput"):
        yield Failure("throughput", f"'throughput' must not be set when 'type' is '{kind}'")


def _describe(account: Account, id_: str) -> Element | None:
    try:
        answer = account.client.ec2("DescribeVolumes", VolumeId=[id_])
    except AwsError as error:
        if error.code == "InvalidVolume.NotFound":
            return None
        raise
    return answer.find("volumeSet/item")


def _modified(account: Account, id_: str) -> bool | None:
    try:
        answer = account.client.ec2("DescribeVolumesModifications", VolumeId=[id_])
    except AwsError as error:
        if error.code == "InvalidVolumeModification.NotFound":
            return None
        raise
    latest = max(answer.findall("volumeModificationSet/item"), key=lambda item: text(item, "startTime") or "", default=None)
    state = text(latest, "modificationState")
    if state == "failed":
        raise Refused(f"modification failed: {text(latest, 'statusMessage')}")
    return True if state in {"optimizing", "completed"} else None


def _let_go(account: Account, id_: str) -> bool | None:
    try:
        account.client.ec2("DeleteVolume", VolumeId=id_)
    except AwsError as error:
        if error.code == "VolumeInUse":
            return None
        if error.code != "InvalidVolume.NotFound":
            raise
    return True


def _snapshot(account: Account, id_: str, olds: Values, seconds: float) -> None:
    answer = account.client.ec2("CreateSnapshot", VolumeId=id_, **tag_specification("snapshot", olds.get("tagsAll") or {}))
    snapshot = text(answer, "snapshotId")

    def completed() -> bool | None:
        found = account.client.ec2("DescribeSnapshots", SnapshotId=[snapshot])
        return True if text(found, "snapshotSet/item/status") == "completed" else None

    account.client.patience.until(completed, seconds, f"snapshot {snapshot} to become 'completed'")
