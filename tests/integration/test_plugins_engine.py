"""The plugins of the lab under the real engine and the unmodified SDKs: what is made, healed, replaced, imported, deleted, and kept secret."""

from __future__ import annotations

import base64
import datetime
import multiprocessing
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import lightkube
import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import StatefulSet
from lightkube.resources.core_v1 import ConfigMap, PersistentVolume, Secret, Service
from pulumi import automation
from pulumi.automation import OpType
from pulumi.automation._stack import StackInitMode

from lab import access, plugins
from lab.layout import Layout

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]  # the SDKs warn of themselves

# With `skipAwait` a deletion in the foreground is not awaited either, and the replacement would meet what it replaces.
SKIP_AWAIT = {"pulumi.com/skipAwait": "true", "pulumi.com/deletionPropagationPolicy": "background"}
Declare = Callable[[pulumi.ResourceOptions, pulumi.ResourceOptions], None]


class EngineFailed(Exception):
    """What the engine said when a run failed."""


def apart(work: Callable[[], Any]) -> Any:
    """Do *work* in a process of its own: a failed run of the SDK leaves loops, sockets and coroutines behind."""
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        try:
            theirs.send((True, work()))
        except Exception as error:  # noqa: BLE001 - told on the other side
            theirs.send((False, str(error)))
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    done, answer = ours.recv()
    process.join()
    if not done:
        raise EngineFailed(answer)
    return answer


class Quick(automation.Stack):
    """Spares the summaries after each run, which cost more than the run."""

    def outputs(self) -> automation.OutputMap:
        return {}

    def info(self, show_secrets: bool = False) -> automation.UpdateSummary:  # noqa: FBT001, FBT002 - the base's
        now = datetime.datetime.now(datetime.UTC)
        return automation.UpdateSummary("update", now, "", {}, {}, "succeeded")


@dataclass
class Stack:
    """One stack on a file backend; *declare* is told the options that lead to the lab's two providers."""

    lab: Layout
    folder: Path
    name: str = field(default_factory=lambda: f"s{uuid.uuid4().hex[:8]}")
    environment: dict[str, str] = field(default_factory=dict)
    kubernetes_arguments: dict[str, Any] = field(default_factory=dict)

    def up(self, declare: Declare, **flags: Any) -> dict[str, str]:
        """Refresh and update; the operation on each resource but the stack and the providers."""
        return apart(lambda: self._up(declare, **flags))

    def _up(self, declare: Declare, **flags: Any) -> dict[str, str]:
        operations: dict[str, str] = {}

        def note(event: automation.EngineEvent) -> None:
            step = event.resource_pre_event
            if step and not step.planning and not step.metadata.type.startswith("pulumi:") and step.metadata.op is not OpType.REFRESH:
                name = step.metadata.urn.split("::")[-1]
                operations[name] = max(operations.get(name, ""), str(step.metadata.op.value), key=_weight)

        self._stack(declare).up(refresh=True, on_event=note, **flags)
        return operations

    def preview(self, declare: Declare) -> dict[str, int]:
        summary = apart(lambda: self._stack(declare).preview(refresh=True).change_summary)
        return {str(op.value): count for op, count in summary.items()}

    def state(self) -> dict[str, dict[str, Any]]:
        """The resources of the stored state by name, secrets as they lie there."""
        stored = json.loads((self.folder / ".pulumi" / "stacks" / "proj" / f"{self.name}.json").read_text())
        return {resource["urn"].split("::")[-1]: resource for resource in stored["checkpoint"]["latest"].get("resources", [])}

    def destroy(self) -> None:
        apart(lambda: str(self._stack(_nothing).destroy().summary.result))

    def _stack(self, declare: Declare) -> automation.Stack:
        environment = {
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "PULUMI_HOME": str(self.folder / "home"),
            **self.environment,
        }
        settings = automation.ProjectSettings("proj", "python", backend=automation.ProjectBackend(f"file://{self.folder}"))
        workspace = automation.LocalWorkspace(program=lambda: self._program(declare), env_vars=environment, project_settings=settings)
        return Quick(self.name, workspace, StackInitMode.CREATE_OR_SELECT)

    def _program(self, declare: Declare) -> None:
        at = {"ec2": self.lab.aws.endpoint, "route53": self.lab.aws.endpoint, "sts": self.lab.aws.endpoint}
        cloud = aws.Provider(
            "the-aws",
            region=self.lab.region,
            profile=self.lab.aws.profiles["engine"],
            shared_credentials_files=[self.lab.aws.credentials_file],
            endpoints=[at],
            skip_metadata_api_check=True,
            skip_credentials_validation=True,
            skip_requesting_account_id=True,
        )
        cluster = kubernetes.Provider(
            "the-kubernetes",
            kubeconfig=self.lab.kubernetes.kubeconfigs["engine"],
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            **self.kubernetes_arguments,
        )
        declare(pulumi.ResourceOptions(provider=cloud), pulumi.ResourceOptions(provider=cluster))


