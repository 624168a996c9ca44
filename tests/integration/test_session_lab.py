"""The component side against a real control plane: Jobs, Pods, Secrets, ssh to machines with keys of their own."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lab import hosts as machines
from lab import lifecycle
from lab.hosts import Hosts
from lab.layout import Layout
from providers.branch import tips
from providers.kubernetes import Kubernetes
from providers.session_directory import no_secret
from providers.session_jobs import JOB, JobRunner
from providers.sqlite import SqliteRecords
from reconciler.components.controller import Controller
from reconciler.components.summary import Standing
from reconciler.model.component import Components
from reconciler.model.configuration import Configuration, Layer
from reconciler.model.desired import Desired
from reconciler.model.environment import Ssh
from reconciler.model.outcome import Done, Failed, Waiting
from reconciler.ports import ObjectKind
from tests.clocks import WALL
from tests.component_samples import components, desired
from tests.integration.test_session_callback import commit

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("lab_can_run")]

SECRET = ObjectKind("v1", "Secret", "secrets")
NAMES = ("m1", "m2", "m3")
PATIENCE = 180.0


class Site:
    """Three machines in a lab of their own, and a reconciler that may do what its role may."""

    def __init__(self, lab: Layout, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.machines: Hosts = machines.start(lab, NAMES)
        self.secret("ssh-key", {"ssh-privatekey": self.machines.key.read_bytes()})
        self.secret("known-hosts", {"known_hosts": self.machines.known_hosts.read_bytes()})
        self.cluster = Kubernetes(str(lab.kubernetes.kubeconfigs["reconciler"]))
        self.records = SqliteRecords(folder / "store.db", "lab")
        self.restart()

    def secret(self, name: str, content: dict[str, bytes]) -> None:
        """As a person would make it."""
        encoded = {key: base64.b64encode(value).decode() for key, value in content.items()}
        with closing(Kubernetes(str(self.lab.kubernetes.kubeconfigs["judge"]))) as judge:
            judge.create(
                SECRET, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": encoded}
            )

    def restart(self) -> None:
        runner = JobRunner(self.cluster, self.wish(()).environment, WALL)
        self.controller = Controller(self.records, runner, WALL, tips(no_secret))

    def nodes(self, **fields: Any) -> Components:
        where = {host.name: {"ansible_host": host.address} for host in self.machines.hosts}
        return components("m[1-3]", hosts=where, **fields)

    def wish(self, layers: tuple[Layer, ...], **fields: Any) -> Desired:
        ssh = Ssh(user="root", key_secret="ssh-key", known_hosts_secret="known-hosts")
        configurations = (Configuration(name="compute", layers=layers),) if layers else ()
        return desired(self.nodes(**fields), configurations=configurations, ssh=ssh, deadline="2m")

    def push(self, name: str, *tasks: dict[str, Any]) -> Layer:
        play = {"name": "only", "hosts": "all", "gather_facts": False, "tasks": list(tasks)}
        clone = commit(self.folder / name, {"site.yml": json.dumps([play])})
        return Layer(clone_url=clone.clone_url, playbook="site.yml", commit=clone.commit)

    def settle(self, wish: Desired) -> Standing:
        until = time.monotonic() + PATIENCE
        while True:
            (standing,) = self.controller.tick(wish, sweep=True)
            if not isinstance(standing.outcome, Waiting):
                return standing
            assert time.monotonic() < until, standing
            time.sleep(0.3)

    def read(self, name: str, path: str) -> str:
        root = next(host.root for host in self.machines.hosts if host.name == name)
        return (root / path).read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, lab_can_run: None) -> Iterator[Site]:
    """A lab of its own: its machines are started once, and `ended` Jobs are counted."""
    folder = tmp_path_factory.mktemp("sessions")
    running, _ = lifecycle.up(folder / "lab")
    one = Site(running, folder)
    yield one
    one.records.close()
    one.cluster.close()
    lifecycle.down(folder / "lab")


def write(path: str, text: str) -> dict[str, Any]:
    return {"ansible.builtin.copy": {"dest": path, "content": text}}


def test_machines_are_configured_over_ssh_by_jobs_and_a_failing_one_comes_round(site: Site) -> None:
    """m2 fails until it was tried twice: it counts its own attempts."""
    attempt = "echo x >> /srv/attempts; test $(wc -l < /srv/attempts) -gt 2"
    count = {"name": "count", "ansible.builtin.shell": attempt, "when": "inventory_hostname == 'm2'"}
    base, extra = site.push("base", count, write("/srv/base", "one")), site.push("extra", write("/srv/extra", "one"))
    standing = site.settle(site.wish((base, extra)))
    assert (standing.outcome, standing.summary.configured) == (Done(), 3)
    assert {site.read(name, f"srv/{layer}") for name in NAMES for layer in ("base", "extra")} == {"one"}
    assert site.read("m2", "srv/attempts") == "x\n" * 3
    jobs = {job["metadata"]["name"] for job in site.cluster.list(JOB, namespace="default")}
    assert jobs == {one.name for one in site.records.sessions()}
    assert [one.members for one in reversed(site.records.sessions()) if "m2" in one.members] == [NAMES, ("m2",), ("m2",)]


def test_a_job_deleted_by_hand_is_counted_and_run_again(site: Site) -> None:
    slow = site.push("slow", {"ansible.builtin.command": "/bin/sleep 4"}, write("/srv/slow", "done"))
    wish = site.wish((slow,))
    site.controller.tick(wish, sweep=True)
    (session,) = site.records.live()
    assert site.cluster.delete(JOB, session.name, namespace="default")
    assert site.settle(wish).outcome == Done()
    assert [one.succeeded for one in site.records.sessions(limit=2)] == ["true", "unknown"]
    assert {site.read(name, "srv/slow") for name in NAMES} == {"done"}


def test_a_layer_without_its_playbook_fails_with_what_the_clone_said(site: Site) -> None:
    layer = site.push("broken", write("/srv/never", "x")).model_copy(update={"playbook": "missing.yml"})
    standing = site.settle(site.wish((layer,), retry_policy=1))
    assert isinstance(standing.outcome, Failed)
    assert "has no playbook missing.yml" in standing.outcome.message


def test_a_machine_with_another_key_than_is_known_is_not_trusted(site: Site) -> None:
    """Ansible's own words come through: unreachable counts as failed."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(site.folder / "stranger")], check=True)
    public = (site.folder / "stranger.pub").read_text().rsplit(" ", 1)[0]
    known = "".join(f"{host.address} {public}\n" for host in site.machines.hosts)
    site.secret("wrong-hosts", {"known_hosts": known.encode()})
    layer = site.push("untrusted", write("/srv/never", "x"))
    ssh = Ssh(user="root", key_secret="ssh-key", known_hosts_secret="wrong-hosts")
    wish = desired(site.nodes(retry_policy=1), configurations=(Configuration(name="compute", layers=(layer,)),), ssh=ssh)
    runner = JobRunner(site.cluster, wish.environment, WALL)
    site.controller = Controller(site.records, runner, WALL, tips(no_secret))
    standing = site.settle(wish)
    site.restart()
    assert isinstance(standing.outcome, Failed)
    assert "Host key verification failed" in standing.outcome.message or "HOST IDENTIFICATION HAS CHANGED" in standing.outcome.message
    assert not any((host.root / "srv" / "never").exists() for host in site.machines.hosts)
