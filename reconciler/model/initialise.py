"""What a service type says of its initialisation: how its application is asked, and what is to be done, given what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Said: TypeAlias = Mapping[str, Any]  # what a look found out: the JSON object that its script gave to `say`
LOOK = "look"
LEADER = "leader"  # in the answer of a look that asks who leads: a member's name, a list of several, "" for nobody


@dataclass(frozen=True, slots=True)
class Script:
    """What a Job runs: *text* in bash, in the service's own image, with its configuration and secrets and without its data.

    *does* says it for people ("look", "initiate the replica set"). Within *deadline* seconds it ends, or is ended. It has to be safe to
    run again from any prefix of itself: who runs it may die at any moment. `say JSON` is its answer, of 4 KiB at most.
    """

    does: str
    text: str
    deadline: int = 120


Next: TypeAlias = Script | str | None


@dataclass(frozen=True, slots=True)
class Initialisation:
    """How a service becomes what its spec says, level-triggered: *look* asks, *next* decides from the answer alone.

    *next* gives the step to take, or what is still lacking though nothing can be done about it ("kv-1 has loaded its data"), or None:
    the application itself says that it is initialised. With *of_pods* it is asked anew also when a member's Pod is another. *closed*: it
    never says so while a member lets in who has no password. *meanwhile* is what there is to do of that while others still run what was
    declared before, and wait to restart until new members work: to let those in.
    """

    look: Script
    next: Callable[[Said], Next]
    of_pods: bool = False
    closed: bool = False
    meanwhile: Callable[[Said], Next] | None = None


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a service's generated secrets give way to their next generation, level-triggered.

    *before* goes on while members of the former generation run: once it has nothing to do, all of them take the new secrets beside the
    former ones, and the first may restart with the new ones alone; None where members of two generations understand each other anyway.
    The Secrets *former* go once the service is initialised again, which it is only when each member refuses them.
    """

    before: Initialisation | None
    former: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generated:
    """A Secret that is made once, before its first use, and never changed: by key, how many random letters and digits it holds."""

    name: str
    keys: Mapping[str, int] = field(default_factory=dict)
