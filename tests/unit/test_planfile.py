"""A saved plan binds: to where it was made, to what was read, to its time; a file that was touched is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler import errors, plan, planfile
from reconciler.model.address import parse
from reconciler.model.change import Change, FieldChange
from reconciler.model.observation import Observation, Observed
from reconciler.model.origin import Revision
from reconciler.model.plan import Plan
from reconciler.planfile import Basis
from tests.memory_world import MemoryWorld, desired

REVISION = Revision("c" * 40, "t" * 40, "lab")
DISK, SECRET = parse("volume/lab/kv/kv-0/data"), parse("kubernetes/lab/kv/Secret/default/kv")
KV = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec: {type: redis, replicas: 1, volumes: {data: {size: 2Gi}}}
"""


def live(key: str = "old", **fields: Any) -> Observed:
    disk = {"size": "1Gi", "tags": {"a": "x"}, **fields}
    secret = {"data": {"key": key}, "metadata": {"name": "kv"}}
    return Observed({DISK: (Observation(DISK, "vol-1", disk),), SECRET: (Observation(SECRET, "default/kv", secret),)})


def made(observed: Observed, *fields: FieldChange) -> Plan:
    size = fields or (FieldChange(("size",), "1Gi", "2Gi"),)
    secret = FieldChange(("data", "key"), "old", "new", secret=True)
    changes = (Change(DISK, "update", "engine", "", "kv", size), Change(SECRET, "update", "engine", "", "kv", (secret,)))
    return plan.make(REVISION, changes, observed)


def moved(before: Plan, after: Plan, was: Basis | None = None, now: Basis | None = None) -> str:
    saved = planfile.load(planfile.dump(before, "1", 0, was), "plan.json")
    with pytest.raises(errors.StalePlan) as caught:
        planfile.check(saved, after, "1", 0, now)
    return caught.value.message


def test_what_moved_beside_the_planned_fields_is_named() -> None:
    was, now = live(), live(tags={"a": "x", "b": "y"})
    told = moved(made(was), made(now), Basis(observed=was), Basis(observed=now))
    assert told.splitlines()[1:] == [f"  {DISK}: tags.b differs from what was read when it was approved"]


def test_another_thing_of_the_same_address_is_named() -> None:
    was = live()
    now = Observed({**was.live, DISK: (replace(was.live[DISK][0], live_id="vol-2", fields={**was.live[DISK][0].fields, "zone": "b"}),)})
    assert f"{DISK}: (id), zone differ from" in moved(made(was), made(now), Basis(observed=was), Basis(observed=now))


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (FieldChange(("size",), "3Gi", "4Gi"), 'size was "1Gi" live when it was approved, it is "3Gi"'),
        (FieldChange(("size",), "1Gi", "3Gi"), 'size was "2Gi" declared when it was approved, it is "3Gi"'),
        (
            FieldChange(("type",), "gp2", "gp3"),
            'size was "1Gi" live, "2Gi" declared, it is as declared now; type was as declared when it was',
        ),
    ],
)
def test_each_field_is_told_with_what_it_was_and_is(after: FieldChange, told: str) -> None:
    assert told in moved(made(live()), made(live(), after))


def test_a_secret_that_moved_is_told_without_a_word_of_it() -> None:
    was, now = live(), live(key="hunter2")
    saved = planfile.dump(made(was), "1", 0, Basis(observed=was))
    told = moved(made(was), made(now), Basis(observed=was), Basis(observed=now))
    assert "a value that is not shown has moved" in told
    assert not any(word in saved + told for word in ("hunter2", '"old"', '"new"'))
    assert "data.key" not in json.loads(saved)["live"][str(SECRET)]


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ({"AWS": "111 us-east-1"}, {"AWS": "222 us-east-1"}, "made for AWS 111 us-east-1, this is 222 us-east-1"),
        ({"cluster": "uid-1", "AWS": ""}, {"cluster": "uid-2", "AWS": "1"}, "made for cluster uid-1, this is uid-2"),
    ],
)
def test_a_plan_of_another_account_or_cluster_is_refused_though_all_else_is_alike(
    was: dict[str, str], now: dict[str, str], told: str
) -> None:
    nothing = made(Observed())
    assert told in moved(nothing, nothing, Basis(place=was), Basis(place=now))


def test_what_could_not_be_told_of_a_place_is_not_compared() -> None:
    nothing = made(Observed())
    saved = planfile.load(planfile.dump(nothing, "1", 0, Basis(place={"AWS": "1", "cluster": ""})), "plan.json")
    planfile.check(saved, nothing, "1", 0, Basis(place={"AWS": "", "cluster": "x"}))


def test_a_plan_says_which_services_it_was_narrowed_to() -> None:
    assert planfile.load(planfile.dump(made(Observed()), "1", 0, Basis(("kv",))), "plan.json").services == ("kv",)


def later(document: dict[str, Any]) -> None:
    document["expires"] += 10**9


def other_digest(document: dict[str, Any]) -> None:
    document["digest"] = "0" * 64


def smaller(document: dict[str, Any]) -> None:
    document["changes"].clear()


@pytest.mark.parametrize("edit", [later, other_digest, smaller, lambda document: document.pop("seal")])
def test_a_file_that_was_edited_is_refused(edit: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(planfile.dump(made(live()), "1", 0, Basis(observed=live())))
    edit(document)
    with pytest.raises(errors.UsageError, match=r"my\.json has been changed"):
        planfile.load(json.dumps(document), "my.json")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_a_file_that_was_cut_is_refused(share: float) -> None:
    text = planfile.dump(made(live()), "1", 0)
    with pytest.raises(errors.UsageError, match=r"my\.json is not a plan file"):
        planfile.load(text[: int(len(text) * share)], "my.json")


def test_a_file_written_anew_with_other_spaces_is_the_same_plan() -> None:
    text = planfile.dump(made(live()), "1", 0, Basis(observed=live()))
    again = planfile.load(json.dumps(json.loads(text), sort_keys=True), "plan.json")
    assert again == planfile.load(text, "plan.json")


def test_a_plan_is_applied_once() -> None:
    world = MemoryWorld()
    prepared = world.plan(desired(KV))
    saved = planfile.load(planfile.dump(prepared.plan, "1", 0, Basis(observed=prepared.observed)), "plan.json")
    again = world.plan(desired(KV))
    planfile.check(saved, again.plan, "1", 0, Basis(observed=again.observed))
    world.apply(prepared)
    after = world.plan(desired(KV))
    with pytest.raises(errors.StalePlan, match="nothing is to be done any more"):
        planfile.check(saved, after.plan, "1", 0, Basis(observed=after.observed))
