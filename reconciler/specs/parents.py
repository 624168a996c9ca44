"""What a service knows of those that it depends on. Pure.

A child sees its parents as they are declared, so that their members' names stand in its configuration: what is found out about its
document follows from theirs too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from reconciler.model.service import Parent
from reconciler.resources import declare, moved

if TYPE_CHECKING:
    from reconciler.kinds import ServiceType
    from reconciler.model.environment import Environment
    from reconciler.model.service import Service
    from reconciler.specs.draft import Draft


def key(drafts: Iterable[Draft]) -> None:
    """Have the key of each draft stand for its parents' documents too; it has none where one of these has none."""
    drafts = tuple(drafts)
    keys = {draft.name: draft.key for draft in drafts}
    for draft in drafts:
        if draft.depends and draft.key:
            of_parents = [keys.get(name, "") for name in draft.depends]
            told = " ".join([draft.key, *of_parents]).encode()
            draft.key = hashlib.sha256(told).hexdigest() if all(of_parents) else ""


def give(drafts: Iterable[Draft], environment: Environment, types: Mapping[str, ServiceType]) -> None:
    """Give each of *drafts*, which are complete but for this, its parents; those that something is wrong with are left out."""
    drafts = tuple(drafts)
    named = {draft.name: draft for draft in drafts if not draft.faulty}
    for draft in drafts:
        if not draft.depends:
            continue
        found = [named[name] for name in draft.depends if name in named]
        if len(found) < len(draft.depends):
            draft.key = ""  # nothing of what follows is to be kept: it is found out anew once all of them are known
            draft.faulty |= {"dependsOn"}
        draft.refine(partial(_given, found, environment, types))


def _given(parents: Sequence[Draft], environment: Environment, types: Mapping[str, ServiceType], service: Service) -> Service:
    return service.model_copy(update={"parents": tuple(_parent(one.noun, environment, types[one.noun.type]) for one in parents)})


def _parent(service: Service, environment: Environment, type_: ServiceType) -> Parent:
    names = tuple(one.name for one in declare.members(service, environment, type_))
    return Parent(moved.base(service).model_copy(update={"parents": ()}), names)
