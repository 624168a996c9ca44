"""A stand-in for `mongos`: `mongos --config FILE [--bind_ip NAMES]`. Listens once it has reached the config servers; ends on SIGTERM."""

from __future__ import annotations

import asyncio
import functools
import sys
from contextlib import suppress
from pathlib import Path

from lab.standins.mongod import scram, settings
from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.server import asked_to_end, serve
from lab.standins.mongos.cluster import Cluster
from lab.standins.mongos.replica_set import ReplicaSet
from lab.standins.mongos.router import COMMANDS, Router

_KNOWN = (
    "net.port",
    "net.bindIp",
    "net.bindIpAll",
    "security.keyFile",
    "setParameter.enableLocalhostAuthBypass",
    "sharding.configDB",
)


async def run(router: Router, bind: tuple[str, ...], port: int) -> None:
    """Serve until the process is asked to end."""
    over = asyncio.create_task(asked_to_end().wait())
    beginning = asyncio.create_task(begin(router.cluster))
    await asyncio.wait([over, beginning], return_when=asyncio.FIRST_COMPLETED)
    if not over.done():
        beginning.result()  # raises what went wrong
        listening = await asyncio.start_server(functools.partial(serve, router, COMMANDS), list(bind), port)
        print(f"stand-in for mongos: waits for connections on {bind}, port {port}", flush=True)  # noqa: T201
        await over
        listening.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def begin(cluster: Cluster) -> None:
    """Return once the config servers can be asked."""
    while True:
        try:
            await cluster.identity()
        except Refusal as refusal:
            print(f"waits for the config servers: {refusal}", flush=True)  # noqa: T201
        else:
            return


def main() -> int:
    try:
        said, bind = settings.told("mongos", sys.argv[1:], _KNOWN)
        (secret,) = settings.keys(Path(said["security.keyFile"]))
        config = ReplicaSet.at(said["sharding.configDB"], secret)
    except (settings.SettingsError, Refusal, KeyError, ValueError) as error:
        print(f"this stand-in needs keyFile and configDB: {error}", file=sys.stderr)  # noqa: T201
        return 1
    asyncio.run(run(Router(Cluster(config, secret), secret, scram.of_keys([secret])), bind, int(said.get("net.port", 27017))))
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
