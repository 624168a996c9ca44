"""`python -m lab.aws.server --host H --port P --dir LABDIR`: the lab's AWS as a process. Its state is in memory, a fresh one is empty."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from lab.aws import moto_app
from lab.aws.calls import CallLog
from lab.aws.control import Control
from lab.aws.disks import Disks
from lab.aws.exchange import Server
from lab.aws.front import Front
from lab.aws.record import FILE, Record
from lab.aws.settings import Settings
from lab.aws.world import World


def make(settings: Settings, address: tuple[str, int], folder: Path | None = None) -> Server:
    """A server bound to *address*, not yet serving, of the lab in *folder*: there volumes lie, and which role asks for what is written."""
    world = World(settings, Disks(folder))
    front = Front(world, moto_app.make(world))
    if folder:
        front.calls = CallLog(Record(folder / "aws" / FILE).see)
    world.later.start()
    return Server(address, Control(front))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.aws.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000, help="0: any that is free; see aws/server.json")
    parser.add_argument("--dir", type=Path, required=True, help="the lab's folder; aws/server.json is written there once the port is bound")
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON over the defaults of lab.aws.settings")
    return parser.parse_args()


def _publish(directory: Path, server: Server) -> None:
    """Say where *server* listens."""
    target = directory / "aws" / "server.json"
    draft = target.with_suffix(".new")
    draft.write_text(json.dumps({"host": server.server_name, "port": server.server_port, "pid": os.getpid()}))
    draft.replace(target)


def main() -> int:
    """Serve until told to end."""
    asked = _arguments()
    try:
        (asked.dir / "aws").mkdir(parents=True, exist_ok=True)
        server = make(Settings().changed(asked.settings), (asked.host, asked.port), asked.dir)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: lab AWS on {asked.host}:{asked.port}: {error}\nhint: is another lab up on this address?\n")
        return 1
    _publish(asked.dir, server)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    threading.Thread(target=moto_app.warm, daemon=True).start()
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
