"""The few calls that attacher and interfaces make to AWS; boto3 behind threads, with the credentials of the environment."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import httpx2 as httpx
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

PATIENCE = 10

_log = logging.getLogger(__name__)


class CloudError(Exception):
    """AWS refused or did not answer; *code* is its error code."""

    def __init__(self, error: ClientError | BotoCoreError) -> None:
        super().__init__(str(error))
        self.code = str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface that is attached to an instance."""

    id: str
    instance: str
    number: int
    mac: str
    address: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """How an EBS volume stands to an instance: attaching, attached, detaching, busy."""

    instance: str
    device: str
    state: str


class Cloud:
    """The lab's AWS."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(trust_env=False)

    @cached_property
    def _ec2(self) -> EC2Client:
        return boto3.client("ec2", config=botocore.config.Config(retries={"mode": "adaptive", "max_attempts": 5}, connect_timeout=5))

    async def attach(self, volume: str, instance: str, device: str) -> None:
        await self._call(lambda: self._ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device))

    async def detach(self, volume: str, instance: str, *, force: bool) -> None:
        await self._call(lambda: self._ec2.detach_volume(VolumeId=volume, InstanceId=instance, Force=force))

    async def attachments(self, volume: str) -> list[Attachment]:
        """Where the volume is attached."""
        answer = await self._call(lambda: self._ec2.describe_volumes(VolumeIds=[volume]))
        found = answer["Volumes"][0].get("Attachments", [])
        return [Attachment(one["InstanceId"], one["Device"], one["State"]) for one in found]

    async def size(self, volume: str) -> int:
        """The volume's size in GiB."""
        answer = await self._call(lambda: self._ec2.describe_volumes(VolumeIds=[volume]))
        return int(answer["Volumes"][0]["Size"])

    async def grow(self, volume: str, size: int) -> None:
        await self._call(lambda: self._ec2.modify_volume(VolumeId=volume, Size=size))

    async def devices(self, instance: str) -> set[str]:
        """The device names that are taken on the instance."""
        filters = [{"Name": "attachment.instance-id", "Values": [instance]}]
        answer = await self._call(lambda: self._ec2.describe_volumes(Filters=filters))  # type: ignore[arg-type]
        return {one["Device"] for volume in answer["Volumes"] for one in volume.get("Attachments", []) if one["InstanceId"] == instance}

    async def interfaces(self) -> list[Interface]:
        """Every interface that is attached to an instance, the instances' own ones among them."""
        answer = await self._call(
            lambda: [one for page in self._ec2.get_paginator("describe_network_interfaces").paginate() for one in page["NetworkInterfaces"]]
        )
        return [
            _interface(one)
            for one in answer
            if one.get("Attachment", {}).get("InstanceId") and one["Attachment"].get("Status") == "attached"
        ]

    async def events(self, after: int) -> list[dict[str, Any]] | None:
        """What was attached and detached after event *after*, waiting a while for it; None where this AWS tells no events."""
        url = f"{os.environ.get('AWS_ENDPOINT_URL', '')}/lab/events"
        try:
            answer = await self._http.get(url, params={"after": after, "timeout": PATIENCE}, timeout=PATIENCE + 10)
            return list(answer.raise_for_status().json()["events"])
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError):
            return None

    async def _call(self, call: Any) -> Any:
        try:
            return await asyncio.to_thread(call)
        except (ClientError, BotoCoreError) as error:
            raise CloudError(error) from error


def _interface(one: Any) -> Interface:
    attachment = one["Attachment"]
    return Interface(
        one["NetworkInterfaceId"], attachment["InstanceId"], attachment.get("DeviceIndex", 0), one["MacAddress"], one["PrivateIpAddress"]
    )
