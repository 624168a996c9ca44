"""The demo's first steps: a lab, a config repository, machines that let Ansible in."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from lab import hosts, layout, lifecycle, tool
from lab.demo import place
from lab.demo.stage import Stage
from lab.error import LabError

MACHINES = tuple(f"node{number:02d}" for number in range(1, 13))
_OWN = ("root", "srv", "opt", "tmp", "etc")
_LOCALLY = """\
  vars: {{ansible_connection: local, ansible_python_interpreter: "{python}", root: "{root}/{{{{ inventory_hostname }}}}"}}
"""


def bring_up(stage: Stage) -> None:
    """A lab, whatever was there before."""
    if layout.is_held(place.LAB.absolute()):
        stage.say("A lab is still up here; this one begins from nothing.")
        stage.reconcile("lab", "down")
    stage.say("etcd, the Kubernetes API server with its controllers and scheduler, nodes in three zones; moto with a strict front as AWS.")
    stage.reconcile("lab", "up")
    nodes = stage.run(["kubectl", "get", "nodes", "-L", "topology.kubernetes.io/zone"]).stdout
    stage.check(nodes.count(" Ready ") == len(nodes.splitlines()) - 1 >= 3, "every node is Ready")


def make_repositories(stage: Stage) -> None:
    """The config repository from specs/lab, and beside it the one with the playbooks."""
    stage.say("Everything below reads the bare repository config.git; nothing reads a working tree.")
    specs, layers = (os.path.relpath(tool.root() / path) for path in ("specs/lab", "lab/layers"))
    _begin(stage, "config", f"mkdir -p {place.SPECS.parent} && cp -r {specs} {place.SPECS.parent}")
    _left_out(stage)
    _push(stage, "config", "Begin")
    _begin(stage, "layers", f"cp -r {layers} {place.FOLDER}/layers")
    _push(stage, "layers", "Begin")


def _begin(stage: Stage, name: str, fill: str) -> None:
    stage.shell(f"git init -q --bare -b main {place.FOLDER}/{name}.git")
    stage.shell(f"{fill} && git init -q -b main {place.FOLDER}/{name}")
    stage.quiet_shell(f"git -C {place.FOLDER}/{name} remote add origin ../{name}.git")


def _push(stage: Stage, name: str, message: str) -> None:
    stage.shell(f"git -C {place.FOLDER}/{name} add . && git -C {place.FOLDER}/{name} commit -qm '{message}'")
    stage.shell(f"git -C {place.FOLDER}/{name} push -q -u origin main")


def _left_out(stage: Stage) -> None:
    """Take out of the specs what this machine has no programs for, and say so."""
    if not place.has("redis-server", "redis-cli"):
        raise LabError(
            "redis-server and redis-cli are not there", hint="install them (`make setup` does, as root with apt), and begin again"
        )
    if not place.has("java") or not Path("/usr/share/java/zookeeper.jar").exists():
        stage.say("There is no ZooKeeper on this machine: the service zk is left out.")
        (place.SPECS / "services" / "zk.yaml").unlink()
    if not place.can_have_machines():
        stage.say("There can be no sshd here: sessions run here and connect locally, and each machine is a folder.")
        nodes, environment = place.SPECS / "components" / "nodes.yaml", place.SPECS / "environment.yaml"
        nodes.write_text(nodes.read_text() + _LOCALLY.format(python=sys.executable, root=(place.LAB / "hosts").absolute()))
        environment.write_text(re.sub(r"ssh: .*", "executor: local", environment.read_text()))


def start_machines(stage: Stage) -> None:
    """Twelve machines, each an sshd with an address and keys of its own; their keys as Secrets, as a user would put them there."""
    folder = place.LAB / "hosts"
    if not place.can_have_machines():
        stage.say(f"Twelve folders, {folder}/{MACHINES[0]} and so on, in place of machines.")
        for name in MACHINES:
            for own in _OWN:
                (folder / name / own).mkdir(parents=True)
        return
    stage.say("Twelve sshd processes, each with an address, host key, /etc, /root, /srv and /opt of its own. Ansible's key is a Secret.")
    stage.show_python(f"lab.hosts.start(lab, ['{MACHINES[0]}', …, '{MACHINES[-1]}'])")
    started = hosts.start(place.running(), MACHINES)
    stage.shell(f"kubectl create secret generic ansible-ssh --from-file=ssh-privatekey={folder}/id_ed25519")
    stage.shell(f"kubectl create secret generic ansible-known-hosts --from-file=known_hosts={folder}/known_hosts")
    first = started.hosts[0]
    keys = f"-i {folder}/id_ed25519 -o UserKnownHostsFile={folder}/known_hosts"
    said = stage.reconcile("lab", "exec", "--", "ssh", *keys.split(), f"root@{first.address}", "hostname").stdout
    stage.check(said.strip() == first.name, f"{first.name} lets us in with this key, and shows the host key that we know")


def preflight() -> None:
    """Refuse at once where no lab can run or the source of the demo is not there."""
    lifecycle.require()
    if not place.has("git", "kubectl"):
        raise LabError("git or kubectl is not there", hint="install git; `make setup` builds kubectl")
    if not (tool.root() / "specs" / "lab").is_dir():
        raise LabError("the demo's specs are not there", hint="run it from a checkout of the source: `make demo`")