@pytest.fixture
def stack(lab: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'plugins'}:{lab.tools}:{os.environ['PATH']}")
    plugins.install(tmp_path / "plugins", sys.executable)
    made = Stack(lab, tmp_path, environment={"PULUMI_K8S_ENABLE_PATCH_FORCE": "true"})
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def ec2(lab: Layout) -> Any:
    return _client(lab, "ec2")


@pytest.fixture(scope="module")
def route53(lab: Layout) -> Any:
    return _client(lab, "route53")


@pytest.fixture(scope="module")
def cluster(lab: Layout) -> lightkube.Client:
    config = lightkube.KubeConfig.from_file(lab.kubernetes.kubeconfigs["judge"])
    return lightkube.Client(config=config, field_manager="kubectl-edit")


def test_a_volume_is_made_kept_healed_grown_replaced_and_deleted(stack: Stack, ec2: Any) -> None:
    def declare(size: int = 5, zone: str = "us-east-1a") -> Declare:
        def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
            aws.ebs.Volume("data", availability_zone=zone, size=size, type="gp3", tags={"Name": stack.name, "a": "b"}, opts=to_aws)

        return program

    assert stack.up(declare()) == {"data": "create"}
    (volume,) = _volumes(ec2, stack.name)
    assert (volume["Size"], volume["VolumeType"], volume["AvailabilityZone"]) == (5, "gp3", "us-east-1a")
    assert stack.up(declare()) == {"data": "same"}

    ec2.create_tags(Resources=[volume["VolumeId"]], Tags=[{"Key": "a", "Value": "drifted"}, {"Key": "more", "Value": "x"}])
    assert stack.up(declare()) == {"data": "update"}
    (healed,) = _volumes(ec2, stack.name)
    assert {tag["Key"]: tag["Value"] for tag in healed["Tags"]} == {"Name": stack.name, "a": "b"}

    assert stack.up(declare(size=7)) == {"data": "update"}
    (grown,) = _volumes(ec2, stack.name)
    assert (grown["VolumeId"], grown["Size"]) == (volume["VolumeId"], 7)

    assert stack.up(declare(size=7, zone="us-east-1b")) == {"data": "replace"}
    (moved,) = _volumes(ec2, stack.name)
    assert moved["VolumeId"] != volume["VolumeId"]
    assert moved["AvailabilityZone"] == "us-east-1b"

    assert stack.up(_nothing) == {"data": "delete"}
    assert _volumes(ec2, stack.name) == []


def test_a_volume_deleted_behind_its_back_is_made_again(stack: Stack, ec2: Any) -> None:
    def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
        aws.ebs.Volume("data", availability_zone="us-east-1a", size=1, tags={"Name": stack.name}, opts=to_aws)

    stack.up(program)
    (volume,) = _volumes(ec2, stack.name)
    ec2.delete_volume(VolumeId=volume["VolumeId"])
    _gone(lambda: _volumes(ec2, stack.name))
    assert stack.up(program) == {"data": "create"}
    (again,) = _volumes(ec2, stack.name)
    assert again["VolumeId"] != volume["VolumeId"]


