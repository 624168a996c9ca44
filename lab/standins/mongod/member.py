"""One member of a replica set: its state, its term, its configuration, and what it answers to the others."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum

from bson import ObjectId

from lab.standins.mongod import config as configs
from lab.standins.mongod import versions
from lab.standins.mongod.log import Log, Place
from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.wire import Document

_AT_ONCE = 500  # entries in one answer
_JITTER = 0.15  # of the election time-out, by which members differ in it


class State(IntEnum):
    """As the real server numbers them."""

    STARTUP = 0
    PRIMARY = 1
    SECONDARY = 2
    STARTUP2 = 5
    DOWN = 8
    REMOVED = 10


@dataclass(slots=True)
class View:
    """What is known of another member: when it last answered, and what."""

    seen: float = float("-inf")
    is_up: bool = False
    state: State = State.DOWN
    term: int = 0
    last: Place = (0, 0)
    config: tuple[int, int] = (-1, -1)


@dataclass(slots=True)
class Member:
    """*set_name* and *role* are those of the configuration file; *log* has everything that outlives a restart."""

    set_name: str
    log: Log
    role: str = ""
    identity: ObjectId = field(default_factory=ObjectId)
    own: str = ""  # how the configuration calls this member
    state: State = State.STARTUP
    views: dict[str, View] = field(default_factory=dict)
    copied: dict[str, int] = field(default_factory=dict)  # of a primary: how far each follower has come
    commit: int = 0  # the last entry that a majority has
    deadline: float = float("inf")  # when it stands for election, if it hears of no primary before
    moved: asyncio.Event = field(default_factory=asyncio.Event)  # set, and replaced, whenever anything of this changes
    changes: int = 0  # of what clients have to know of the set, which wait for it
    _told: tuple[State, str, tuple[int, int]] = (State.STARTUP, "", (-1, -1))

    @property
    def config(self) -> Document | None:
        return self.log.config

    @property
    def term(self) -> int:
        return int(self.log.election["term"])

    @property
    def primary(self) -> str:
        """Who is primary, as far as this member knows; "" where nobody is."""
        if self.state is State.PRIMARY:
            return self.own
        known = [(view.term, host) for host, view in self.views.items() if view.is_up and view.state is State.PRIMARY]
        return max(known)[1] if known and max(known)[0] >= self.term else ""

    @property
    def timeout(self) -> float:
        return float(self.config["settings"]["electionTimeoutMillis"]) / 1000 if self.config else 10.0

    def stir(self) -> None:
        """Tell those who wait that something has changed."""
        told = (self.state, self.primary, configs.age(self.config))
        if told != self._told:
            self._told, self.changes = told, self.changes + 1
        self.moved.set()
        self.moved = asyncio.Event()

    async def until(self, holds: Callable[[], bool], within: float) -> bool:
        """Whether *holds* became true within some seconds."""
        end = time.monotonic() + within
        while not holds():
            if (left := end - time.monotonic()) <= 0:
                return False
            with suppress(TimeoutError):
                await asyncio.wait_for(self.moved.wait(), left)
        return True

    # --- state and term

    def become(self, state: State) -> None:
        if state is not self.state:
            print(f"{self.own or self.set_name}: {self.state.name} -> {state.name} in term {self.term}", flush=True)  # noqa: T201 - its log
        self.state = state
        self.copied = {}
        self.stay()
        self.stir()

    def stay(self) -> None:
        """A primary was heard of: no election for a while."""
        self.deadline = time.monotonic() + self.timeout * (1 + random.random() * _JITTER)

    def hear(self, term: int) -> None:
        """Somebody is in *term*: so are we, and whoever was primary in an older one is so no more."""
        if term > self.term:
            self.log.vote(term, "")
            if self.state is State.PRIMARY:
                self.become(State.SECONDARY)

    def adopt(self, config: Document) -> None:
        """Take over a newer configuration."""
        if configs.age(config) > configs.age(self.config):
            self.log.configure(config)
            if self.own:  # who it is in a first one has to be found out
                self.place()

    def place(self) -> None:
        """Find this member's state in a configuration that is new, or was kept."""
        assert self.config
        mine = configs.of(self.config, self.own)
        self.views = {host: self.views.get(host, View()) for host in configs.hosts(self.config) if host != self.own}
        if mine is None:
            self.become(State.REMOVED)
        elif self.state in (State.STARTUP, State.REMOVED):
            self.become(State.SECONDARY if self.log.entries else State.STARTUP2)
        if configs.voters(self.config) == [self.own]:
            self.deadline = 0.0  # nobody else can be primary
        self.advance()
        self.stir()

    def lead(self) -> None:
        """Become the primary of this term."""
        assert self.config
        self.become(State.PRIMARY)
        self.log.configure({**self.config, "term": self.term})
        new = [] if versions.of(self.log.documents) else [versions.first()]
        self.log.written(self.term, new)  # what follows from it holds for all that came before, too
        self.advance()

    def is_electable(self) -> bool:
        mine = configs.of(self.config, self.own) if self.config else None
        return self.state is State.SECONDARY and bool(mine and mine["priority"])

    def is_alone(self) -> bool:
        """Whether a primary has not heard of a majority for so long that another may have been elected."""
        assert self.config
        since = time.monotonic() - self.timeout
        seen = [host for host in configs.voters(self.config) if host == self.own or (host in self.views and self.views[host].seen > since)]
        return len(seen) < configs.majority(self.config)

    # --- the log

    def advance(self) -> None:
        """As a primary: see how far a majority has come. Only an entry of this term shows that those before it will stay."""
        if self.state is not State.PRIMARY or not self.config:
            return
        last = len(self.log.entries)
        come = sorted((last if host == self.own else self.copied.get(host, 0) for host in configs.voters(self.config)), reverse=True)
        reached = come[configs.majority(self.config) - 1]
        if reached > self.commit and self.log.place(reached)[0] == self.term:
            self.commit = reached
            self.stir()

    def copies(self, index: int) -> int:
        """How many members have entry *index*."""
        return 1 + sum(reached >= index for reached in self.copied.values())

    def served(self, follower: str, place: Place) -> Document:
        """What a *follower* whose last entry is at *place* has to do next: forget what others do not have, or take what follows."""
        if self.state is not State.PRIMARY:
            raise Refusal(10107, "not primary")
        term, index = place
        if self.log.place(index) != (term, index):
            older = (at for at in range(min(index - 1, len(self.log.entries)), 0, -1) if self.log.place(at)[0] <= term)
            return {"cut": next(older, 0), "term": self.term}
        self.copied[follower] = index
        self.advance()
        self.stir()
        return {
            "entries": self.log.entries[index : index + _AT_ONCE],
            "commit": self.commit,
            "last": len(self.log.entries),
            "term": self.term,
        }

    def take(self, said: Document) -> None:
        """As a follower: do what the primary has said."""
        self.hear(said["term"])
        if said["term"] < self.term or self.state not in (State.SECONDARY, State.STARTUP2):
            return
        self.stay()
        if "cut" in said:
            assert said["cut"] >= self.commit, "a primary without what a majority has"
            self.log.cut(said["cut"])
            return
        if said["entries"]:
            self.log.extend(said["entries"])
        self.commit = max(self.commit, min(said["commit"], len(self.log.entries)))
        if self.state is State.STARTUP2 and len(self.log.entries) >= said["last"]:
            self.become(State.SECONDARY)
        self.stir()

    # --- what others ask

    def vote(self, asked: Document) -> Document:
        """The answer to who wants to be primary."""
        if not asked["dryRun"]:
            self.hear(asked["term"])
        denied = self._denied(asked)
        if not denied and not asked["dryRun"]:
            self.log.vote(asked["term"], asked["candidate"])
            self.stay()
        return {"voteGranted": not denied, "reason": denied, "term": self.term}

    def _denied(self, asked: Document) -> str:
        if (asked["configTerm"], asked["configVersion"]) < configs.age(self.config):
            return "candidate's configuration is older than mine"
        if asked["term"] < self.term:
            return f"candidate's term ({asked['term']}) is lower than mine ({self.term})"
        if tuple(asked["last"]) < self.log.last:
            return "candidate's data is staler than mine"
        taken = self.log.election["term"] == asked["term"] and self.log.election["for"] not in ("", asked["candidate"])
        return f"already voted for another candidate ({self.log.election['for']}) this term" if taken else ""

    def heartbeat(self) -> Document:
        """What this member tells of itself, asking and answering."""
        term, version = configs.age(self.config)
        return {
            "set": self.set_name,
            "from": self.own,
            "state": int(self.state),
            "term": self.term,
            "last": list(self.log.last),
            "configTerm": term,
            "configVersion": version,
        }

    def note(self, host: str, said: Document) -> None:
        """What *host* has answered to a heartbeat."""
        self.hear(said["term"])
        if "config" in said:
            self.adopt(said["config"])
        if host not in self.views:
            return
        state, last = State(said["state"]), (said["last"][0], said["last"][1])
        self.views[host] = View(time.monotonic(), is_up=True, state=state, term=said["term"], last=last)
        self.views[host].config = (said["configTerm"], said["configVersion"])
        if state is State.PRIMARY and said["term"] >= self.term:
            self.stay()
        self.stir()
