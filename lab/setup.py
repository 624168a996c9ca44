"""Fills the empty AWS and the empty API server, then publishes `lab.json`. Runs once, inside, as a child of init."""

from __future__ import annotations

import argparse
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import lightkube
from lightkube import codecs
from lightkube.models.core_v1 import NodeCondition
from lightkube.resources.core_v1 import Namespace, NodeStatus, ServiceAccount
from lightkube.resources.core_v1 import Node as LiveNode
from lightkube.types import PatchType

from lab import access, child, cloud, control_plane, defaults, layout, nodes, plugins, tool
from lab.aws.client import Switches
from lab.cloud import Cloud
from lab.error import LabError
from lab.layout import Layout

WITHIN = 60.0  # seconds for any one thing to come up
_AWS = f"http://{layout.AWS}:{layout.AWS_PORT}"


@dataclass(frozen=True, slots=True)
class Outside:
    """How the outer machine knows this lab: its init's pid, and a loopback port a forwarder."""

    pid: int
    api_server: int
    aws: int
    dns: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    for name in Outside.__dataclass_fields__:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, required=True)
    arguments = vars(parser.parse_args())
    directory = arguments.pop("dir")
    try:
        _set_up(directory, Outside(**arguments))
    except Exception as error:
        (directory / "failure").write_text(f"{type(error).__name__}: {error}")
        raise


def _set_up(directory: Path, outside: Outside) -> None:
    planned = nodes.planned()
    with ThreadPoolExecutor() as pool:
        furnishing = pool.submit(_furnish, directory, planned)
        client = _client(directory)
        _apply(client, access.rules())
        furnished = furnishing.result()
    _apply(client, nodes.objects(planned, furnished.instances))
    for node in planned:
        client.patch(NodeStatus, node.name, nodes.status(node), patch_type=PatchType.MERGE)
    (directory / "nodes.ready").touch()
    _await("the default service account", lambda: _has_service_account(client))
    _await("the nodes to be Ready", lambda: _are_ready(client, len(planned)))
    plugins.install(directory / "plugins", sys.executable)
    told = _layout(directory, outside, furnished)
    defaults.write(told)
    layout.write(told)


def _furnish(directory: Path, planned: list[nodes.Node]) -> Cloud:
    """The account as the first services find it. IAM begins to judge once the identities exist."""
    _await("AWS to answer", child.listening(layout.AWS, layout.AWS_PORT))
    session = boto3.Session("lab", "lab", region_name=layout.REGION)
    furnished = cloud.furnish(session.client("ec2", endpoint_url=_AWS), session.client("route53", endpoint_url=_AWS), planned)
    access.write_credentials(session.client("iam", endpoint_url=_AWS), directory / "aws" / "credentials")
    Switches(_AWS).arm_iam()
    return furnished


def _client(directory: Path) -> lightkube.Client:
    path = directory / "kube" / "judge-inside.kubeconfig"
    client = lightkube.Client(lightkube.KubeConfig.from_file(path), field_manager="lab", trust_env=False)
    _await("the API server", lambda: _answers(directory))
    (directory / control_plane.API_READY).touch()
    _await("the namespace default", lambda: _has_namespace(client))
    return client


def _answers(directory: Path) -> bool:
    trusted = ssl.create_default_context(cafile=str(directory / "pki" / "ca.crt"))
    try:
        urllib.request.urlopen(f"https://{layout.API_SERVER}:{layout.API_SERVER_PORT}/readyz", timeout=2, context=trusted).close()
    except OSError:  # it does not listen yet, or says 403 or 500
        return False
    return True


def _has_namespace(client: lightkube.Client) -> bool:
    """The API server makes `default` a moment after it is ready."""
    try:
        client.get(Namespace, "default")
    except lightkube.ApiError:
        return False
    return True


def _apply(client: lightkube.Client, documents: Iterable[dict[str, Any]]) -> None:
    for document in documents:
        client.apply(codecs.from_dict(document), force=True)


def _has_service_account(client: lightkube.Client) -> bool:
    accounts = client.list(ServiceAccount, namespace="default")
    return any(account.metadata and account.metadata.name == "default" for account in accounts)


def _are_ready(client: lightkube.Client, count: int) -> bool:
    ready = [node for node in client.list(LiveNode) if node.status and _says_ready(node.status.conditions or [])]
    return len(ready) == count


def _says_ready(conditions: Iterable[NodeCondition]) -> bool:
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def _await(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"waited {WITHIN:.0f} s for {what}", hint="the logs of the lab's processes are under logs/")
        time.sleep(0.1)


def _layout(directory: Path, outside: Outside, furnished: Cloud) -> Layout:
    credentials = directory / "aws" / "credentials"
    aws = layout.Aws(
        endpoint=f"http://127.0.0.1:{outside.aws}",
        endpoint_inside=_AWS,
        credentials_file=str(credentials),
        profiles={role: role for role in layout.ROLES},
        vpc=furnished.vpc,
        subnets=furnished.subnets,
        security_groups=furnished.security_groups,
        hosted_zones=furnished.hosted_zones,
    )
    kubernetes = layout.Kubernetes(
        server=f"https://127.0.0.1:{outside.api_server}",
        kubeconfigs={role: str(directory / "kube" / f"{role}.kubeconfig") for role in layout.ROLES},
    )
    return Layout(
        dir=str(directory),
        pid=outside.pid,
        region=layout.REGION,
        zones=list(layout.ZONES),
        aws=aws,
        kubernetes=kubernetes,
        dns=f"127.0.0.1:{outside.dns}",
        dns_inside=layout.DNS,
        plugins=str(directory / "plugins"),
        tools=tool.folder(),
    )


if __name__ == "__main__":
    main()
