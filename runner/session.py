"""The second step of a session: ansible-playbook for each layer in order, until one does not end with 0 or time is up."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import ansible_runner
from ansible_runner.exceptions import AnsibleRunnerException

from reconciler.model.work import Work, WorkLayer
from runner import alive, descent, frames, inventory, ssh
from runner.place import SESSION, Place, here

TERMINATED = 143
TIMED_OUT = 254
UNREPORTED = 253
SPARE = 0.1  # of the deadline, at most LONGEST_SPARE seconds: for the last frames to be read before Kubernetes ends the Pod
LONGEST_SPARE = 60.0
_MARK = "RECONCILER_PLAYBOOK"


def main() -> int:
    """The exit code of the first layer that failed, else 0."""
    started = time.monotonic()
    place = here()
    signal.signal(signal.SIGTERM, _terminated)
    with alive.hold(place.alive):
        work = place.work()
        try:
            code, why = run(place, work, started)
        except (AnsibleRunnerException, OSError, ValueError) as error:
            code, why = 1, f"Ansible cannot be run: {error}"
        frames.append(place.frames, "end", code=code, message=why)
    return code


def _terminated(_signal: int, _frame: object) -> NoReturn:
    """Kubernetes wants the Pod gone: unwind, so that what Ansible began is ended."""
    sys.exit(TERMINATED)


def _never() -> bool:
    return False


def run(place: Place, work: Work, started: float) -> tuple[int, str]:
    """The exit code of the session, and why it is not 0."""
    until = started + work.deadline - min(LONGEST_SPARE, work.deadline * SPARE)
    with ssh.prepared(place, work.user) as connection:
        for layer in work.layers:
            frames.append(place.frames, "begin", layer=layer.index)
            code, why = _run(place, work, layer, connection, until)
            frames.append(place.frames, "finish", layer=layer.index, code=code, message=why)
            if code:
                return code, why
    return 0, ""


def _run(place: Place, work: Work, layer: WorkLayer, connection: Mapping[str, str], until: float) -> tuple[int, str]:
    left = until - time.monotonic()
    if left <= 0:
        return TIMED_OUT, _late(work, layer)
    own, mark = place.root / "ansible" / f"layer{layer.index}", uuid.uuid4().hex
    own.mkdir(parents=True, exist_ok=True)
    try:
        done = ansible_runner.run(
            private_data_dir=str(own),
            project_dir=str(place.layer(layer.index)),
            playbook=layer.playbook,
            limit=f"@{place.limit}",
            verbosity=work.verbosity or None,
            cmdline=shlex.join(work.passthrough) or None,
            envvars={**_settings(place, work, layer), **connection, _MARK: mark},
            timeout=max(1, int(left)),
            suppress_env_files=True,
            cancel_callback=_never,  # else ansible_runner takes the signals for itself
        )
    finally:
        descent.end(_MARK, mark)  # a playbook that was broken off leaves workers, which would go on beside the next session
    if done.status == "timeout":
        return TIMED_OUT, _late(work, layer)
    if done.rc:
        return int(done.rc), f"ansible-playbook {layer.playbook} of layer {layer.index} ended with {done.rc}"
    if not any(frame.kind == "stats" and frame.layer == layer.index for frame in frames.read(place.frames)):
        return (
            UNREPORTED,
            f"layer {layer.index} ended well, but nothing reported on its hosts; see the callback settings of ansible.cfg",
        )
    return 0, ""


def _late(work: Work, layer: WorkLayer) -> str:
    return f"the session's deadline of {work.deadline:.0f} s passed in layer {layer.index}; spec.sessions.deadline sets it"


def _settings(place: Place, work: Work, layer: WorkLayer) -> dict[str, str]:
    """What Ansible runs with: settings of a layer's own ansible.cfg stand, unless the session has one or they are named here."""
    ours = Path(__file__).parent
    settings = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(filter(None, [*_roots(), os.environ.get("PYTHONPATH", "")])),
        "ANSIBLE_INVENTORY": inventory.sources(place),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",  # half an inventory would end well and configure nobody
        "ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS": "ignore",
        "ANSIBLE_CALLBACK_PLUGINS": str(ours / "callback"),
        "ANSIBLE_RETRY_FILES_ENABLED": "false",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_FORKS": str(min(50, len(work.hosts))),
        "RECONCILER_FRAMES": str(place.frames),
        "RECONCILER_LAYER": str(layer.index),
        "RECONCILER_RECORD": "1" if work.record else "",
        SESSION: "",
    }
    for purpose, name in (("ansible", "ANSIBLE_CONFIG"), ("vault", "ANSIBLE_VAULT_PASSWORD_FILE")):
        if (mounted := place.mounted(purpose)) is not None:
            settings[name] = str(mounted)
    for name, folder in (("ANSIBLE_ROLES_PATH", "roles"), ("ANSIBLE_COLLECTIONS_PATH", "collections")):
        if (own := place.layer(layer.index) / folder).is_dir():
            settings[name] = str(own)
    return settings


def _roots() -> list[str]:
    """Where the callback plugin finds `runner` and `reconciler`."""
    import reconciler  # noqa: PLC0415 - only to see where it lies

    return sorted({str(Path(__file__).parent.parent), str(Path(str(reconciler.__file__)).parent.parent)})


if __name__ == "__main__":
    sys.exit(main())
