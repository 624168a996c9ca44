"""The kernel's side of the lab: making its namespaces, finding and entering them. Linux only; needs root in its user namespace."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")

MARK = "lab.init"
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x04000000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces that *flags* name for new ones."""
    _check(_libc.unshare(flags), "unshare")


def enter(descriptor: int, flags: int) -> None:
    """Move this thread into the namespace that *descriptor* holds."""
    _check(_libc.setns(descriptor, flags), "setns")


def apart(work: Callable[[], _T]) -> _T:
    """Do *work* in a thread that lives for no longer: network namespaces are a thread's own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def mount(source: str, target: str, kind: str = "", *, flags: int = 0, options: str = "") -> None:
    _check(
        _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()), f"mount {source} on {target}"
    )


def unmount(target: Path) -> None:
    """Take away what is mounted on *target*."""
    _check(_libc.umount2(str(target).encode(), MNT_DETACH), f"umount {target}")


def make_private() -> None:
    """Let no mount made from here on reach the mount namespace that this one came from."""
    mount("none", "/", flags=MS_REC | MS_PRIVATE)


def show_own_processes() -> None:
    """Let /proc tell of this pid namespace only."""
    mount("proc", "/proc", "proc")


def bind(source: Path, target: Path) -> None:
    """Put *source* in the place of *target*; a link is followed, since a mount can't replace it."""
    mount(str(source), os.path.realpath(target), flags=MS_BIND)


def bring_up(addresses: Iterable[str]) -> None:
    """Give this network namespace's `lo` the *addresses*."""
    lines = ["link set lo up", *(f"addr add {address}/32 dev lo" for address in addresses)]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def _processes() -> Iterator[int]:
    yield from (int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208 - a Path for each process is slow


def inits(directory: Path) -> list[int]:
    """The processes, as seen from here, that are or are about to be init of the lab in *directory*."""
    wanted = [MARK.encode(), b"--dir", os.fsencode(directory)]
    found = []
    for pid in _processes():
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if [part for part in argv if part in wanted] == wanted and argv[0] != b"nsenter":
            found.append(pid)
    return found


def is_alive(pid: int) -> bool:
    """Whether *pid* is more than an entry that nobody has collected yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return False
    return state not in "ZX"


def runs(init: int, own: str) -> bool:
    """Whether anything runs in the pid namespace *own* of *init*.

    An init that ends waits for every entry of its namespace. Those of processes that came in from outside are their parents' to collect,
    and where the parent was killed, the outer machine's reaper's, which may never do it.
    """
    if not is_alive(init):
        return False
    try:
        ends = not Path(f"/proc/{init}/cmdline").read_bytes()
    except OSError:
        return False
    return not ends or any(is_alive(pid) for pid in _inside(init, own) if pid != init)


def members(init: int) -> dict[int, int]:
    """Every process of *init*'s pid namespace, and of those that its processes have made in it: its number there → its number here."""
    own = own_pids(init)
    if not own:  # not in a namespace of its own yet, or gone
        return {}
    depth = len(_status(init).get("NSpid", ())) - 1
    return {status["NSpid"][depth]: pid for pid, status in _inside(init, own).items() if len(status.get("NSpid", ())) > depth}


def _inside(init: int, own: str) -> dict[int, dict[str, list[int]]]:
    """What /proc says of *init*, of all in the pid namespace *own*, and of what those have made."""
    told = {pid: _status(pid) for pid in _processes()}
    inside = {pid for pid in told if pid == init or (own and own_pids(pid) == own)}
    while below := {pid for pid, status in told.items() if pid not in inside and status.get("PPid", [0])[0] in inside}:
        inside |= below
    return {pid: told[pid] for pid in inside}


def own_pids(pid: int) -> str:
    """The pid namespace that *pid* is in, where it is not ours; nothing where it is gone, or ends."""
    found = _link(pid)
    return "" if found == _link(os.getpid()) else found


def _link(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def _status(pid: int) -> dict[str, list[int]]:
    """The parent of *pid*, and its numbers from this pid namespace inward; nothing where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines)
    return {name: [int(number) for number in numbers.split()] for name, numbers in pairs if name in ("PPid", "NSpid")}


def entering(init: int, command: Iterable[str], *, directory: str, door: Path | None = None) -> list[str]:
    """The command line that runs *command* inside the namespaces of *init*; in the network of the node that *door* leads to, if given."""
    further = ["nsenter", f"--net={door}", "--"] if door else []
    return ["nsenter", "--target", str(init), "--net", "--mount", "--pid", f"--wdns={directory}", "--", *further, *command]
