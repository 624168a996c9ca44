"""Live state as outsiders see it: AWS by boto3, the cluster by kubectl, names by a resolver; nothing of our own commands' words."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import dns.resolver

from tests.e2e.workshop import Workshop

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_route53 import Route53Client

ENVIRONMENT, SERVICE, ADDRESS, RETAINED = (f"reconciler/{word}" for word in ("environment", "service", "address", "retained"))


@dataclass(frozen=True)
class Judge:
    """*told* is what `reconcile lab status --format json` says; *workshop* lends its kubectl."""

    workshop: Workshop
    told: Mapping[str, Any]

    @cached_property
    def _aws(self) -> boto3.Session:
        aws = self.told["aws"]
        return boto3.Session(aws["access_key_id"], aws["secret_access_key"], region_name=aws["region"])

    @cached_property
    def ec2(self) -> EC2Client:
        return self._aws.client("ec2", endpoint_url=self.told["aws"]["endpoint"])

    @cached_property
    def route53(self) -> Route53Client:
        return self._aws.client("route53", endpoint_url=self.told["aws"]["endpoint"])

    def volumes(self) -> dict[str, list[dict[str, Any]]]:
        """Every volume of the environment by the address that its tag claims; what is tagged without one stands under ""."""
        pages = self.ec2.get_paginator("describe_volumes").paginate()
        return _by_address(dict(one) for page in pages for one in page["Volumes"])

    def interfaces(self) -> dict[str, list[dict[str, Any]]]:
        """The same of network interfaces."""
        pages = self.ec2.get_paginator("describe_network_interfaces").paginate()
        return _by_address(dict(one) | {"Tags": one.get("TagSet", [])} for page in pages for one in page["NetworkInterfaces"])

    def records(self, zone: str) -> dict[str, dict[str, Any]]:
        """The A records of the hosted zone *zone*, which exists once, by name."""
        (zone_id,) = (one["Id"] for one in self.route53.list_hosted_zones()["HostedZones"] if one["Name"] == f"{zone}.")
        pages = self.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
        found: list[dict[str, Any]] = [dict(one) for page in pages for one in page["ResourceRecordSets"] if one["Type"] == "A"]
        assert len({one["Name"] for one in found}) == len(found)
        return {one["Name"].rstrip("."): one for one in found}

    def set_record(self, zone: str, record: Mapping[str, Any]) -> None:
        (zone_id,) = (one["Id"] for one in self.route53.list_hosted_zones()["HostedZones"] if one["Name"] == f"{zone}.")
        change: Any = {"Action": "UPSERT", "ResourceRecordSet": dict(record)}
        self.route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": [change]})

    def resolve(self, name: str) -> list[str]:
        """What the lab's DNS server answers."""
        resolver = dns.resolver.Resolver(configure=False)
        host, _, port = self.told["dns"].rpartition(":")
        resolver.nameservers, resolver.port, resolver.lifetime = [host], int(port), 10.0
        return sorted(answer.to_text() for answer in resolver.resolve(f"{name}.", "A", search=False))

    def objects(self, kind: str, *selectors: str) -> dict[str, dict[str, Any]]:
        """Kubernetes objects of one kind, by name."""
        wanted = [word for selector in selectors for word in ("-l", selector)]
        items = json.loads(self.workshop.kubectl("get", kind, "-o", "json", *wanted))["items"]
        return {one["metadata"]["name"]: one for one in items}

    def instance(self, node: str) -> str:
        """The EC2 instance that is the Kubernetes node *node*."""
        provider: str = self.objects("nodes")[node]["spec"]["providerID"]
        return provider.rpartition("/")[2]

    def on_host(self, host: str, path: str) -> str:
        """What was written on a host; "" where nothing was."""
        file = Path(self.told["dir"]) / "hosts" / host / path.lstrip("/")
        return file.read_text() if file.exists() else ""

    def runs(self, host: str) -> Counter[str]:
        """How often each layer ran on a host, by the host's own log."""
        return Counter(self.on_host(host, "/srv/runs.log").splitlines())

    def volume_folder(self, volume: str) -> Path:
        """Where the data of a volume lies."""
        return Path(self.told["dir"]) / "volumes" / volume


def tags(thing: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags") or ()}


def _by_address(things: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in things:
        if ENVIRONMENT in tags(one) or ADDRESS in tags(one):
            found[tags(one).get(ADDRESS, "")].append(one)
    return dict(found)
