"""Becomes a container: namespaces, a root of its own over the machine's, its mounts, its user, its command.

Run by `container.py` as a fresh, isolated interpreter (`python -I -S`), so it imports nothing but the standard library.
Reads one JSON plan on stdin and answers on the descriptor `report`: `pid N`, then, if it can't go on, `error …`.
The caller adopts the container (it is a subreaper), so this process ends as soon as the container is on its way.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

NEWNS, NEWUTS, NEWPID, NEWNET = 0x00020000, 0x04000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
DETACH, SET_PDEATHSIG = 2, 1
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
KERNEL = ("/proc", "/sys", "/dev")
OLD = ".outside"
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, doing: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None = None, flags: int = 0, options: str | None = None) -> None:
    encode = [None if text is None else text.encode() for text in (source, target, kind)]
    result = _libc.mount(*encode, ctypes.c_ulong(flags), None if options is None else options.encode())
    _check(result, f"mount {source} on {target}")


class Layers:
    """Writable layers of the container's own over the machine's folders: nothing it does to them reaches the machine's files."""

    def __init__(self, scratch: Path, points: list[str]) -> None:
        self._scratch = scratch
        self._points = points
        self._count = 0
        self.root = scratch / "root"
        self.root.mkdir(parents=True)

    def lay(self) -> None:
        """Cover the root and every other file system; folder by folder where a user namespace forbids to cover the root as a whole."""
        try:
            self._cover("/")
        except OSError:
            _mount("tmpfs", str(self.root), "tmpfs", 0, "mode=755")
            self._cover_within("/", options=",userxattr")
            return
        for point in self._points:
            if (self.root / point.lstrip("/")).is_dir():
                self._cover(point)

    def _cover(self, lower: str, options: str = "") -> None:
        upper, work = (self._scratch / f"layer-{self._count}" / name for name in ("upper", "work"))
        self._count += 1
        upper.mkdir(parents=True)
        work.mkdir()
        quoted = [str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,") for path in (lower, upper, work)]
        _mount("overlay", str(self.root / lower.lstrip("/")), "overlay", 0, "lowerdir={},upperdir={},workdir={}".format(*quoted) + options)

    def _cover_within(self, folder: str, options: str) -> None:
        """Cover each folder in *folder* that has no file system below it, and look into those that have."""
        for entry in os.scandir(folder):
            target = self.root / entry.path.lstrip("/")
            if entry.is_symlink():
                target.symlink_to(Path(entry.path).readlink())
            elif entry.is_dir() and entry.path not in KERNEL:
                target.mkdir(mode=entry.stat().st_mode & 0o7777)
                if any(point.startswith(entry.path + "/") for point in self._points):
                    self._cover_within(entry.path, options)
                else:
                    self._cover(entry.path, options)


def _root(plan: dict[str, Any]) -> None:
    """Make the container's root and move into it."""
    layers = Layers(Path(plan["scratch"]), plan["lowers"])
    layers.lay()
    for name in (OLD, *KERNEL):
        (layers.root / name.lstrip("/")).mkdir(exist_ok=True)
    os.chdir(layers.root)
    _check(_libc.pivot_root(b".", OLD.encode()), "pivot_root")
    os.chdir("/")


def _devices() -> None:
    _mount("tmpfs", "/dev", "tmpfs", NOSUID, "mode=755,size=64k")
    for name in DEVICES:
        if Path(f"/{OLD}/dev/{name}").exists():
            Path(f"/dev/{name}").touch()
            _mount(f"/{OLD}/dev/{name}", f"/dev/{name}", None, BIND)
    for link, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("ptmx", "pts/ptmx")):
        Path(f"/dev/{link}").symlink_to(target)
    for name, kind, options in (("pts", "devpts", "newinstance,ptmxmode=0666,mode=620"), ("shm", "tmpfs", "mode=1777,size=65536k")):
        Path(f"/dev/{name}").mkdir()
        _mount(kind, f"/dev/{name}", kind, NOSUID | NOEXEC, options)


def _kernel_views() -> None:
    _mount("proc", "/proc", "proc", NOSUID | NODEV | NOEXEC)
    _mount("sysfs", "/sys", "sysfs", NOSUID | NODEV | NOEXEC)
    _devices()


def _point(target: Path, *, directory: bool) -> None:
    """Make the mount point, in the container's own layer. A file that is a link (resolv.conf often is) is replaced, not followed."""
    if directory:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    target.touch()


def _bind(mount: dict[str, Any]) -> None:
    source, target = f"/{OLD}{mount['source']}", Path(mount["target"])
    _point(target, directory=Path(source).is_dir())
    _mount(source, str(target), None, BIND | REC)
    if mount["read_only"]:
        _mount("none", str(target), None, BIND | REMOUNT | RDONLY)


def _open_way(paths: list[str]) -> None:
    """Let any user walk to *paths*: in an image nobody's home is in the way of the program. Only the private layer changes."""
    for place in {parent for path in paths for parent in Path(path).parents}:
        with suppress(OSError):
            place.chmod(place.stat().st_mode | 0o755)


def _become(plan: dict[str, Any]) -> None:
    if plan["uid"]:
        _open_way(plan["reach"])
    for place in (plan["workdir"], plan["environment"].get("HOME", "/")):
        if not Path(place).exists():
            Path(place).mkdir(parents=True)
            os.chown(place, plan["uid"], plan["gid"])
    with suppress(PermissionError):  # a user namespace has no other groups
        os.setgroups(plan["groups"])
    os.setgid(plan["gid"])
    os.setuid(plan["uid"])
    os.chdir(plan["workdir"])


def _contain(plan: dict[str, Any]) -> None:
    _mount("none", "/", None, REC | PRIVATE)
    socket.sethostname(plan["hostname"])
    _root(plan)
    _kernel_views()
    for mount in plan["mounts"]:
        _bind(mount)
    _check(_libc.umount2(f"/{OLD}".encode(), DETACH), "leave the machine's root")
    Path(f"/{OLD}").rmdir()
    _become(plan)


def _run(plan: dict[str, Any], report: int, launched: int) -> None:
    """The container's first process: waits until the launcher has ended and the agent has adopted it, so as to die with the agent."""
    try:
        select.select([launched], [], [])
        _check(_libc.prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
        os.setsid()
        _contain(plan)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.umask(0o022)
        os.closerange(3, report)
        os.closerange(report + 1, 256)
        os.execvpe(plan["command"][0], plan["command"], plan["environment"])
    except Exception as error:  # noqa: BLE001 - whatever it was, it must reach the agent
        os.write(report, f"error {plan['command'][0]}: {error}\n".encode())
    finally:
        os._exit(128)


def main() -> None:
    plan = json.load(sys.stdin)
    report = plan["report"]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.set_inheritable(report, False)  # noqa: FBT003 - its closing tells that exec succeeded
    _check(_libc.setns(plan["network"], NEWNET), "enter the Pod's network")
    os.close(plan["network"])
    _check(_libc.unshare(NEWNS | NEWUTS | NEWPID), "unshare")
    launched = os.pidfd_open(os.getpid())
    pid = os.fork()
    if pid == 0:
        _run(plan, report, launched)
    os.write(report, f"pid {pid}\n".encode())


if __name__ == "__main__":
    main()
