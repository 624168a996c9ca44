"""The few calls that the agent makes to AWS; boto3 behind threads, with the credentials of the environment."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import httpx2 as httpx
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

PATIENCE = 10
POLL = 1.0


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
        self._making = threading.Lock()
        self._made: EC2Client | None = None

    @property
    def _ec2(self) -> EC2Client:
        """Made at the first call, in its thread: it takes half a second, and none of the lab's nodes waits for it."""
        with self._making:
            if self._made is None:
                config = botocore.config.Config(retries={"mode": "adaptive", "max_attempts": 5}, connect_timeout=5)
                self._made = boto3.client("ec2", config=config)
            return self._made

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

    async def provide(self, name: str, zone: str, size: int, kind: str) -> str:
        """The volume that is called *name*, made where there is none; its id, once it can be used."""
        tags: Any = [{"ResourceType": "volume", "Tags": [{"Key": "CSIVolumeName", "Value": name}]}]
        wanted: Any = {"AvailabilityZone": zone, "Size": size, "VolumeType": kind, "ClientToken": name, "TagSpecifications": tags}
        handle = str((await self._call(lambda: self._ec2.create_volume(**wanted)))["VolumeId"])
        while True:
            answer = await self._call(lambda: self._ec2.describe_volumes(VolumeIds=[handle]))
            if answer["Volumes"][0]["State"] != "creating":
                return handle
            await asyncio.sleep(POLL / 5)

    async def remove(self, volume: str) -> None:
        """Delete the volume, if it is there."""
        try:
            await self._call(lambda: self._ec2.delete_volume(VolumeId=volume))
        except CloudError as error:
            if error.code != "InvalidVolume.NotFound":
                raise

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

    async def instances(self) -> dict[str, str]:
        """The state of every instance."""
        answer = await self._call(
            lambda: [one for page in self._ec2.get_paginator("describe_instances").paginate() for one in page["Reservations"]]
        )
        return {one["InstanceId"]: one["State"]["Name"] for reservation in answer for one in reservation["Instances"]}

    async def start(self, instance: str) -> None:
        await self._call(lambda: self._ec2.start_instances(InstanceIds=[instance]))

    async def end(self, instance: str, *, terminate: bool) -> None:
        """Stop the instance, or terminate it."""
        call = self._ec2.terminate_instances if terminate else self._ec2.stop_instances
        await self._call(lambda: call(InstanceIds=[instance]))

    async def slow(self, id: str, seconds: float) -> None:
        """From now on an instance lets go of what is attached to it, or a volume or interface is let go of, in *seconds*."""
        await self._set({"releasing": {id: seconds}})

    async def say_runs(self, instance: str, *, runs: bool) -> None:
        """Say whether anything runs on the instance: EC2 does not call it stopped before. Where AWS is gone, it says nothing at all."""
        with suppress(httpx.HTTPError):
            await self._set({"machines": {instance: runs}})

    async def _set(self, settings: dict[str, Any]) -> None:
        (await self._http.post(_switch("settings"), json=settings)).raise_for_status()

    async def follow(self, kind: str, news: asyncio.Event) -> AsyncIterator[None]:
        """Come at once, and again when AWS tells of something of *kind*, when *news* is set, and now and then."""
        last = 0
        while True:
            news.clear()
            yield
            last = await self._next(kind, last, news)

    async def _next(self, kind: str, last: int, news: asyncio.Event) -> int:
        told = asyncio.create_task(news.wait())
        try:
            while not told.done():
                asked = asyncio.create_task(self._events(last))
                await asyncio.wait([asked, told], return_when=asyncio.FIRST_COMPLETED)
                if not asked.done():
                    asked.cancel()
                    break
                events = asked.result()
                if events is None:
                    await asyncio.sleep(POLL)
                    break
                last = max([last, *(event["id"] for event in events)])
                if not events or any(event["kind"].startswith(kind) for event in events):
                    break
            return last
        finally:
            told.cancel()

    async def _events(self, after: int) -> list[dict[str, Any]] | None:
        """What befell instances and what hangs on them after event *after*, waiting a while; None where this AWS tells no events."""
        try:
            answer = await self._http.get(_switch("events"), params={"after": after, "timeout": PATIENCE}, timeout=PATIENCE + 10)
            return list(answer.raise_for_status().json()["events"])
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError):
            return None

    async def _call(self, call: Any) -> Any:
        try:
            return await asyncio.to_thread(call)
        except (ClientError, BotoCoreError) as error:
            raise CloudError(error) from error


def _switch(name: str) -> str:
    """The lab's own switches, on the same port as AWS."""
    return f"{os.environ.get('AWS_ENDPOINT_URL', '')}/lab/{name}"


def _interface(one: Any) -> Interface:
    attachment = one["Attachment"]
    return Interface(
        one["NetworkInterfaceId"], attachment["InstanceId"], attachment.get("DeviceIndex", 0), one["MacAddress"], one["PrivateIpAddress"]
    )
