"""Live state as outsiders see it: AWS by boto3, the cluster by kubectl, names by a resolver; nothing of our own commands' words."""

from __future__ import annotations

import base64
import json
import subprocess
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

_KINDS = "statefulsets,controllerrevisions,poddisruptionbudgets,pods,jobs,persistentvolumeclaims,services,configmaps,secrets,leases"
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
        (zone_id,) = self._zone_ids(f"{zone}.")
        pages = self.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
        found: list[dict[str, Any]] = [dict(one) for page in pages for one in page["ResourceRecordSets"] if one["Type"] == "A"]
        assert len({one["Name"] for one in found}) == len(found)
        return {one["Name"].rstrip("."): one for one in found}

    def set_record(self, zone: str, record: Mapping[str, Any]) -> None:
        (zone_id,) = self._zone_ids(f"{zone}.")
        change: Any = {"Action": "UPSERT", "ResourceRecordSet": dict(record)}
        self.route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": [change]})

    def resolve(self, name: str) -> list[str]:
        """What the lab's DNS server answers."""
        resolver = dns.resolver.Resolver(configure=False)
        host, _, port = self.told["dns"].rpartition(":")
        resolver.nameservers, resolver.port, resolver.lifetime = [host], int(port), 10.0
        return sorted(answer.to_text() for answer in resolver.resolve(f"{name}.", "A", search=False))

    def secret(self, name: str, key: str) -> str:
        """A value that was generated."""
        (one,) = (one for one in self.objects("secrets").values() if one["metadata"]["name"] == name)
        return base64.b64decode(one["data"][key]).decode()

    def objects(self, kind: str, *selectors: str) -> dict[str, dict[str, Any]]:
        """Kubernetes objects of one kind, by name."""
        wanted = [word for selector in selectors for word in ("-l", selector)]
        items = json.loads(self.workshop.kubectl("get", kind, "-o", "json", *wanted))["items"]
        return {one["metadata"]["name"]: one for one in items}

    def standing(self, environment: str) -> dict[str, Any]:
        """All that is there of *environment*, by what it is and not by ids that differ each time."""
        return {**self.standing_in_aws(environment), "objects": self._objects(environment)}

    def standing_in_aws(self, environment: str) -> dict[str, Any]:
        here = {"Filters": [{"Name": f"tag:{ENVIRONMENT}", "Values": [environment]}]}
        interfaces = self.ec2.describe_network_interfaces(**here)["NetworkInterfaces"]  # type: ignore[arg-type]
        known = {one["NetworkInterfaceId"]: tags({"Tags": one["TagSet"]})[ADDRESS] for one in interfaces}
        return {
            "volumes": sorted(_volume(one) for one in self.ec2.describe_volumes(**here)["Volumes"]),  # type: ignore[arg-type]
            "interfaces": sorted([known[one["NetworkInterfaceId"]], one["AvailabilityZone"], one["Status"]] for one in interfaces),
            "addresses": sorted(
                [tags(one)[ADDRESS], known.get(one.get("NetworkInterfaceId", ""), "")]
                for one in self.ec2.describe_addresses(**here)["Addresses"]  # type: ignore[arg-type]
            ),
            "zones": self._zones(f"{environment}.internal."),
        }

    def _zones(self, name: str) -> list[list[list[Any]]]:
        """The record sets of every hosted zone of that name; of whose address they say, only that it is answered."""
        found = []
        for zone_id in self._zone_ids(name):
            records = self.route53.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
            found.append([[one["Name"], one["Type"], one["TTL"], len(one["ResourceRecords"])] for one in records])
        return found

    def _zone_ids(self, name: str) -> list[str]:
        """Of every hosted zone called *name*; a page has a hundred zones."""
        pages = self.route53.get_paginator("list_hosted_zones").paginate()
        return [one["Id"] for page in pages for one in page["HostedZones"] if one["Name"] == name]

    def _objects(self, environment: str) -> list[list[Any]]:
        """Kubernetes objects of its namespace, and those of no namespace that carry its label."""
        own = json.loads(self.workshop.kubectl("get", _KINDS, "-n", environment, "-o", "json"))["items"]
        label = f"{ENVIRONMENT}={environment}"
        shared = json.loads(self.workshop.kubectl("get", "persistentvolumes,storageclasses", "-l", label, "-o", "json"))["items"]
        return sorted(_object(one) for one in (*own, *shared))

    def holder(self, environment: str) -> str:
        """Who holds the lease `apply`; "" where nobody does."""
        lease = json.loads(self.workshop.kubectl("get", "lease", "apply", "-n", environment, "-o", "json"))
        return str(lease["spec"].get("holderIdentity") or "")

    def create(self, objects: list[dict[str, Any]]) -> None:
        """Make *objects*, in order."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        words = ("kubectl", "create", "-f", "-")
        ended = subprocess.run(words, env=self.workshop.environment, input=text, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr

    def clear(self, environment: str) -> None:
        """Take away what *environment* has on nodes: its namespace with all Pods, interfaces and addresses. Volumes and names stay."""
        self.workshop.kubectl("delete", "namespace", environment, "--wait=false", "--ignore-not-found")
        here: Any = {"Filters": [{"Name": f"tag:{ENVIRONMENT}", "Values": [environment]}]}
        for address in self.ec2.describe_addresses(**here)["Addresses"]:
            if "AssociationId" in address:
                self.ec2.disassociate_address(AssociationId=address["AssociationId"])
            self.ec2.release_address(AllocationId=address["AllocationId"])
        for interface in self.ec2.describe_network_interfaces(**here)["NetworkInterfaces"]:
            if "Attachment" in interface:
                self.ec2.detach_network_interface(AttachmentId=interface["Attachment"]["AttachmentId"], Force=True)

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


def _volume(one: Mapping[str, Any]) -> list[Any]:
    """A volume without its id."""
    return [tags(one)[ADDRESS], one["Size"], one["VolumeType"], one["AvailabilityZone"], one["State"], len(one["Attachments"])]


def _object(one: Mapping[str, Any]) -> list[Any]:
    """A Kubernetes object by what it is: those whose names are made up go by their owner's kind or by what they are for."""
    kind, metadata, status = one["kind"], one["metadata"], one.get("status", {})
    owner = next((owner["kind"] for owner in metadata.get("ownerReferences", ())), "")
    match kind:
        case "Pod" if owner == "Job":
            return [kind, "of a session", status["phase"]]
        case "Pod":
            ready = {condition["type"]: condition["status"] for condition in status.get("conditions", ())}.get("Ready")
            return [kind, metadata["name"], f"ready: {ready}"]
        case "Job":
            return [kind, metadata["annotations"]["reconciler/members"], f"succeeded: {status.get('succeeded', 0)}"]
        case "ControllerRevision":
            return [kind, metadata["ownerReferences"][0]["name"], str(one["revision"])]
        case "Lease":
            return [kind, metadata["name"], "held" if one["spec"].get("holderIdentity") else "free"]
        case _:
            return [kind, metadata["name"], str(status.get("phase", ""))]


def _by_address(things: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in things:
        if ENVIRONMENT in tags(one) or ADDRESS in tags(one):
            found[tags(one).get(ADDRESS, "")].append(one)
    return dict(found)
