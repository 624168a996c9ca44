"""A stack under the real engine with the lab's plugins, for the tests of these."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import multiprocessing
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest
from pulumi import automation
from pulumi.automation import OpType
from pulumi.automation._stack import StackInitMode

from lab import access, plugins
from lab.layout import Layout

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

    def info(self, show_secrets: bool = False) -> automation.UpdateSummary:  # noqa: FBT002 - the base's
        now = dt.datetime.now(dt.UTC)
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
        operations: dict[str, str] = apart(lambda: self._up(declare, **flags))
        return operations

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
        apart(lambda: str(self._stack(nothing).destroy().summary.result))

    def _stack(self, declare: Declare) -> automation.Stack:
        environment = {
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "PULUMI_HOME": str(self.folder / "home"),
            **self.environment,
        }
        settings = automation.ProjectSettings("proj", "python", backend=automation.ProjectBackend(f"file://{self.folder}"))
        work = self.folder / "work"  # without one of ours, the SDK makes a folder a run and leaves it
        work.mkdir(exist_ok=True)
        workspace = automation.LocalWorkspace(
            work_dir=str(work), program=lambda: self._program(declare), env_vars=environment, project_settings=settings
        )
        return Quick(self.name, workspace, StackInitMode.CREATE_OR_SELECT)

    def _program(self, declare: Declare) -> None:
        at: Any = {"ec2": self.lab.aws.endpoint, "route53": self.lab.aws.endpoint, "sts": self.lab.aws.endpoint}
        cloud = aws.Provider(
            "the-aws",
            region=self.lab.region,
            profile=self.lab.aws.profiles["judge"],  # what plugins do is tried here, not who may do it
            shared_credentials_files=[self.lab.aws.credentials_file],
            endpoints=[at],
            skip_metadata_api_check=True,
            skip_credentials_validation=True,
            skip_requesting_account_id=True,
        )
        cluster = kubernetes.Provider(
            "the-kubernetes",
            kubeconfig=self.lab.kubernetes.kubeconfigs["judge"],
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            **self.kubernetes_arguments,
        )
        declare(pulumi.ResourceOptions(provider=cloud), pulumi.ResourceOptions(provider=cluster))


def client(lab: Layout, service: Any) -> Any:
    """A client of the lab's AWS as the judge, who may do everything."""
    key, secret = access.read_credentials(Path(lab.aws.credentials_file), "judge")
    return boto3.client(service, region_name=lab.region, endpoint_url=lab.aws.endpoint, aws_access_key_id=key, aws_secret_access_key=secret)


@contextlib.contextmanager
def new_stack(lab: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A stack of the test's own, destroyed after it."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'plugins'}:{lab.tools}:{os.environ['PATH']}")
    plugins.install(tmp_path / "plugins", sys.executable)
    made = Stack(lab, tmp_path, environment={"PULUMI_K8S_ENABLE_PATCH_FORCE": "true"})
    yield made
    made.destroy()


def nothing(_aws: pulumi.ResourceOptions, _kubernetes: pulumi.ResourceOptions) -> None:
    """A program that declares nothing beside the providers."""


def _weight(op: str) -> int:
    """Which of the steps on one resource tells what happened to it."""
    return ["", "same", "read", "delete", "delete-replaced", "create", "create-replacement", "update", "import", "replace"].index(op)
