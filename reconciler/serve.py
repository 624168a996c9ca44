"""The wiring of `serve`: one environment, the roles that this process takes, a thread each, and the HTTP surface beside them."""

from __future__ import annotations

import functools
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reconciler import bootstrap, errors, local, loop, reading
from reconciler.api.routes import Routes
from reconciler.api.server import served
from reconciler.bootstrap import Home
from reconciler.model.origin import Revision
from reconciler.ports import Clock
from reconciler.serving import tend
from reconciler.serving.follow import Follower
from reconciler.serving.ground import Ground
from reconciler.serving.handover import Desk
from reconciler.serving.pace import Pace
from reconciler.serving.post import Post, Step
from reconciler.serving.tend import Tender, Tenders

ROLES = ("reconcile", "members", "batcher", "operator", "api")
_IDLE = 1.0
_BOUNDS = {"branch": 180.0, "reconcile": 30.0, "members": 60.0, "components": 180.0, "api": 30.0}  # seconds: how long a step may take

Said = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class How:
    """What is served, and how: *roles*, of the branch *ref* of *repo*, looked at every *interval* seconds."""

    environment: str
    repo: str
    ref: str | None
    roles: frozenset[str]
    interval: float
    listen: str


@dataclass(frozen=True, slots=True)
class Branch:
    """The commits of one branch; what is opened of them acts in the name of one run and ends with it."""

    how: How
    stop: threading.Event
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    def newest(self) -> Revision:
        revision = reading.specs(self.how.repo, self.how.ref).revision(self.how.environment)
        if not revision.commit:
            hint = "commit them, or follow a branch: --ref main"
            raise errors.UsageError(f"{self.how.repo} has changes that are no commit, and only commits are served", hint=hint)
        return revision

    def open(self, commit: str) -> Ground:
        return self.opened(commit)[1]

    def opened(self, commit: str) -> tuple[Home, Ground]:
        """The Home of a commit as well."""
        home = Home(local.read(self.how.environment), self.stop, self.token)
        try:
            world, desired = home.world(self.how.repo, commit)
        except errors.ReconcilerError:
            home.close()
            raise

        @contextmanager
        def locked() -> Iterator[None]:
            try:
                with loop.lock(world) as home.lease:
                    yield
            finally:
                home.lease = None

        return home, Ground(world, desired, locked, home.close)


def serve(how: How, said: Said) -> None:
    """Go on until SIGTERM or SIGINT: then nothing new starts, what is in flight finishes, and the leases are given back."""
    with bootstrap.home(how.environment) as here, here.interruptible():
        posts: list[Post] = []
        desk, stopping = Desk(), here.stop.is_set
        tenders = _tenders(how.roles, here.clock, said)
        branch = Branch(how, here.stop)
        token = _Token()
        routes = Routes(posts, here.clock, tenders, desk if "api" in how.roles else None, token)
        with served(how.listen, routes) as address:
            said(f"listens at {address}")
            if opened := _first(branch, here.clock, stopping, said):
                home, head = opened
                token.read = functools.cache(lambda: home.api_token(make=True))
                follower = Follower(branch, here.clock, head, tenders, how.interval, said, desk=desk)
                posts += _posts(how.roles, follower, token, said)
                said(f"serves {how.environment} at {head.desired.revision.short}: {', '.join(one for one in ROLES if one in how.roles)}")
                world = head.world  # its leases are those of the whole run: another namespace or cluster takes a restart
                world.together([functools.partial(post.serve, world.leases, here.clock, stopping) for post in posts])
                follower.close()
        said("ended")


class _Token:
    """What callers have to show; not known before the specs have said where to read it."""

    read: Callable[[], str] | None = None

    def __call__(self) -> str:
        if self.read is None:
            raise errors.TransientError("the branch was not read yet", hint="try again")
        return self.read()


def _first(branch: Branch, clock: Clock, stopping: Callable[[], bool], said: Said) -> tuple[Home, Ground] | None:
    """The ground to begin on, once there is one that can be stood on; None where an end is wanted before."""
    pace, told = Pace(branch.how.interval), ""
    while not stopping():
        try:
            return branch.opened(branch.newest().commit)
        except errors.ReconcilerError as error:
            if error.message != told:
                said(f"cannot begin yet: {error.message}")
            told, pace = error.message, pace.after(clock.monotonic(), "bad")
            while not stopping() and not pace.is_due(clock.monotonic()):
                clock.sleep(_IDLE)
    return None


def _tenders(roles: frozenset[str], clock: Clock, said: Said) -> Tenders:
    def progress(address: str, what: str, words: str) -> None:
        del what
        said(f"{address}: {words}")

    members = Tender(tend.members(progress), clock) if "members" in roles else None
    return Tenders(members, Tender(tend.components, clock) if "operator" in roles else None)


def _posts(roles: frozenset[str], follower: Follower, token: _Token, said: Said) -> Iterator[Post]:
    """A post for each role, and one for the branch, which every process reads for itself: it is nobody's alone."""

    def post(name: str, step: Callable[[], Step], *leases: str) -> Post:
        return Post(name, step, _BOUNDS[name], leases, said=said)

    branch = post("branch", follower.step)
    yield branch
    follower.got_on = lambda: branch.beat(follower.clock)
    if "reconcile" in roles:
        reconcile = post("reconcile", lambda: Step(_IDLE), "reconcile")
        follower.converges = lambda: reconcile.held
        yield reconcile
    else:
        follower.converges = lambda: False
    if follower.tenders.members:
        yield post("members", follower.tenders.members.step, "members")
    if follower.tenders.components:
        yield post("components", follower.tenders.components.step, "batcher", "operator")
    if "api" in roles:
        yield post("api", lambda: Step(_IDLE, "" if token() else "it has no token"), "api")
