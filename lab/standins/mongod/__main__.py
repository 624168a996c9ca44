"""A stand-in for `mongod`: `mongod --config FILE [--bind_ip NAMES]`. Ends in order on SIGTERM, a primary after it has handed over."""

from __future__ import annotations

import asyncio
import functools
import sys
from contextlib import suppress

from lab.standins.mongod import replication, scram, sessions, settings, versions, writes
from lab.standins.mongod.disk import Journal, Taken
from lab.standins.mongod.log import Log
from lab.standins.mongod.member import Member
from lab.standins.mongod.rounds import Rounds
from lab.standins.mongod.server import Commands, Server, asked_to_end, serve

COMMANDS: Commands[Server] = Commands({**sessions.HANDLERS, **writes.HANDLERS, **replication.HANDLERS}, sessions.FREE)
_UNUSABLE = 48  # the exit code of a server that cannot have its address
_NEEDS_UPGRADE = 62  # and of one whose data is not for it


async def run(wanted: settings.Settings, log: Log) -> None:
    """Serve until the process is asked to end."""
    member = Member(wanted.set_name, log, wanted.role)
    rounds = Rounds(member, wanted.keys)
    server = Server(member, rounds, "".join(wanted.keys[:1]), scram.of_keys(wanted.keys))
    listening = await asyncio.start_server(functools.partial(serve, server, COMMANDS), list(wanted.bind), wanted.port)
    print(f"stand-in for mongod: {wanted.set_name} waits for connections on {wanted.bind}, port {wanted.port}", flush=True)  # noqa: T201
    running = asyncio.create_task(rounds.run())
    over = asyncio.create_task(asked_to_end().wait())
    await asyncio.wait([running, over], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()  # raises what went wrong
    await rounds.hand_over()
    listening.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


def main() -> int:
    try:
        wanted = settings.read(sys.argv[1:])
        journal = Journal(wanted.folder)
    except (settings.SettingsError, Taken) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    log = Log(journal)
    if fault := versions.fault(log.documents):
        print(f"UPGRADE PROBLEM: {fault}", file=sys.stderr)  # noqa: T201
        return _NEEDS_UPGRADE
    try:
        asyncio.run(run(wanted, log))
    except OSError as error:
        print(f"Failed to set up listener: {error}", file=sys.stderr)  # noqa: T201
        return _UNUSABLE
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
