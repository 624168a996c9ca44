"""Bulk reads of what is live of members: one call a kind, through the ports, with the members' credentials."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reconciler import errors
from reconciler.members import live, unreachable
from reconciler.model.environment import Environment
from reconciler.ports import Cloud, Cluster, Payload
from reconciler.resources import kubernetes, marks, workload

FEW = 20  # names that one selector may hold
FILTERED, WITNESSES = 200, 5  # values that one filter of EC2's may hold, and how many of them vouch for the others


def leases(cluster: Cluster, environment: Environment) -> dict[str, live.Lease]:
    """The Leases of members, by member."""
    selector = f"{marks.ENVIRONMENT}={environment.name},{marks.SERVICE}"
    found = cluster.list(kubernetes.LEASE, namespace=environment.kubernetes.namespace, selector=selector)
    read = (live.lease(payload) for payload in found if payload["metadata"]["name"].startswith(live.LEASE_PREFIX))
    return {lease.member: lease for lease in read}


def pods(cluster: Cluster, environment: Environment, of: Collection[str] = ()) -> dict[str, tuple[live.Pod, ...]]:
    """The Pods of all members of the environment, by name; names of members are unique in it, whatever their namespace.

    Those of the StatefulSets *of* are enough, if there are few.
    """
    found: dict[str, tuple[live.Pod, ...]] = {}
    for pod in map(live.pod, cluster.list(kubernetes.POD, selector=_among(environment, workload.SET, of))):
        found[pod.name] = (*found.get(pod.name, ()), pod)
    return found


def sets(cluster: Cluster, environment: Environment, of: Collection[str] = ()) -> dict[tuple[str, str], live.Set]:
    """The StatefulSets of all services of the environment; those of the services *of* are enough, if there are few."""
    read = map(live.stateful_set, cluster.list(kubernetes.KINDS["StatefulSet"], selector=_among(environment, marks.SERVICE, of)))
    return {(one.namespace, one.name): one for one in read}


def _among(environment: Environment, label: str, names: Collection[str]) -> str:
    wanted = f"{label} in ({','.join(sorted(names))})" if 0 < len(names) <= FEW else label
    return f"{marks.ENVIRONMENT}={environment.name},{wanted}"


def nodes(cluster: Cluster) -> dict[str, live.Node]:
    return {node.name: node for node in map(live.node, cluster.list(kubernetes.NODE))}


def attachments(cluster: Cluster) -> dict[str, live.Attachment]:
    return {one.volume: one for one in map(live.attachment, cluster.list(kubernetes.ATTACHMENT))}


def interfaces(cloud: Cloud, environment: Environment) -> dict[str, live.Interface]:
    """The interfaces of the environment's members, by address."""
    ours = [{"Name": f"tag:{marks.ENVIRONMENT}", "Values": [environment.name]}]
    found: dict[str, live.Interface] = {}
    for page in cloud.pages("ec2", "describe_network_interfaces", Filters=ours):
        for payload in page.get("NetworkInterfaces", ()):
            tags = {tag["Key"]: tag["Value"] for tag in payload.get("TagSet", ())}
            if marks.ADDRESS in tags:
                found[tags[marks.ADDRESS]] = live.interface(payload)
    return found


def records(cloud: Cloud, zone: str) -> dict[str, live.Record]:
    """The A records of a hosted zone, by name."""
    pages = cloud.pages("route53", "list_resource_record_sets", HostedZoneId=zone)
    plain = (one for page in pages for one in page["ResourceRecordSets"] if one["Type"] == "A" and "SetIdentifier" not in one)
    return {record.fqdn: record for record in map(live.record, plain)}


def hosted_zone(cloud: Cloud, environment: Environment) -> str:
    """The id of the environment's hosted zone; "" while there is none.

    Raises:
        ProviderError: there are several of that name, and nothing says which one is meant.
    """
    pages = cloud.pages("route53", "list_hosted_zones_by_name", DNSName=environment.dns.zone)
    found = sorted(zone["Id"].rpartition("/")[2] for page in pages for zone in page["HostedZones"] if _is_meant(zone, environment))
    if len(found) > 1 and environment.dns.private and environment.aws.vpc:
        found = [id for id in found if _answers_in(cloud, id, environment.aws.vpc)] or found
    if len(found) > 1:
        text = f"there are {len(found)} hosted zones named {environment.dns.zone}: {', '.join(found)}"
        raise errors.ProviderError(text, hint="leave one of them, or give the environment a zone of its own (spec.dns.zone)")
    return found[0] if found else ""


