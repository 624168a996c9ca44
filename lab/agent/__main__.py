"""`python -m lab.agent --dir LABDIR`: the kubelet of every node of the lab, its log server, and the CSI attacher, in one process."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from lab import images, layout, namespace
from lab.agent import mounts, vpc
from lab.agent.api import Api, Mirror
from lab.agent.attacher import ATTACHMENTS, Attacher
from lab.agent.cloud import Cloud
from lab.agent.control import Control
from lab.agent.disks import Disks
from lab.agent.events import Events
from lab.agent.home import Surroundings
from lab.agent.interfaces import Interfaces
from lab.agent.nodes import Node, Nodes
from lab.agent.power import Parts, Power
from lab.agent.provisioner import MADE, VOLUMES, Provisioner
from lab.agent.resizer import CLAIMS, Resizer
from lab.agent.roster import Roster
from lab.agent.sandbox import Addresses
from lab.agent.server import Server
from lab.agent.starting import Machine
from lab.agent.state import Json
from lab.agent.volumes import Store

SET_CHILD_SUBREAPER = 36

_log = logging.getLogger("lab.agent")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    lab: Path = parser.parse_args().dir.absolute()
    if "KUBECONFIG" not in os.environ:
        sys.exit("error: the node agent needs an API server\nhint: set KUBECONFIG to the lab's kube/judge-inside.kubeconfig")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    machine = _machine(lab)
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(machine))


def _machine(lab: Path) -> Machine:
    """Scratch space in memory, gone with the lab; and whatever a container leaves behind is this process's child."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    scratch = lab / "agent"
    scratch.mkdir(exist_ok=True)
    while scratch.is_mount():
        subprocess.run(["umount", "--lazy", scratch], check=True)
    namespace.mount("tmpfs", str(scratch), "tmpfs", options="mode=755")
    images.write_scripts(lab / "images")
    (lab / "volumes").mkdir(exist_ok=True)
    return Machine(lab, scratch, tuple(mounts.lowers(Path("/proc/self/mountinfo").read_text(), scratch)))


async def _run(machine: Machine) -> None:
    api = Api.connect(Path(os.environ["KUBECONFIG"]))
    await vpc.prepare()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    tasks = _assemble(machine, api)
    stop = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stop}:
        task.result()
    _log.info("ending")
    await api.close()


def _assemble(machine: Machine, api: Api) -> list[asyncio.Task[None]]:
    """Wire everything; the tasks that must go on for ever."""
    cloud = Cloud()
    attachments = Mirror(api, ATTACHMENTS, lambda _before, after: attacher.changed(after))
    disks = Disks(api, attachments, machine.lab / "volumes")

    def came(node: Node) -> None:
        power.came(node)

    nodes = Nodes(api, layout.doors(machine.lab), came)
    interfaces = Interfaces(cloud, nodes)
    around = Surroundings(api, machine, Addresses(), Events(api), lambda folder: Store(api, disks, folder))
    roster = Roster(around, nodes)
    power = Power(nodes, Parts(cloud, disks, interfaces, roster, Server(machine.lab, roster)))
    attacher = Attacher(api, cloud, nodes, disks, roster)
    resizer, provisioner = Resizer(api, cloud), Provisioner(api, cloud)

    def claimed(before: Json | None, after: Json | None) -> None:
        resizer.changed(before, after)
        provisioner.claimed(before, after)

    works = {
        "nodes": nodes.mirror.run(), "pods": roster.mirror.run(), "attachments": attachments.run(), "heartbeats": nodes.beat(),
        "claims": Mirror(api, CLAIMS, claimed).run(), "volumes": Mirror(api, VOLUMES, provisioner.changed, labelSelector=MADE).run(),
        "interfaces": interfaces.run(), "power": power.run(), "tokens": roster.refresh(),
        **{f"source-{number}": source.run() for number, source in enumerate(roster.sources)},
        "control": Control(machine.lab, power).run(),
    }  # fmt: skip
    return [asyncio.create_task(work, name=name) for name, work in works.items()]


if __name__ == "__main__":
    main()