def test_a_volume_made_by_another_is_imported_and_then_its_own(stack: Stack, ec2: Any) -> None:
    made = ec2.create_volume(
        AvailabilityZone="us-east-1c",
        Size=3,
        VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": stack.name}]}],
    )

    def declare(to_aws: pulumi.ResourceOptions, import_: str | None) -> None:
        opts = pulumi.ResourceOptions.merge(to_aws, pulumi.ResourceOptions(import_=import_))
        aws.ebs.Volume("data", availability_zone="us-east-1c", size=3, type="gp3", tags={"Name": stack.name}, opts=opts)

    assert stack.up(lambda to_aws, _: declare(to_aws, made["VolumeId"])) == {"data": "import"}
    assert [volume["VolumeId"] for volume in _volumes(ec2, stack.name)] == [made["VolumeId"]]
    assert stack.up(lambda to_aws, _: declare(to_aws, None)) == {"data": "same"}


def test_a_record_heals_moves_and_goes(stack: Stack, route53: Any, lab: Layout) -> None:
    domain, zone = next(iter(lab.aws.hosted_zones.items()))
    name = f"{stack.name}.{domain}"

    def declare(ttl: int = 30, label: str = name) -> Declare:
        def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
            aws.route53.Record("name", zone_id=zone, name=label, type="A", ttl=ttl, records=["10.200.16.9", "10.200.16.8"], opts=to_aws)

        return program

    def live(of: str = name) -> list[Any]:
        sets = route53.list_resource_record_sets(HostedZoneId=zone, StartRecordName=of, MaxItems="1")["ResourceRecordSets"]
        return [found for found in sets if found["Name"] == f"{of}."]

    assert stack.up(declare()) == {"name": "create"}
    assert live()[0]["TTL"] == 30
    assert stack.up(declare()) == {"name": "same"}

    drifted = {"Name": name, "Type": "A", "TTL": 999, "ResourceRecords": [{"Value": "10.0.0.1"}]}
    route53.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": drifted}]}
    )
    assert stack.up(declare()) == {"name": "update"}
    assert live()[0]["TTL"] == 30
    assert {record["Value"] for record in live()[0]["ResourceRecords"]} == {"10.200.16.8", "10.200.16.9"}

    assert stack.up(declare(label=f"other-{name}")) == {"name": "replace"}
    assert live() == []
    assert len(live(f"other-{name}")) == 1
    assert stack.up(_nothing) == {"name": "delete"}
    assert live(f"other-{name}") == []


def test_a_record_that_exists_is_not_taken_over_and_can_be_imported(stack: Stack, route53: Any, lab: Layout) -> None:
    domain, zone = next(iter(lab.aws.hosted_zones.items()))
    name = f"{stack.name}.{domain}"
    there = {"Name": name, "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"mine"'}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": there}]})

    def declare(to_aws: pulumi.ResourceOptions, import_: str | None) -> None:
        opts = pulumi.ResourceOptions.merge(to_aws, pulumi.ResourceOptions(import_=import_))
        aws.route53.Record("name", zone_id=zone, name=name, type="TXT", ttl=60, records=["mine"], opts=opts)

    with pytest.raises(EngineFailed, match="InvalidChangeBatch.*already exists"):
        stack.up(lambda to_aws, _: declare(to_aws, None))
    assert stack.up(lambda to_aws, _: declare(to_aws, f"{zone}_{name}_TXT")) == {"name": "import"}
    assert stack.up(lambda to_aws, _: declare(to_aws, None)) == {"name": "same"}


