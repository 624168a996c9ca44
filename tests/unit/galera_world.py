"""What `runner/galera.sh` finds in place of MariaDB and socat in a simulation: a group of processes that keep Galera's rules.

Called with the name of the program that it stands for; WORLD is the folder in which members lie side by side. A server that begins beside
another, or without what was acknowledged, says so in `violations`, where the test reads it.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WORLD = Path(os.environ["WORLD"])
NOTHING = "00000000-0000-0000-0000-000000000000"


@contextmanager
def group() -> Iterator[dict[str, Any]]:
    """All that the group has agreed on. `view` names the members of its primary component, and their processes."""
    with (WORLD / "group").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = json.loads(file.read() or '{"history": "", "latest": 0, "view": {}}')
        gone = [name for name, pid in found["view"].items() if not lives(pid)]
        if 2 * len(gone) >= len(found["view"]):  # no majority is left: nobody goes on
            found["view"] = {}
        for name in gone:
            found["view"].pop(name, None)
        yield found
        file.seek(0)
        file.truncate()
        file.write(json.dumps(found))


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def violate(what: str) -> None:
    with (WORLD / "violations").open("a") as file:
        file.write(f"{what}\n")


def option(name: str) -> str:
    return next((word.partition("=")[2] for word in sys.argv if word.startswith(f"--{name}=")), "")


class Server:
    """mariadbd of one member."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.disk = folder / "innodb"
        (folder / "mysql").mkdir(exist_ok=True)

    def save(self, history: str, seqno: int, stopped: int = -1) -> None:
        new = self.disk.with_suffix(".new")
        new.write_text(f"{history}:{seqno}")
        new.rename(self.disk)
        (self.folder / "grastate.dat").write_text(f"uuid:    {history}\nseqno:   {stopped}\nsafe_to_bootstrap: 0\n")

    def enter(self) -> bool:
        with group() as found:
            if "--wsrep-new-cluster" in sys.argv:
                history, _, seqno = (option("wsrep-start-position") or f"{os.getpid()}-0000:0").partition(":")
                if found["view"]:
                    violate(f"{self.name} begins beside {found['view']}")
                if found["latest"] and (history, int(seqno)) < (found["history"], found["latest"]):
                    violate(f"{self.name} begins at {history}:{seqno}, acknowledged is {found['history']}:{found['latest']}")
                found["history"], found["latest"], found["view"] = history, int(seqno), {}
            elif not found["view"]:
                return False
            found["view"][self.name] = os.getpid()
            self.save(found["history"], found["latest"])
            (self.folder.parent.parent / "status").touch()
            return True

    def work(self) -> None:
        """Write, be written to, be late with it; until told to stop."""
        stopping: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
        while not stopping:
            time.sleep(random.uniform(0, 0.03))
            with group() as found:
                mine = found["view"].get(self.name) == os.getpid()
                if mine and random.random() < 0.5:
                    found["latest"] += 1
                    self.save(found["history"], found["latest"])
                elif mine and random.random() < 0.1:
                    self.save(found["history"], found["latest"])
            if not mine:
                sys.exit(1)  # what the kubelet does of one that is in no primary component, only sooner
        with group() as found:
            if found["view"].pop(self.name, None):
                self.save(found["history"], found["latest"], found["latest"])


def mariadbd() -> None:
    folder = Path(option("datadir"))
    if "--wsrep-recover" in sys.argv:
        disk = folder / "innodb"
        print(f"WSREP: Recovered position: {disk.read_text() if disk.exists() else f'{NOTHING}:-1'}")  # noqa: T201
    elif "--bootstrap" in sys.argv:
        sys.stdin.read()
    else:
        server = Server(folder, folder.parent.parent.name)
        status = folder.parent.parent / "status"
        status.unlink(missing_ok=True)
        time.sleep(random.uniform(0, 0.3))
        if not server.enter():
            sys.exit(1)
        server.work()


def mariadb() -> None:
    folder = Path(sys.argv[sys.argv.index("-S") + 1]).parent.parent
    with group() as found:
        primary = folder.name in found["view"] and (folder / "status").exists()
        print(f"wsrep_cluster_status\t{'Primary' if primary else 'non-Primary'}\nwsrep_cluster_state_uuid\t{found['history']}")  # noqa: T201
        print(f"wsrep_local_state_comment\t{'Synced' if primary else 'Joining'}")  # noqa: T201
    sys.exit(0 if (folder / "status").exists() else 1)


def socat() -> None:
    if sys.argv[1] == "-U":
        signal.pause()
    host = re.match(r"OPENSSL:([^:]+):", sys.argv[2])
    folder = WORLD / (host[1] if host else "")
    time.sleep(random.uniform(0, 0.05))
    if not lives(int((folder / "pid").read_text() or 0)):
        sys.exit(1)
    said = subprocess.run(["bash", folder / "config" / "galera.sh", "position"], capture_output=True, text=True, check=False).stdout
    time.sleep(random.uniform(0, 0.05))
    print(said, end="")  # noqa: T201


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    {"mariadbd": mariadbd, "mariadb": mariadb, "socat": socat}[sys.argv[0]]()
