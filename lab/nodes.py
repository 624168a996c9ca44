"""The lab's nodes as AWS and Kubernetes know them: an instance, a Node and a CSINode each. What runs on them is the agent's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lab import layout

DRIVER = "ebs.csi.aws.com"
INSTANCE_TYPE: Final = "m5.4xlarge"  # eight interfaces: seven members with an address of their own
VOLUMES_A_NODE = 25
_CAPACITY = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}
_FIRST_HOST = 11  # AWS keeps the first four addresses of a subnet


@dataclass(frozen=True, slots=True)
class Node:
    """A node before its instance has an id."""

    name: str
    zone: str
    address: str


def planned(each: int = 2) -> list[Node]:
    """*each* nodes a zone: `node-a1`, `node-a2`, `node-b1`, …"""
    return [
        Node(f"node-{zone[-1]}{number}", zone, str(ipaddress.ip_network(subnet)[_FIRST_HOST + number - 1]))
        for zone, subnet in zip(layout.ZONES, layout.SUBNETS, strict=True)
        for number in range(1, each + 1)
    ]


def objects(nodes: Iterable[Node], instances: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """What Kubernetes must know before a volume can follow a Pod to *nodes*, whose *instances* go by node name."""
    yield {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": True, "podInfoOnMount": False, "volumeLifecycleModes": ["Persistent"]},
    }
    yield {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "gp3", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": DRIVER,
        "parameters": {"type": "gp3"},
        "allowVolumeExpansion": True,
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    for node in nodes:
        yield _node(node, instances[node.name])
        yield _csi_node(node, instances[node.name])


def status(node: Node) -> dict[str, Any]:
    """Where the node is and what it holds; its conditions are the agent's word."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name},
        "status": {
            "addresses": [{"type": "InternalIP", "address": node.address}, {"type": "Hostname", "address": node.name}],
            "capacity": _CAPACITY,
            "allocatable": _CAPACITY,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    }


def _node(node: Node, instance: str) -> dict[str, Any]:
    labels = {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": INSTANCE_TYPE,
        "topology.kubernetes.io/region": layout.REGION,
        "topology.kubernetes.io/zone": node.zone,
        f"topology.{DRIVER}/zone": node.zone,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": labels,
            # a kubelet sets it; without it the controller manager makes no VolumeAttachment for the node
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": {"providerID": f"aws:///{node.zone}/{instance}"},
    }


def _csi_node(node: Node, instance: str) -> dict[str, Any]:
    driver = {
        "name": DRIVER,
        "nodeID": instance,
        "topologyKeys": ["topology.kubernetes.io/zone"],
        "allocatable": {"count": VOLUMES_A_NODE},
    }
    return {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": node.name}, "spec": {"drivers": [driver]}}