def test_an_interface_with_an_address_keeps_its_ip_until_the_ip_is_changed(stack: Stack, ec2: Any, lab: Layout) -> None:
    subnet = lab.aws.subnets["us-east-1a"]

    def declare(ip: str = "10.200.20.7", note: str = "one") -> Declare:
        def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
            interface = aws.ec2.NetworkInterface(
                "face", subnet_id=subnet, private_ips=[ip], description=note, tags={"Name": stack.name}, opts=to_aws
            )
            aws.ec2.Eip("public", domain="vpc", network_interface=interface.id, tags={"Name": stack.name}, opts=to_aws)

        return program

    def live() -> list[Any]:
        found = ec2.describe_network_interfaces(Filters=[{"Name": "tag:Name", "Values": [stack.name]}])
        return list(found["NetworkInterfaces"])

    assert stack.up(declare()) == {"face": "create", "public": "create"}
    (face,) = live()
    assert face["PrivateIpAddress"] == "10.200.20.7"
    assert face["Association"]["PublicIp"] == stack.state()["public"]["outputs"]["publicIp"]
    assert stack.up(declare()) == {"face": "same", "public": "same"}
    assert stack.up(declare(note="two")) == {"face": "update", "public": "same"}
    assert stack.up(declare(ip="10.200.20.8", note="two")) == {"face": "replace", "public": "update"}
    (moved,) = live()
    assert (moved["PrivateIpAddress"], moved["NetworkInterfaceId"] != face["NetworkInterfaceId"]) == ("10.200.20.8", True)
    assert stack.up(_nothing) == {"face": "delete", "public": "delete"}
    assert live() == []


def test_default_tags_are_put_on_and_not_mistaken_for_drift(stack: Stack, ec2: Any) -> None:
    def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
        provider = aws.Provider(
            "the-tagging-aws",
            region="us-east-1",
            profile="engine",
            shared_credentials_files=[stack.lab.aws.credentials_file],
            endpoints=[{"ec2": stack.lab.aws.endpoint, "sts": stack.lab.aws.endpoint}],
            default_tags={"tags": {"Team": "x", "Name": "overridden"}},
            skip_credentials_validation=True,
            skip_requesting_account_id=True,
        )
        opts = pulumi.ResourceOptions(provider=provider)
        aws.ebs.Volume("data", availability_zone="us-east-1a", size=1, tags={"Name": stack.name}, opts=opts)

    assert stack.up(program) == {"data": "create"}
    (volume,) = _volumes(ec2, stack.name)
    assert {tag["Key"]: tag["Value"] for tag in volume["Tags"]} == {"Name": stack.name, "Team": "x"}
    assert stack.up(program) == {"data": "same"}


def test_a_stateful_set_heals_releases_and_is_replaced(stack: Stack, cluster: lightkube.Client) -> None:
    def declare(image: str = "redis:8.0", service: str = "one", labels: dict[str, str] | None = None) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            kubernetes.apps.v1.StatefulSet("set", opts=to_kubernetes, **_stateful_set(stack.name, image, service, labels))

        return program

    def live() -> Any:
        return cluster.get(StatefulSet, stack.name)

    assert stack.up(declare(labels={"extra": "yes"})) == {"set": "create"}
    (owner,) = [entry.manager for entry in live().metadata.managedFields if entry.manager.startswith("pulumi-kubernetes-")]
    assert stack.state()["set"]["outputs"]["__fieldManager"] == owner
    assert stack.up(declare(labels={"extra": "yes"})) == {"set": "same"}

    patch = {"spec": {"template": {"spec": {"containers": [{"name": "redis", "image": "redis:7.0"}]}}}}
    cluster.patch(StatefulSet, stack.name, patch)
    assert stack.up(declare(labels={"extra": "yes"})) == {"set": "update"}
    assert live().spec.template.spec.containers[0].image == "redis:8.0"
    assert owner in {entry.manager for entry in live().metadata.managedFields}

    assert stack.up(declare()) == {"set": "update"}
    assert "extra" not in (live().metadata.labels or {})
    before = live().metadata.uid
    assert stack.up(declare(service="two")) == {"set": "replace"}
    assert live().metadata.uid != before
    assert stack.up(_nothing) == {"set": "delete"}
    with pytest.raises(ApiError, match="not found"):
        live()


