"""What a member does by itself: heartbeats, elections, copying the primary's log; and what takes it several questions to others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from lab.standins.mongod import config as configs
from lab.standins.mongod.member import Member, State
from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.wire import Document, Peer

TICK = 0.1
PATIENCE = 5.0  # seconds for one question that must be answered
AWAY = (OSError, TimeoutError, Refusal)


class Rounds:
    """Everything of *member* that takes time. *keys* are the keyfile's."""

    def __init__(self, member: Member, keys: Sequence[str]) -> None:
        self.member = member
        self._keys = keys
        self._beating: dict[str, asyncio.Task[None]] = {}
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._follow())

    async def _watch(self) -> None:
        member = self.member
        while True:
            if member.config and not configs.of(member.config, member.own):
                await self._recognise()
            self._attend()
            if member.state is State.PRIMARY and member.is_alone():
                member.become(State.SECONDARY)
            elif member.is_electable() and time.monotonic() > member.deadline:
                await self.stand()
            await asyncio.sleep(TICK)

    # --- who is who

    async def _recognise(self) -> None:
        """Find out which of the configured members this one is, by asking them all: names say nothing about it."""
        member = self.member
        assert member.config
        asked = [self.ask(host, {"_isSelf": 1}, PATIENCE) for host in configs.hosts(member.config)]
        said = await asyncio.gather(*asked, return_exceptions=True)
        mine = [
            host
            for host, one in zip(configs.hosts(member.config), said, strict=True)
            if isinstance(one, dict) and one["id"] == member.identity
        ]
        member.own = mine[0] if mine else ""
        member.place()
        if not mine:
            await asyncio.sleep(1)

    async def ask(self, host: str, body: Document, within: float) -> Document:
        """One question on a connection of its own."""
        peer = Peer(host, self._keys)
        try:
            return await peer.ask(body, within)
        finally:
            peer.close()

    # --- heartbeats

    def _attend(self) -> None:
        """Beat with everybody in the configuration, and with nobody else."""
        wanted = set(self.member.views) if self.member.own else set()
        for host in set(self._beating) - wanted:
            self._beating.pop(host).cancel()
        for host in wanted - set(self._beating):
            self._beating[host] = asyncio.create_task(self._beat(host))

    async def _beat(self, host: str) -> None:
        peer = Peer(host, self._keys)
        try:
            while True:
                await self._exchange(host, peer)
                hurry = self._hurry
                with suppress(TimeoutError):
                    assert self.member.config
                    await asyncio.wait_for(hurry.wait(), self.member.config["settings"]["heartbeatIntervalMillis"] / 1000)
        finally:
            peer.close()

    async def _exchange(self, host: str, peer: Peer) -> None:
        try:
            self.member.note(host, await peer.ask({"replSetHeartbeat": self.member.set_name, **self.member.heartbeat()}, 2))
        except AWAY:
            if view := self.member.views.get(host):
                view.is_up, view.state = False, State.DOWN
                self.member.stir()

    def hurry(self) -> None:
        """Tell everybody at once."""
        self._hurry.set()
        self._hurry = asyncio.Event()

    async def heard(self, said: Document) -> Document:
        """The answer to a heartbeat; who has a newer configuration is asked for it."""
        member = self.member
        if said["set"] != member.set_name:
            raise Refusal(93, f"Our set name of {member.set_name} does not match the set name {said['set']} reported by remote node")
        member.hear(said["term"])
        age = (said["configTerm"], said["configVersion"])
        if age > configs.age(member.config) and said["from"]:
            asyncio.get_running_loop().create_task(self._fetch(said["from"]))  # a lost one is asked for at the next heartbeat
        newer = {"config": member.config} if configs.age(member.config) > age else {}
        return {**member.heartbeat(), **newer}

    async def _fetch(self, host: str) -> None:
        with suppress(*AWAY):
            said = await self.ask(host, {"replSetHeartbeat": self.member.set_name, **self.member.heartbeat()}, PATIENCE)
            self.member.note(host, said)

    # --- elections

    async def stand(self, *, is_asked: bool = False) -> bool:
        """Stand for election: first ask whether it has a chance, unless the old primary has said so. Whether it was won."""
        member = self.member
        member.stay()
        if not is_asked and not await self._majority(member.term + 1, dry=True):
            return False
        term = member.term + 1
        member.log.vote(term, member.own)
        if not await self._majority(term, dry=False) or member.term != term or member.state is not State.SECONDARY:
            return False
        member.lead()
        self.hurry()
        return True

    async def _majority(self, term: int, *, dry: bool) -> bool:
        member = self.member
        assert member.config
        others = [host for host in configs.voters(member.config) if host != member.own]
        wanted = configs.majority(member.config) - 1
        configured = dict(zip(("configTerm", "configVersion"), configs.age(member.config), strict=True))
        body = {"replSetRequestVotes": 1, "term": term, "candidate": member.own, "dryRun": dry, "last": list(member.log.last), **configured}
        open_ = {asyncio.create_task(self._vote(host, body)) for host in others}
        while open_ and wanted > 0:
            done, open_ = await asyncio.wait(open_, return_when=asyncio.FIRST_COMPLETED)
            wanted -= sum(task.result() for task in done)
        for task in open_:
            task.cancel()
        return wanted <= 0

    async def _vote(self, host: str, body: Document) -> int:
        try:
            said = await self.ask(host, body, 2)
        except AWAY:
            return 0
        self.member.hear(said["term"])
        return int(said["voteGranted"])

    async def hand_over(self) -> None:
        """Before it ends, a primary lets one that has everything take its place."""
        if self.member.state is State.PRIMARY:
            await self._yield_to(await self._first(self._whole))

    async def step_down(self) -> None:
        """As people ask for it: it stays where nobody has everything."""
        if self.member.state is not State.PRIMARY:
            raise Refusal(10107, "not primary so can't step down")
        whole = await self._first(self._whole)
        if not whole:
            raise Refusal(262, "No electable secondaries caught up; still primary")
        await self._yield_to(whole)

    def _whole(self) -> list[str]:
        """Those who may be primary and have everything."""
        member = self.member
        able = {one["host"] for one in member.config["members"] if one["priority"]} if member.config else set()
        return [host for host in able if member.copied.get(host, 0) == len(member.log.entries)]

    async def _yield_to(self, whole: list[str]) -> None:
        self.member.become(State.SECONDARY)
        for host in whole:
            with suppress(*AWAY):
                await self.ask(host, {"replSetStepUp": 1}, PATIENCE)
                return

    async def _first(self, of: Callable[[], list[str]]) -> list[str]:
        await self.member.until(lambda: bool(of()), 2)
        return of()

    # --- the log

    async def _follow(self) -> None:
        member, peer = self.member, Peer("", self._keys)
        while True:
            source = member.primary
            if not source or source == member.own or member.state not in (State.SECONDARY, State.STARTUP2):
                await member.until(lambda: member.primary not in ("", member.own), 1)
                await asyncio.sleep(TICK / 10)
                continue
            if peer.host != source:
                peer.close()
                peer = Peer(source, self._keys)
            try:
                member.take(await peer.ask({"standinPull": 1, "from": member.own, "last": list(member.log.last)}, PATIENCE))
            except AWAY:
                await asyncio.sleep(TICK)

    # --- what people ask

    async def initiate(self, config: Document) -> None:
        """Found the set: this member has its first configuration, the others hear of it."""
        member = self.member
        if member.config:
            raise Refusal(23, "already initialized")
        wanted = configs.filled(config, 0)
        configs.check(wanted, member.set_name, member.role)
        await self._everybody(wanted, is_new=True)
        member.log.configure(wanted)
        member.log.written(0, [])
        await self._recognise()
        self.hurry()

    async def reconfigure(self, config: Document, *, force: bool) -> None:
        """Change the set, once a majority has the present configuration and what was written under it; return once one has the new."""
        member = self.member
        if member.config is None:
            raise Refusal(94, "no replset config has been received")
        if member.state is not State.PRIMARY:
            raise Refusal(10107, f"New config is rejected by replSetReconfig: not primary, but {member.state.name}")
        if force:
            raise Refusal(115, "this stand-in forces no configuration")
        wanted = configs.filled(config, member.term)
        configs.check(wanted, member.set_name, member.role)
        configs.check_change(member.config, wanted)
        if not await member.until(self._is_settled, PATIENCE):
            raise Refusal(308, "Cannot run replSetReconfig because the current config is not majority committed")
        await self._everybody(wanted, is_new=False)
        member.adopt(wanted)
        self._attend()
        self.hurry()
        await member.until(self._is_settled, 2 * PATIENCE)

    def _is_settled(self) -> bool:
        """Whether a majority has the present configuration, and the last entry."""
        member = self.member
        assert member.config
        age = configs.age(member.config)
        having = [host for host in configs.voters(member.config) if host == member.own or member.views[host].config == age]
        return len(having) >= configs.majority(member.config) and member.commit == len(member.log.entries)

    async def _everybody(self, wanted: Document, *, is_new: bool) -> None:
        """Refuse what too few of those concerned are there for: all of a new set, a majority of the voters of an old one."""
        member = self.member
        said = await asyncio.gather(*(self._state(host, wanted) for host in configs.hosts(wanted)), return_exceptions=True)
        answers = dict(zip(configs.hosts(wanted), said, strict=True))
        mine = [host for host, one in answers.items() if isinstance(one, dict) and one["id"] == member.identity]
        if not mine:
            raise Refusal(74, f"No host described in new configuration maps to this node, of {', '.join(answers)}")
        silent = [host for host, one in answers.items() if isinstance(one, BaseException)]
        if is_new and silent:
            raise Refusal(74, f"replSetInitiate quorum check failed because not all proposed set members responded: {', '.join(silent)}")
        if is_new and (taken := [host for host, one in answers.items() if isinstance(one, dict) and one["configVersion"] != -1]):
            raise Refusal(103, f"{', '.join(taken)} has a replica set configuration already")
        if sum(host not in silent for host in configs.voters(wanted)) < configs.majority(wanted):
            raise Refusal(74, f"Quorum check failed because not enough voting nodes responded; silent: {', '.join(silent)}")

    async def _state(self, host: str, wanted: Document) -> Document:
        identity = await self.ask(host, {"_isSelf": 1}, PATIENCE)
        member = self.member
        if identity["id"] == member.identity:
            return {**member.heartbeat(), **identity}
        asking = {**member.heartbeat(), "from": ""}
        return {**await self.ask(host, {"replSetHeartbeat": wanted["_id"], **asking}, PATIENCE), **identity}