def _answers_in(cloud: Cloud, zone: str, network: str) -> bool:
    """Whether a private zone is that of *network*: others of the account may have one of the same name."""
    told = cloud.call("route53", "get_hosted_zone", Id=zone)
    return any(one["VPCId"] == network for one in told.get("VPCs") or ())


def _is_meant(zone: Payload, environment: Environment) -> bool:
    is_private = bool(zone.get("Config", {}).get("PrivateZone"))
    return zone["Name"] == f"{environment.dns.zone}." and is_private is environment.dns.private


def members_on(cluster: Cluster, node: str) -> tuple[str, ...]:
    """The members whose Pods lie on *node*, of all environments: `lab/kv-0`."""
    found = (pod for pod in cluster.list(kubernetes.POD, selector=marks.SERVICE) if pod["spec"].get("nodeName") == node)
    return tuple(sorted(f"{pod['metadata']['labels'].get(marks.ENVIRONMENT, '-')}/{pod['metadata']['name']}" for pod in found))


def instances(cloud: Cloud, asked: Collection[str], witnesses: Collection[str]) -> dict[str, str]:
    """The states of the instances *asked* for, in one call (of 200).

    One that is not found is gone if a witness is found beside it: else it may be the wrong account or region that was asked, and nothing is
    known.
    """
    found: dict[str, str] = {}
    wanted, beside = sorted(asked), sorted(witnesses)[:WITNESSES]
    for start in range(0, len(wanted), FILTERED - WITNESSES):
        part = wanted[start : start + FILTERED - WITNESSES]
        states = {one["InstanceId"]: one["State"]["Name"] for one in _described(cloud, [*part, *beside])}
        missing = unreachable.GONE if any(id in states for id in beside) else ""
        found |= {id: state for id in part if (state := states.get(id, missing))}
    return found


def handles(cluster: Cluster, environment: Environment) -> dict[str, str]:
    """EBS's names of the environment's PersistentVolumes."""
    found = cluster.list(kubernetes.KINDS["PersistentVolume"], selector=f"{marks.ENVIRONMENT}={environment.name}")
    return {one["metadata"]["name"]: one["spec"].get("csi", {}).get("volumeHandle", "") for one in found}


def revisions(cluster: Cluster, environment: Environment) -> dict[str, str]:
    """When the newest revision of each StatefulSet of the environment was made, by its name. One that came back has no age of its own."""
    newest: dict[str, tuple[str, str]] = {}
    for one in cluster.list(kubernetes.REVISION, selector=f"{marks.ENVIRONMENT}={environment.name}"):
        metadata = one["metadata"]
        of, made = metadata["name"].rpartition("-")[0], (metadata["creationTimestamp"], metadata["name"])
        newest[f"{metadata['namespace']}/{of}"] = max(made, newest.get(f"{metadata['namespace']}/{of}", made))
    return {name: made for made, name in newest.values()}


def slots(cloud: Cloud, instances: Collection[str]) -> dict[str, tuple[int, int]]:
    """How many interfaces *instances* have, and how many their types may have."""
    found = list(_described(cloud, instances))
    types = sorted({one["InstanceType"] for one in found})
    pages = cloud.pages("ec2", "describe_instance_types", InstanceTypes=types) if types else iter(())
    limits = {one["InstanceType"]: one["NetworkInfo"]["MaximumNetworkInterfaces"] for page in pages for one in page["InstanceTypes"]}
    return {one["InstanceId"]: (len(one.get("NetworkInterfaces", ())), limits[one["InstanceType"]]) for one in found}


def _described(cloud: Cloud, ids: Collection[str]) -> Iterator[Payload]:
    """By a filter: asked by their ids, one that is missing would hide the others."""
    for page in cloud.pages("ec2", "describe_instances", Filters=[{"Name": "instance-id", "Values": list(ids)}]):
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]


def used_places(cloud: Cloud, instance: str) -> frozenset[int]:
    """The device indexes of an instance that hold an interface."""
    held = (held for one in _described(cloud, [instance]) for held in one.get("NetworkInterfaces", ()))
    return frozenset(one["Attachment"]["DeviceIndex"] for one in held)