def test_another_owners_field_is_a_conflict_unless_forced(stack: Stack, cluster: lightkube.Client) -> None:
    stack.environment = {}

    def declare(force: bool) -> Declare:  # noqa: FBT001 - a test's switch
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            annotations = {"pulumi.com/patchForce": "true"} if force else {}
            metadata = {"name": stack.name, "namespace": "default", "annotations": annotations}
            kubernetes.core.v1.ConfigMap("config", metadata=metadata, data={"a": "1"}, opts=to_kubernetes)

        return program

    stack.up(declare(force=False))
    cluster.patch(ConfigMap, stack.name, {"data": {"a": "drifted"}})
    with pytest.raises(EngineFailed, match=r'(?s)field conflict detected.*conflict with "kubectl-edit"'):
        stack.up(declare(force=False))
    assert stack.up(declare(force=True)) == {"config": "update"}
    assert cluster.get(ConfigMap, stack.name).data == {"a": "1"}


def test_a_config_map_is_changed_in_place_where_that_is_allowed_and_replaced_where_not(stack: Stack, cluster: lightkube.Client) -> None:
    def declare(value: str, **more: Any) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            kubernetes.core.v1.ConfigMap("config", metadata={"name": stack.name}, data={"a": value}, opts=to_kubernetes, **more)

        return program

    stack.up(declare("1"))
    before = cluster.get(ConfigMap, stack.name).metadata.uid
    assert stack.up(declare("2")) == {"config": "update"}
    assert cluster.get(ConfigMap, stack.name).metadata.uid == before
    assert stack.up(declare("2", immutable=True)) == {"config": "update"}
    assert stack.up(declare("3", immutable=True)) == {"config": "replace"}
    found = cluster.get(ConfigMap, stack.name)
    assert (found.data, found.metadata.uid != before) == ({"a": "3"}, True)


def test_a_secret_is_secret_in_the_state_and_right_in_the_cluster(stack: Stack, cluster: lightkube.Client) -> None:
    password = f"hunter-{uuid.uuid4().hex}"

    def declare(value: str) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            kubernetes.core.v1.Secret("secret", metadata={"name": stack.name}, string_data={"password": value}, opts=to_kubernetes)
            data = {"said": pulumi.Output.secret(value)}
            kubernetes.core.v1.ConfigMap("config", metadata={"name": f"{stack.name}-said"}, data=data, opts=to_kubernetes)

        return program

    def known() -> str:
        return base64.b64decode(cluster.get(Secret, stack.name).data["password"]).decode()

    assert stack.up(declare(password)) == {"secret": "create", "config": "create"}
    assert known() == password
    exported = json.dumps(stack.state())
    assert password not in exported
    assert base64.b64encode(password.encode()).decode() not in exported
    assert stack.up(declare(password)) == {"secret": "same", "config": "same"}
    cluster.patch(Secret, stack.name, {"stringData": {"password": "drifted"}})
    assert stack.up(declare(password)) == {"secret": "update", "config": "same"}
    assert known() == password
    assert password not in json.dumps(stack.state())


def test_quantities_and_what_others_add_are_no_drift(stack: Stack, cluster: lightkube.Client) -> None:
    def declare(size: str) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            kubernetes.core.v1.PersistentVolume(
                "volume",
                metadata={"name": stack.name},
                spec={
                    "capacity": {"storage": size},
                    "access_modes": ["ReadWriteOnce"],
                    "storage_class_name": "",
                    "csi": {"driver": "ebs.csi.aws.com", "volume_handle": "vol-0"},
                },
                opts=to_kubernetes,
            )

        return program

    assert stack.up(declare("1024Mi")) == {"volume": "create"}
    cluster.patch(PersistentVolume, stack.name, {"metadata": {"labels": {"of-another": "yes"}}})
    assert stack.up(declare("1024Mi")) == {"volume": "same"}
    assert cluster.get(PersistentVolume, stack.name).metadata.labels == {"of-another": "yes"}
    assert stack.up(declare("2Gi")) == {"volume": "update"}


def test_an_object_without_a_name_gets_one_and_keeps_it(stack: Stack, cluster: lightkube.Client) -> None:
    def declare(port: int) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            spec = {"cluster_ip": "None", "ports": [{"name": "p", "port": port}], "selector": {"app": "x"}}
            kubernetes.core.v1.Service(stack.name, metadata={"annotations": SKIP_AWAIT}, spec=spec, opts=to_kubernetes)

        return program

    stack.up(declare(1000))
    name = stack.state()[stack.name]["outputs"]["metadata"]["name"]
    assert name.startswith(f"{stack.name}-")
    assert len(name) == len(stack.name) + 9
    assert stack.up(declare(1001)) == {stack.name: "update"}
    assert cluster.get(Service, name).spec.ports[0].port == 1001


