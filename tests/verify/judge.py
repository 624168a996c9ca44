"""What is really there of one environment, by boto3 and kubectl, and the end of it: everything that carries its tag goes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3

TAG = "reconciler/environment"
KINDS = "statefulsets,services,configmaps,persistentvolumeclaims,poddisruptionbudgets,networkpolicies,leases.coordination.k8s.io,jobs"
CLUSTER_KINDS = "persistentvolumes,storageclasses"
GONE_WITHIN = 120.0


@dataclass(frozen=True)
class Judge:
    """Looks and clears up with credentials of its own where *profile* and *kubeconfig* name some, else with the engine's of *spec*."""

    name: str
    spec: Mapping[str, Any]
    profile: str = ""
    kubeconfig: str = ""

    @cached_property
    def _session(self) -> boto3.Session:
        writer = self.spec.get("engine", {}).get("profile") or self.spec.get("aws", {}).get("profile")
        return boto3.Session(profile_name=self.profile or writer, region_name=self.region)

    @property
    def region(self) -> str:
        return str(self.spec.get("aws", {}).get("region") or self.spec["zones"][0].rstrip("abcdef"))

    @cached_property
    def ec2(self) -> Any:
        return self._session.client("ec2", endpoint_url=self._endpoint)

    @cached_property
    def route53(self) -> Any:
        return self._session.client("route53", endpoint_url=self._endpoint)

    @property
    def _endpoint(self) -> str | None:
        endpoint: str | None = self.spec.get("aws", {}).get("endpoint")
        return endpoint

    def account(self) -> str:
        return str(self._session.client("sts", endpoint_url=self._endpoint).get_caller_identity()["Account"])

    def volumes(self) -> dict[str, str]:
        """Volume ids of the environment, with the address that each claims."""
        pages = self.ec2.get_paginator("describe_volumes").paginate(Filters=self._filters)
        return {one["VolumeId"]: _tag(one["Tags"]) for page in pages for one in page["Volumes"]}

    def interfaces(self) -> dict[str, str]:
        pages = self.ec2.get_paginator("describe_network_interfaces").paginate(Filters=self._filters)
        return {one["NetworkInterfaceId"]: _tag(one["TagSet"]) for page in pages for one in page["NetworkInterfaces"]}

    def addresses(self) -> dict[str, str]:
        return {one["AllocationId"]: _tag(one["Tags"]) for one in self.ec2.describe_addresses(Filters=self._filters)["Addresses"]}

    def zones(self) -> list[str]:
        """The hosted zones that this environment made."""
        found = self.route53.list_hosted_zones_by_name(DNSName=self.spec["dns"]["zone"], MaxItems="10")["HostedZones"]
        ids = [zone["Id"].rpartition("/")[2] for zone in found if zone["Name"].rstrip(".") == self.spec["dns"]["zone"]]
        return [id for id in ids if self._is_ours(id)]

    def objects(self) -> list[str]:
        """The environment's objects, as kubectl names them."""
        spaced = self.kubectl("get", KINDS, "-l", f"{TAG}={self.name}", "-o", "name")
        return (spaced + self.kubectl("get", CLUSTER_KINDS, "-l", f"{TAG}={self.name}", "-o", "name")).split()

    def kubectl(self, *words: str) -> str:
        """What kubectl says to *words* in the environment's namespace."""
        own, shared = self.spec.get("engine", {}), self.spec.get("kubernetes", {})
        chosen = {"kubeconfig": own.get("kubeconfig") or shared.get("kubeconfig"), "context": own.get("context") or shared.get("context")}
        if self.kubeconfig:
            chosen = {"kubeconfig": self.kubeconfig}
        flags = [f"--{name}={value}" for name, value in chosen.items() if value]
        command = ["kubectl", *flags, "-n", shared.get("namespace", "default"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def left(self) -> list[str]:
        """Whatever is still there, a line each."""
        return [*self.volumes(), *self.interfaces(), *self.addresses(), *self.zones(), *self.objects()]

    def clear(self) -> list[str]:
        """Delete whatever is left, by its tags and labels alone; what would not go within two minutes."""
        deadline = time.monotonic() + GONE_WITHIN
        while (left := self.left()) and time.monotonic() < deadline:
            for id in left:
                self._delete(id)
            time.sleep(2)
        return left

    def _delete(self, id: str) -> None:
        calls = {
            "vol-": lambda: self.ec2.delete_volume(VolumeId=id),
            "eni-": lambda: self.ec2.delete_network_interface(NetworkInterfaceId=id),
            "eipa": lambda: self.ec2.release_address(AllocationId=id),
        }
        try:
            if "/" in id:
                self.kubectl("delete", id, "--ignore-not-found", "--wait=false")
            else:
                calls.get(id[:4], lambda: self._delete_zone(id))()
        except (self.ec2.exceptions.ClientError, self.route53.exceptions.ClientError, subprocess.CalledProcessError) as error:
            print(f"  {id}: {str(error)[:200]}; tried again")

    def _delete_zone(self, id: str) -> None:
        records = self.route53.list_resource_record_sets(HostedZoneId=id)["ResourceRecordSets"]
        changes = [{"Action": "DELETE", "ResourceRecordSet": one} for one in records if one["Type"] not in {"NS", "SOA"}]
        if changes:
            self.route53.change_resource_record_sets(HostedZoneId=id, ChangeBatch={"Changes": changes})
        self.route53.delete_hosted_zone(Id=id)

    def _is_ours(self, zone: str) -> bool:
        told = self.route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)["ResourceTagSet"]["Tags"]
        return {"Key": TAG, "Value": self.name} in told

    @property
    def _filters(self) -> list[dict[str, Any]]:
        return [{"Name": f"tag:{TAG}", "Values": [self.name]}]


def _tag(tags: list[dict[str, str]]) -> str:
    return next((tag["Value"] for tag in tags if tag["Key"] == "reconciler/address"), "")


def is_empty(plan: str) -> bool:
    """Whether the plan in JSON has nothing to do."""
    summary = json.loads(plan)["summary"]
    return not any(count for word, count in summary.items() if word != "keep")
