"""Where the demo has its things, relative to the working directory, and what its commands find in their environment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab import layout, tool
from lab.error import LabError
from lab.layout import Layout

FOLDER = Path(".reconcile/demo")
LAB = Path(".reconcile/lab")
BARE = FOLDER / "config.git"  # the config repository that everybody reads
CLONE = FOLDER / "config"  # where commits to it are made
SPECS = CLONE / "specs" / "lab"
LOG = FOLDER / "log"
KUBECONFIG = LAB / "kube" / "judge.kubeconfig"

_STARTS = FOLDER / "pulumi-starts"
_FOREIGN = ("AWS_", "GIT_", "KUBE", "PULUMI_", "RECONCILE_")  # settings of the reader's own that would lead elsewhere
_SHIM = """#!/bin/sh
# Stands before the real `pulumi` on PATH and counts its starts.
printf '%s\\n' "$*" >> '{starts}'
exec '{real}' "$@"
"""


def prepare() -> None:
    """Make an empty folder for the demo, with the shim before `pulumi` in it."""
    real = shutil.which("pulumi", path=tool.path())
    if real is None:
        raise LabError("the Pulumi engine is not there", hint="run `make setup`")
    shutil.rmtree(FOLDER, ignore_errors=True)
    shim = FOLDER / "bin" / "pulumi"
    shim.parent.mkdir(parents=True)
    LOG.mkdir()
    _STARTS.touch()
    shim.write_text(_SHIM.format(starts=_STARTS.absolute(), real=real))
    shim.chmod(0o755)


def environment() -> dict[str, str]:
    """The reader's environment without what would lead elsewhere, and what the closing words tell to export."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN) or name == "RECONCILE_TOOLS"}
    return {
        **own,
        "PATH": f"{(FOLDER / 'bin').absolute()}:{tool.path()}",
        "PYTHONPATH": str(tool.root()),
        "RECONCILE_REPO": str(BARE),
        "KUBECONFIG": str(KUBECONFIG.absolute()),
        **{
            f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "demo"), ("EMAIL", "demo@localhost"))
        },
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,  # signing, hooks and templates of the reader's own
    }


def engine_starts() -> int:
    """How often the engine was started since the demo began."""
    return len(_STARTS.read_text().splitlines())


def running() -> Layout:
    """The demo's lab."""
    found = layout.read(LAB.absolute())
    if found is None:
        raise LabError(f"the lab in {LAB} has gone", hint=f"its logs are in {LAB}/logs")
    return found


def has(*programs: str) -> bool:
    """Whether this machine has all of *programs*."""
    return all(shutil.which(program, path=tool.path()) for program in programs)


def can_have_machines() -> bool:
    """Whether sshd can run here. It gives its rights up to a user of its own, whom a user namespace of one user does not have."""
    users = sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    return has("sshd") and users > 1