def test_an_object_that_exists_is_refused_imported_or_taken_over_when_told_to(stack: Stack, cluster: lightkube.Client) -> None:
    cluster.create(ConfigMap(metadata=ObjectMeta(name=stack.name, namespace="default"), data={"a": "1"}))

    def declare(import_: str | None) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            opts = pulumi.ResourceOptions.merge(to_kubernetes, pulumi.ResourceOptions(import_=import_))
            kubernetes.core.v1.ConfigMap("config", metadata={"name": stack.name, "namespace": "default"}, data={"a": "1"}, opts=opts)

        return program

    with pytest.raises(EngineFailed, match="already exists"):
        stack.up(declare(None))
    assert stack.up(declare(f"default/{stack.name}")) == {"config": "import"}
    assert stack.up(declare(None)) == {"config": "same"}
    stack.up(_nothing)
    cluster.create(ConfigMap(metadata=ObjectMeta(name=stack.name, namespace="default"), data={"b": "2"}))
    stack.kubernetes_arguments = {"upsert_existing_objects": True}
    assert stack.up(declare(None)) == {"config": "create"}
    assert cluster.get(ConfigMap, stack.name).data == {"a": "1", "b": "2"}


def test_a_set_that_never_gets_ready_is_reported_with_what_it_lacks(stack: Stack) -> None:
    def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
        arguments = _stateful_set(stack.name, "no-such-image:1", "one", {})
        arguments["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "3"}
        kubernetes.apps.v1.StatefulSet("set", opts=to_kubernetes, **arguments)

    with pytest.raises(EngineFailed, match=r"(?s)timed out waiting to be Ready.*0 out of 1 replicas succeeded readiness checks"):
        stack.up(program)
    assert stack.state()["set"]["id"] == f"default/{stack.name}"  # made, known, and to be tried again


def test_a_preview_shows_what_the_api_server_would_refuse(stack: Stack) -> None:
    def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
        labels = {"label": "x" * 64}
        kubernetes.core.v1.ConfigMap("config", metadata={"name": stack.name, "labels": labels}, data={"a": "1"}, opts=to_kubernetes)

    with pytest.raises(EngineFailed, match="must be no more than 63"):
        stack.preview(program)


def _stateful_set(name: str, image: str, service: str, labels: dict[str, str] | None) -> dict[str, Any]:
    containers = [{"name": "redis", "image": image, "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]
    return {
        "metadata": {"name": name, "annotations": SKIP_AWAIT, "labels": labels or {}},
        "spec": {
            "service_name": service,
            "replicas": 1,
            "selector": {"match_labels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"node_selector": {"no": "node"}, "containers": containers}},
        },
    }


def _nothing(_aws: pulumi.ResourceOptions, _kubernetes: pulumi.ResourceOptions) -> None:
    """A program that declares nothing beside the providers."""


def _weight(op: str) -> int:
    """Which of the steps on one resource tells what happened to it."""
    return ["", "same", "read", "delete", "delete-replaced", "create", "create-replacement", "update", "import", "replace"].index(op)


def _client(lab: Layout, service: Any) -> Any:
    key, secret = access.read_credentials(Path(lab.aws.credentials_file), "judge")
    return boto3.client(
        service, region_name=lab.region, endpoint_url=lab.aws.endpoint, aws_access_key_id=key, aws_secret_access_key=secret
    )


def _volumes(ec2: Any, name: str) -> list[Any]:
    found = ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": [name]}])["Volumes"]
    return [volume for volume in found if volume["State"] not in {"deleting", "deleted"}]


def _gone(what: Callable[[], list[Any]]) -> None:
    import time

    deadline = time.monotonic() + 20
    while what():
        assert time.monotonic() < deadline, "still there"
        time.sleep(0.1)
