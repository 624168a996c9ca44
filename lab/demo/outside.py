"""A client outside the reconciler: reads and spoils the lab's AWS with boto3, as the judge, who may do everything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from lab import access
from lab.layout import Layout

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_route53 import Route53Client


@dataclass(frozen=True, slots=True)
class Outside:
    """boto3's clients; *zone* is the id of the demo's hosted zone."""

    ec2: EC2Client
    route53: Route53Client

    def record(self, zone: str, name: str) -> dict[str, Any]:
        """The A record of *name* in the hosted zone *zone*, as Route53 answers it; {} where there is none."""
        found = self.route53.list_resource_record_sets(
            HostedZoneId=self.zone(zone), StartRecordName=name, StartRecordType="A", MaxItems="1"
        )
        records = [dict(record) for record in found["ResourceRecordSets"] if record["Name"].rstrip(".") == name]
        return records[0] if records else {}

    def address(self, zone: str, name: str) -> str:
        """The address that *name* has."""
        return str(self.record(zone, name)["ResourceRecords"][0]["Value"])

    def zone(self, name: str) -> str:
        """The id of the hosted zone *name*."""
        return str(self.route53.list_hosted_zones_by_name(DNSName=name, MaxItems="1")["HostedZones"][0]["Id"])

    def set_ttl(self, zone: str, name: str, ttl: int) -> None:
        """Give the record of *name* another TTL, and leave its value."""
        change: Any = {"Action": "UPSERT", "ResourceRecordSet": {**self.record(zone, name), "TTL": ttl}}
        self.route53.change_resource_record_sets(HostedZoneId=self.zone(zone), ChangeBatch={"Changes": [change]})

    def volume(self, address: str) -> dict[str, Any]:
        """The volume whose tag claims *address*."""
        filters: Any = [{"Name": "tag:reconciler/address", "Values": [address]}]
        (found,) = self.ec2.describe_volumes(Filters=filters)["Volumes"]
        return dict(found)

    def tag(self, address: str, key: str, value: str) -> None:
        """Put another tag on the volume of *address*."""
        self.ec2.create_tags(Resources=[str(self.volume(address)["VolumeId"])], Tags=[{"Key": key, "Value": value}])


def connect(running: Layout) -> Outside:
    """As the judge, to the lab's AWS."""
    key, secret = access.read_credentials(Path(running.aws.credentials_file), "judge")
    session = boto3.Session(key, secret, region_name=running.region)
    endpoint = running.aws.endpoint
    return Outside(session.client("ec2", endpoint_url=endpoint), session.client("route53", endpoint_url=endpoint))
