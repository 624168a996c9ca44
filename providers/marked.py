"""What the kinds of EC2 have in common: our tags as a filter, and from tags to the address they claim. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from reconciler.kinds import FieldPolicy
from reconciler.model import address
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.observation import Observation
from reconciler.model.value import Fields, Path
from reconciler.resources import marks

PAGE = 500  # things a page of a describe; EC2 allows 1000 and becomes slow there


def filters(environment: str) -> list[dict[str, Any]]:
    """What restricts a describe to an environment's things."""
    return [{"Name": f"tag:{marks.ENVIRONMENT}", "Values": [environment]}]


def tags(payload: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """AWS's list of tags as a mapping; without those that AWS itself puts there."""
    return {tag["Key"]: tag["Value"] for tag in payload or () if not tag["Key"].startswith("aws:")}


def written(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A mapping as AWS's list of tags."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def observation(
    kind: str, environment: str, live_id: str, fields: Fields, *, attributes: Mapping[str, str], since: object = ""
) -> Observation:
    """The observation of a tagged thing; its address is what its tags claim."""
    known = fields["tags"]
    assert isinstance(known, Mapping)  # noqa: S101 - every view puts them there
    claimed = {key: str(value) for key, value in known.items()}
    id = claim(kind, environment, claimed)
    return Observation(
        id or _nameless(kind, environment, live_id),
        live_id,
        fields,
        attributes={name: value for name, value in attributes.items() if value},
        owned=owned(claimed),
        marked=id is not None,
        retained=claimed.get(marks.RETAINED, ""),
        protected=claimed.get(marks.PROTECTED) == "true",
        given_up=claimed.get(marks.DELETION_POLICY) == "Delete",
        stack=claimed.get(marks.SERVICE) or (id.service if id else ""),
        since=since.isoformat() if isinstance(since, datetime) else str(since),
    )


def owned(tags: Mapping[str, str]) -> frozenset[Path]:
    """The paths of the tags that are ours: what declares them no more takes them off."""
    return _paths(marks.own(tags))


@lru_cache(maxsize=4096)
def _paths(names: frozenset[str]) -> frozenset[Path]:
    return frozenset(("tags", name) for name in names)


def claim(kind: str, environment: str, tags: Mapping[str, str]) -> ResourceId | None:
    """The address that *tags* claim; None where they name none, or one of another kind or environment (tags get copied)."""
    try:
        id = address.parse(tags.get(marks.ADDRESS, ""))
    except ValueError:
        return None
    return id if (id.kind, id.environment) == (kind, environment) and tags.get(marks.ENVIRONMENT) == environment else None


def _nameless(kind: str, environment: str, live_id: str) -> ResourceId:
    """The address of what carries the environment's tag but claims none: nothing can declare it, so nothing is done about it."""
    return ResourceId(kind, environment, SHARED, f"-/{live_id}" if kind == "volume" else live_id)


def recalled(inputs: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The declared fields, each by its name in *inputs* of the engine."""
    return {field: inputs[name] for field, name in names.items() if inputs.get(name) is not None}


UPDATE = FieldPolicy()


def refused(why: str) -> FieldPolicy:
    """The policy of a field that cannot change."""
    return FieldPolicy(effect="refuse", why=why)
