"""Up, down, status, exec: the lab seen from the outer machine. Each may be killed at any point and called again."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from lab import access, layout, namespace, tool
from lab.error import LabError
from lab.layout import Layout

UP_WITHIN = 120.0
DOWN_WITHIN = 30.0  # seconds
GRACE = 5.0  # seconds until a lab that was asked to end is ended


def up(directory: Path) -> tuple[Layout, bool]:
    """Wait until a lab is ready in *directory*, an empty one if none is up already; whether this call brought it up."""
    require()
    directory = directory.absolute()
    lock = _lock(directory)
    if lock:
        with lock:
            _begin(directory, lock)
    return _ready(directory), lock is not None


def require() -> None:
    """Refuse, naming what is missing, where no lab can run."""
    _require_root()
    tool.require(*tool.PROGRAMS, "ip", "nsenter")


def down(directory: Path) -> bool:
    """End the lab in *directory* and everything it started; whether there was one."""
    directory = directory.absolute()
    started, found, held = time.monotonic(), dict[int, str](), False
    while (ending := _ending(found, directory)) or layout.is_held(directory):
        held = True
        waited = time.monotonic() - started
        if waited > GRACE and ending and not any(namespace.runs(pid, found[pid]) for pid in ending):
            break
        if waited > DOWN_WITHIN:
            raise LabError(f"the lab in {directory} does not end (processes {ending})", hint="end it as the user that brought it up")
        for pid in ending:
            _signal(pid, signal.SIGTERM if waited < GRACE else signal.SIGKILL)
        time.sleep(0.05)
    for name in ("lab.json", "defaults.json", "failure"):
        (directory / name).unlink(missing_ok=True)
    return held


def status(directory: Path) -> dict[str, Any]:
    """Where the lab is and how it is; the credentials are the judge's, who may read and change everything."""
    running = _running(directory)
    key, secret = access.read_credentials(Path(running.aws.credentials_file), "judge")
    processes = json.loads((Path(running.dir) / "processes.json").read_text())
    pids = namespace.members(running.pid)  # after the table: what it names was there
    return {
        "aws": {"endpoint": running.aws.endpoint, "region": running.region, "access_key_id": key, "secret_access_key": secret},
        "kubeconfig": running.kubernetes.kubeconfigs["judge"],
        "dns": running.dns,
        "dir": running.dir,
        "pids": [running.pid, *sorted(pid for pid in pids.values() if pid != running.pid)],
        "processes": {name: process | {"pid": pids.get(process["pid"])} for name, process in processes.items()},
    }


def exec_(directory: Path, command: Sequence[str], node: str = "") -> int:
    """Run *command* inside the lab's namespaces, in this working directory, on the network of *node* if given; its exit code."""
    _require_root()
    running = _running(directory)
    door = layout.doors(Path(running.dir)) / node if node else None
    entering = namespace.entering(running.pid, command, directory=os.getcwd(), door=door)  # noqa: PTH109
    code = subprocess.run(entering, check=False).returncode
    return code if code >= 0 else 128 - code


def _running(directory: Path) -> Layout:
    directory = directory.absolute()
    running = layout.read(directory)
    if not running:
        coming = layout.is_held(directory)
        raise LabError(
            f"the lab in {directory} is {'still coming up' if coming else 'not up'}",
            hint="wait a few seconds" if coming else "`reconcile lab up` brings one up; --dir names another folder",
        )
    return running


def _require_root() -> None:
    if os.geteuid() != 0:
        raise LabError(
            "the lab needs root: it makes network, mount and pid namespaces",
            hint="run it as root, or inside a user namespace: unshare --user --map-root-user --mount --pid --fork --mount-proc",
        )


def _lock(directory: Path) -> TextIO | None:
    """The lock of *directory*, ours until init has it; None where another lab holds it."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "lock"
    if not path.exists() and any(directory.iterdir()):
        raise LabError(f"{directory} is neither empty nor a lab's", hint="name another folder with --dir: `lab up` begins by emptying it")
    lock = path.open("a")
    for _ in range(5):  # whoever asks whether a lab is up holds it for an instant
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        time.sleep(0.02)
    lock.close()
    return None


def _begin(directory: Path, lock: TextIO) -> None:
    """Empty what a crashed lab has left, and start an init that holds the lock for as long as it lives."""
    _empty(directory)
    with (directory / "init.log").open("ab") as log:
        subprocess.run(
            [sys.executable, "-P", "-m", namespace.MARK, "--dir", str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock.fileno(),),
            env=os.environ | {"PYTHONPATH": str(tool.root())},
            cwd="/",
            start_new_session=True,
            check=False,
        )


def _empty(directory: Path) -> None:
    deadline = time.monotonic() + GRACE
    while left := [path for path in directory.iterdir() if path.name != "lock"]:
        try:
            for path in left:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except OSError:  # a killed lab's processes may write until the kernel has reached them
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _ready(directory: Path) -> Layout:
    deadline = time.monotonic() + UP_WITHIN
    while time.monotonic() < deadline:
        if running := layout.read(directory):
            return running
        if (directory / "failure").exists() or not layout.is_held(directory):
            break
        time.sleep(0.05)
    reason = _reason(directory)
    down(directory)
    raise LabError(f"the lab in {directory} did not come up: {reason}", hint=f"see {directory}/init.log and {directory}/logs/")


def _reason(directory: Path) -> str:
    """Why a lab did not come up: what failed last, and the processes that would not run."""
    said = _last_line(directory / "failure") or _last_line(directory / "init.log") or f"it was not ready after {UP_WITHIN:.0f} s"
    try:
        processes = json.loads((directory / "processes.json").read_text())
    except OSError:
        return said
    ended = [f"{name} was started {process['starts']} times" for name, process in processes.items() if process["starts"] > 1]
    return "; ".join([said, *ended])


def _last_line(path: Path) -> str:
    try:
        return path.read_text().strip().rpartition("\n")[2]
    except FileNotFoundError:
        return ""


def _ending(found: dict[int, str], directory: Path) -> list[int]:
    """Add the inits of *directory* and their pid namespaces to *found*: those still there. One that ends has no command line any more."""
    found.update((pid, namespace.own_pids(pid) or found.get(pid, "")) for pid in namespace.inits(directory))
    return sorted(pid for pid in found if namespace.is_alive(pid))


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
