"""What befalls nodes, over stand-ins for their networks, their Pods and EC2."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from lab.agent.api import Api
from lab.agent.nodes import Node, Nodes
from lab.agent.power import Parts, Power
from lab.agent.vpc import NodeNetwork


class Town:
    """One node, on, whose instance runs; what is done to it is noted."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.states = {"i-1": "running"}
        self.is_open = True
        self.nodes = Nodes(cast("Api", None), Path("/doors"), lambda _: None)
        self.node = self.nodes.known["node-a1"] = Node("node-a1", "10.200.16.11", "i-1", {}, cast("NodeNetwork", self))
        self.nodes.wake(self.node)
        self.power = Power(self.nodes, cast("Parts", Everything(self)))

    async def open(self) -> None:
        self.is_open = True
        self.done.append("network on")

    async def close(self) -> None:
        self.is_open = False
        self.done.append("network off")

    async def cut(self) -> None:
        self.done.append("cut")

    async def mend(self) -> None:
        self.done.append("mend")

    async def look(self) -> None:
        """EC2 has told something."""
        await self.power._settle(self.states)


class Everything:
    """Each part of the agent that `Power` calls; EC2 follows orders at once."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self.cloud = self.disks = self.interfaces = self.roster = self.server = self

    async def instances(self) -> dict[str, str]:
        return self._town.states

    async def start(self, instance: str) -> None:
        self._town.states[instance] = "running"

    async def end(self, instance: str, *, terminate: bool) -> None:
        self._town.states[instance] = "terminated" if terminate else "stopped"

    async def say_runs(self, instance: str, *, runs: bool) -> None:
        self._town.done.append(f"{instance} {'runs' if runs else 'is off'}")

    async def slow(self, id: str, seconds: float) -> None:
        self._town.done.append(f"{id} takes {seconds}")

    async def node_went(self, node: Node) -> None:
        self._town.done.append("processes end")

    def node_came(self, node: Node) -> None:
        self._town.done.append("processes begin")

    async def forget(self, node: str) -> None:
        pass

    def look(self) -> None:
        pass

    async def open(self, node: Node) -> None:
        pass

    def close(self, node: Node) -> None:
        pass


OFF = ["processes end", "network off", "i-1 is off"]
ON = ["i-1 runs", "network on", "processes begin"]


def play(*acts: Callable[[Town], Awaitable[Any]]) -> Town:
    """A town after *acts*, one after the other."""

    async def run() -> Town:
        town = Town()
        for act in acts:
            await act(town)
        return town

    return asyncio.run(run())


def test_a_dead_nodes_instance_runs_on_in_ec2_and_does_not_revive_it() -> None:
    town = play(lambda town: town.power.put_down("node-a1", "dead"), Town.look)
    assert (town.done, town.states, town.node.down) == (OFF, {"i-1": "running"}, "dead")
    assert not town.node.awake.is_set()


def test_processes_are_gone_before_ec2_is_told_to_stop_the_instance() -> None:
    town = play(lambda town: town.power.put_down("node-a1", "dead", fate="stopped"))
    assert (town.done, town.states) == (OFF, {"i-1": "stopped"})


def test_what_ec2_stops_is_off_once_and_what_it_starts_is_on() -> None:
    async def stop(town: Town) -> None:
        town.states["i-1"] = "stopping"

    async def start(town: Town) -> None:
        town.states["i-1"] = "running"

    town = play(stop, Town.look, Town.look, start, Town.look, Town.look)
    assert town.done == OFF + ON
    assert town.node.awake.is_set()


def test_a_stopped_instance_is_started_with_its_node() -> None:
    down_and_up = (lambda town: town.power.put_down("node-a1", "dead", fate="stopped"), lambda town: town.power.bring_up("node-a1"))
    town = play(*down_and_up, Town.look)
    assert (town.done, town.states) == (OFF + ON, {"i-1": "running"})


def test_a_terminated_one_is_not() -> None:
    with pytest.raises(ValueError, match=r"i-1 of node node-a1 is terminated"):
        play(lambda town: town.power.put_down("node-a1", "dead", fate="terminated"), lambda town: town.power.bring_up("node-a1"))


def test_a_partition_is_mended_and_nothing_ends() -> None:
    town = play(lambda town: town.power.put_down("node-a1", "partitioned"), lambda town: town.power.bring_up("node-a1"))
    assert town.done == ["cut", "mend", "processes begin"]
    assert town.node.down is None


def test_a_node_that_hangs_can_still_die_and_a_dead_one_can_not_hang() -> None:
    town = play(lambda town: town.power.put_down("node-a1", "hung"), lambda town: town.power.put_down("node-a1", "dead"))
    assert town.done == OFF
    with pytest.raises(ValueError, match="node-a1 is dead already"):
        play(lambda town: town.power.put_down("node-a1", "dead"), lambda town: town.power.put_down("node-a1", "hung"))


def test_a_rebooting_node_is_back_by_itself_and_one_brought_up_before_boots_once() -> None:
    async def wait(town: Town) -> None:
        await asyncio.sleep(0.05)

    town = play(lambda town: town.power.put_down("node-a1", "rebooting", seconds=0.01), wait)
    assert town.done == OFF + ON
    sooner = play(lambda town: town.power.put_down("node-a1", "rebooting", seconds=0.01), lambda town: town.power.bring_up("node-a1"), wait)
    assert sooner.done == OFF + ON


def test_slowness_is_a_nodes_instances_a_volumes_or_an_interfaces() -> None:
    town = play(
        lambda town: town.power.slow("node-a1", 9), lambda town: town.power.slow("vol-1", 8), lambda town: town.power.slow("eni-1", 7)
    )
    assert town.done == ["i-1 takes 9", "vol-1 takes 8", "eni-1 takes 7"]
    with pytest.raises(KeyError, match="node-z9"):
        play(lambda town: town.power.slow("node-z9", 1))
