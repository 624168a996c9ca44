"""From a container's spec to a started process: image, environment, mounts, user. Says in a kubelet's words why it can't be."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab import images, layout, tool
from lab.agent import environment, logs, mounts, volumes
from lab.agent.api import Api
from lab.agent.container import Launch, Mount, Process, User, start
from lab.agent.environment import ConfigError, Place
from lab.agent.mounts import Volume
from lab.agent.sandbox import Sandbox
from lab.agent.state import Json

SHORT, LONG = "ErrImagePull", "ImagePullBackOff"
TERMINATION_LOG = "/dev/termination-log"
CLUSTER = {
    "KUBERNETES_SERVICE_HOST": layout.API_SERVER,
    "KUBERNETES_SERVICE_PORT": str(layout.API_SERVER_PORT),
    "KUBERNETES_SERVICE_PORT_HTTPS": str(layout.API_SERVER_PORT),
    "KUBERNETES_PORT": f"tcp://{layout.API_SERVER}:{layout.API_SERVER_PORT}",
}


class Refused(Exception):
    """The container can't be started as things are; *reason* as in `state.waiting.reason`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Machine:
    """What all containers of this machine share: the lab's folder, the agent's scratch, the file systems below each container."""

    lab: Path
    scratch: Path
    lowers: tuple[str, ...]


@dataclass(slots=True)
class Run:
    """One run of one container, in the Pod's *sandbox*."""

    spec: Json
    number: int
    log: logs.LogFile
    message: Path
    sandbox: Sandbox
    process: Process | None = None
    because: str = ""

    @property
    def identity(self) -> str:
        return f"lab://{self.process.pid if self.process else 0}-{self.spec['name']}-{self.number}"


@dataclass(frozen=True, slots=True)
class Room:
    """Where a Pod's containers live: its place in the cluster, its volumes, its network, its folder."""

    machine: Machine
    api: Api
    place: Place
    ready: Mapping[str, Volume]
    sandbox: Sandbox
    folder: Path
    shared: list[Mount] = field(default_factory=list)


async def launch(room: Room, spec: Json, number: int) -> Run:
    """Start run *number* of the container *spec*.

    Raises:
        Refused: not as things are.
        StartError: its command or a mount can't be had.
    """
    image = _image(spec["image"])
    metadata = room.place.pod["metadata"]
    try:
        variables = await _variables(room, spec, image)
        plan = _plan(room, spec, image, variables, number)
    except ConfigError as error:
        raise Refused("CreateContainerConfigError", str(error)) from None
    folder = logs.directory(room.machine.lab, (metadata["namespace"], metadata["name"], metadata["uid"]), spec["name"])
    run = Run(spec, number, logs.LogFile(folder / f"{number}.log"), _message_file(room, spec, number), room.sandbox)
    run.process = await start(plan, room.sandbox.descriptor, run.log)
    return run


async def sweep(room_folder: Path, name: str, number: int) -> None:
    """Drop what a run has written to its own layer."""
    await asyncio.to_thread(shutil.rmtree, room_folder / "containers" / name / str(number), ignore_errors=True)


def write_shared(folder: Path, pod: Json, address: str, node: str) -> list[Mount]:
    """The files that every container of the Pod sees in /etc."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "hosts": mounts.hosts(pod, address, node),
        "resolv.conf": mounts.resolv_conf(pod),
        "hostname": mounts.hostname(pod, node) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [Mount(str(folder / name), f"/etc/{name}") for name in texts]


def _image(name: str) -> images.Image:
    image = images.find(name)
    if image is None:
        raise Refused(SHORT, f"no row of the lab's table (lab/images.py) stands for image {name!r}; it has {images.known()}")
    if shutil.which(image.needs) is None:
        raise Refused(SHORT, f"image {name!r} stands for {image.needs}, which this machine has not; install it, or run `make setup`")
    return image


async def _variables(room: Room, spec: Json, image: images.Image) -> dict[str, str]:
    namespace = room.place.pod["metadata"]["namespace"]
    sources = await volumes.read(room.api, namespace, environment.references(spec))
    path = f"{room.machine.lab / 'images' / image.key / 'bin'}:{image.environment.get('PATH', images.SYSTEM_PATH)}"
    hostname = mounts.hostname(room.place.pod, room.place.pod["spec"]["nodeName"])
    base = {"HOME": "/root", **image.environment, "PATH": path, "HOSTNAME": hostname, **CLUSTER}
    return environment.build(spec, base, room.place, sources)


def _plan(room: Room, spec: Json, image: images.Image, variables: dict[str, str], number: int) -> Launch:
    own = Mount(str(_message_file(room, spec, number)), spec.get("terminationMessagePath", TERMINATION_LOG))
    own_files = room.machine.lab / "images" / image.key / "files"
    image_files = [Mount(str(own_files / name.lstrip("/")), name) for name in image.files]
    asked = mounts.of_container(spec, room.ready, variables)
    given = [Mount(str(room.machine.lab / "images" / image.key / "bin"), image.folder, read_only=True)] if image.folder else []
    return Launch(
        command=[environment.expand(word, variables) for word in image.command(spec)],
        environment=variables,
        workdir=spec.get("workingDir") or image.workdir,
        hostname=mounts.hostname(room.place.pod, room.place.pod["spec"]["nodeName"]),
        scratch=str(room.folder / "containers" / spec["name"] / str(number) / "root"),
        mounts=mounts.ordered([*image_files, *room.shared, own, *given, *asked]),
        lowers=room.machine.lowers,
        reach=_reach(room, image),
        user=user(room.place.pod, spec),
    )


def _reach(room: Room, image: images.Image) -> list[str]:
    """What lies in somebody's home but must run under any user: the interpreter, the project, the lab's programs, the image's scripts."""
    interpreter, lab = Path(sys.executable), room.machine.lab
    own = (lab / "plugins" / "-", lab / "images" / image.key / "bin" / "-", *([Path(tool.folder()) / "-"] if tool.folder() else []))
    return [str(path) for path in (interpreter, interpreter.resolve(), images.__file__, *own)]


def user(pod: Json, spec: Json) -> User:
    """Whom the container runs as; in the lab's images that is root unless the spec says otherwise. Capabilities are not looked at."""
    whole = pod["spec"].get("securityContext") or {}
    context = whole | (spec.get("securityContext") or {})
    uid, gid = int(context.get("runAsUser") or 0), int(context.get("runAsGroup") or 0)
    if context.get("runAsNonRoot") and not uid:
        raise ConfigError("container has runAsNonRoot and image will run as root; give it a runAsUser")
    group = [whole["fsGroup"]] if "fsGroup" in whole else []
    return User(uid, gid, tuple({gid, *group, *whole.get("supplementalGroups", [])}))


def _message_file(room: Room, spec: Json, number: int) -> Path:
    place: Path = room.folder / "containers" / spec["name"] / str(number) / "termination-log"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    place.chmod(0o666)
    return place
