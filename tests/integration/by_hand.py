"""Applies what a stack declares without an engine, with the judge's credentials: enough to see whether Pods work with it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import boto3
import lightkube
from lightkube import codecs

from lab import access
from lab.layout import Layout
from reconciler import kinds
from reconciler.model.address import ResourceId
from reconciler.model.environment import Environment
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.value import Ref
from reconciler.resources import shared

TYPES = kinds.service_types()


class Hand:
    """One environment of the lab, made by hand."""

    def __init__(self, lab: Layout, environment: Environment) -> None:
        self.lab, self.environment = lab, environment
        key, secret = access.read_credentials(Path(lab.aws.credentials_file), "judge")
        session = boto3.Session(key, secret, region_name=lab.region)
        self.ec2 = session.client("ec2", endpoint_url=lab.aws.endpoint)
        self.route53 = session.client("route53", endpoint_url=lab.aws.endpoint)
        config = lightkube.KubeConfig.from_file(lab.kubernetes.kubeconfigs["judge"])
        self.cluster = lightkube.Client(config, field_manager="by-hand", trust_env=False)
        self.made: dict[ResourceId, dict[str, str]] = {}

    def apply(self, services: Iterable[Service]) -> None:
        """Make everything of *services*, what is needed first first."""
        wanted = tuple(services)
        self._all(shared.shared(self.environment, wanted))
        for service in wanted:
            self._all(TYPES[service.type].resources(service, self.environment))

    def close(self) -> None:
        for client in (self.ec2, self.route53, self.cluster):
            client.close()  # type: ignore[attr-defined]

    def _all(self, resources: Iterable[Resource]) -> None:
        left = {resource.id: resource for resource in resources if resource.owner == "engine"}
        while left:
            ready = [one for one in left.values() if not any(need in left for need in one.needs)]
            assert ready, left
            for one in ready:
                del left[one.id]
                fields = self._filled(one.fields)
                if one.id.kind == "kubernetes":
                    self.cluster.apply(codecs.from_dict(fields), force=True)
                elif one.id not in self.made:
                    self.made[one.id] = getattr(self, f"_{one.id.kind}")({"name": one.id.name, **fields})

    def _filled(self, value: Any) -> Any:
        match value:
            case Ref(id, attribute):
                return self.made[id][attribute]
            case Mapping():
                return {name: self._filled(one) for name, one in value.items()}
            case list() | tuple():
                return [self._filled(one) for one in value]
        return value

    def _zone(self, fields: Mapping[str, Any]) -> dict[str, str]:
        found = self.route53.list_hosted_zones_by_name(DNSName=fields["name"])["HostedZones"]
        if not found or found[0]["Name"] != f"{fields['name']}.":
            vpc: Any = {"VPCRegion": self.lab.region, "VPCId": fields["vpc"]}
            private: Any = {"PrivateZone": True, "Comment": "by hand"}
            made = self.route53.create_hosted_zone(
                Name=fields["name"], CallerReference=str(time.time_ns()), VPC=vpc, HostedZoneConfig=private
            )
            return {"zone_id": made["HostedZone"]["Id"]}
        return {"zone_id": found[0]["Id"]}

    def _volume(self, fields: Mapping[str, Any]) -> dict[str, str]:
        size = int(fields["size"].removesuffix("Gi"))
        made = self.ec2.create_volume(
            AvailabilityZone=fields["zone"], Size=size, VolumeType="gp3", TagSpecifications=[_tags("volume", fields)]
        )
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[made["VolumeId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        return {"id": made["VolumeId"], "zone": fields["zone"]}

    def _interface(self, fields: Mapping[str, Any]) -> dict[str, str]:
        made = self.ec2.create_network_interface(
            SubnetId=fields["subnet"], Groups=fields["security_groups"], TagSpecifications=[_tags("network-interface", fields)]
        )["NetworkInterface"]
        return {"id": made["NetworkInterfaceId"], "private_ip": made["PrivateIpAddress"], "mac_address": made["MacAddress"]}

    def _record(self, fields: Mapping[str, Any]) -> dict[str, str]:
        values = [{"Value": value} for value in fields["values"]]
        wanted: Any = {"Name": fields["name"], "Type": "A", "TTL": fields["ttl"], "ResourceRecords": values}
        changes: Any = [{"Action": "UPSERT", "ResourceRecordSet": wanted}]
        self.route53.change_resource_record_sets(HostedZoneId=fields["zone"], ChangeBatch={"Changes": changes})
        return {}


def _tags(kind: Any, fields: Mapping[str, Any]) -> Any:
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in fields["tags"].items()]}
