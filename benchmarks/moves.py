"""A hundred members that come up elsewhere at once, against one: how long until each has its name or its address.

The controller is the product's, its two ports are the unit tests' in memory, with a pause before every answer. What the cloud takes to
detach and to attach is left out: it is AWS's, and the same for one and for a hundred.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.world import World as Servers
from providers.clock import SystemClock
from reconciler import kinds
from reconciler.loop import TICK
from reconciler.members.controller import Controller
from reconciler.members.member import Member, declared
from reconciler.model.outcome import Done
from reconciler.model.service import Service
from tests.unit.member_world import ENVIRONMENT, World

AT = (0,)
MANY = 100
LATENCY = 0.05  # seconds before every answer, of the API server's as of AWS's
WITHIN = 120.0


def measure(_: Servers) -> Iterator[Figure]:
    for addresses, what in (("none", "names"), ("private", "addresses of their own")):
        one, many = (min(_moved(count, addresses) for _ in range(3)) for count in (1, MANY))
        raw = {"one": one, "many": many, "members": MANY, "latency": LATENCY}
        yield Figure(f"{MANY} members with {what} move at once, against one", round(many / one, 2), "times", aim=2.0, raw=raw)


def _moved(count: int, addresses: str) -> float:
    """Seconds from their new Pods to the last one's being in its place."""
    world = World()
    volumes = {"data": {"size": "1Gi"}}
    service = Service(name="kv", type="redis", namespace="default", replicas=count, addresses=addresses, volumes=volumes)
    members = declared([service], ENVIRONMENT, kinds.service_types())
    for node in ("a1", "a2"):
        world.node(node)
    world.stateful_set("kv", count)
    for member in members:
        world.pod(member.name, "a1")
        if addresses != "none":
            world.interface(member.name, "kv")
    controller = Controller(world, world, SystemClock(threading.Event()), ENVIRONMENT)
    _settle(controller, world, members)
    for member in members:
        world.pod(member.name, "a2")
    world.pausing = lambda: time.sleep(LATENCY)
    began = time.monotonic()
    _settle(controller, world, members)
    return time.monotonic() - began


def _settle(controller: Controller, world: World, members: tuple[Member, ...]) -> None:
    end = time.monotonic() + WITHIN
    while controller.tick(members).services["kv"] != Done():
        if time.monotonic() > end:
            raise RuntimeError("the members do not come to their places")
        world.settle_attachments()
        time.sleep(TICK)
