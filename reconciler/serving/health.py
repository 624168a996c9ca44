"""Whether a process that serves is alive, and whether it gets on: progress counts, not existence. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from typing_extensions import TypedDict

from reconciler.serving.post import Post

State = Literal["held", "standby", "stuck"]


class Role(TypedDict):
    """One role of this process; *age* in seconds since it last got on, null where it never did."""

    state: State
    age: float | None
    reason: str


class Ready(TypedDict):
    """The answer of `/readyz`."""

    ready: bool
    roles: dict[str, Role]


def ready(posts: Iterable[Post], now: float) -> Ready:
    """Ready is who holds a role and gets on with each that it holds; a role that another process holds is not ours to get on with."""
    roles = {post.name: _role(post, now) for post in posts}
    stuck = any(role["state"] == "stuck" for role in roles.values())
    return {"ready": not stuck and any(role["state"] == "held" for role in roles.values()), "roles": roles}


def _role(post: Post, now: float) -> Role:
    age = None if post.well is None else round(now - post.well, 1)
    if not post.held:
        return {"state": "standby", "age": age, "reason": post.trouble}
    late = age is None or age > post.bound
    reason = post.trouble or (f"nothing was heard of it for {age:.0f} s" if late and age is not None else "")
    return {"state": "stuck" if late else "held", "age": age, "reason": reason}
