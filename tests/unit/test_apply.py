"""Which stacks run, after which, and with what: the pure scheduler."""

from __future__ import annotations

from dataclasses import replace

from reconciler import apply, plan
from reconciler.diff import Context, diff
from reconciler.kinds import kinds
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, Observed, gather
from reconciler.model.origin import Revision
from reconciler.model.outcome import Blocked, Done, Failed
from reconciler.model.resource import Ceded, Resource
from reconciler.model.service import Service
from reconciler.model.value import Value

KINDS = kinds()
ENVIRONMENT = Environment(name="lab", zones=("us-east-1a",))
REVISION = Revision("c" * 40, "t" * 40, "lab")


def volume(service: str, size: str = "10Gi") -> Resource:
    tags = {"reconciler/service": service}
    fields: dict[str, Value] = {"size": size, "type": "gp3", "zone": "us-east-1a", "tags": tags}
    return Resource(ResourceId("volume", "lab", service, f"{service}-0/data"), fields, service)


def zone() -> Resource:
    return Resource(ResourceId("zone", "lab", "", "db.internal"), {"name": "db.internal"}, SHARED)


def live(resource: Resource, **fields: object) -> Observation:
    return Observation(resource.id, "vol-1", {**resource.fields, **fields}, attributes={"id": "vol-1"}, stack=resource.stack)  # type: ignore[dict-item]


def units(
    *declared: Resource, observed: Observed | None = None, depends: dict[str, tuple[str, ...]] | None = None
) -> dict[str, apply.Unit]:
    names = sorted({one.stack for one in declared} - {SHARED})
    before = depends or {}
    services = tuple(Service(name=name, type="redis", depends_on=before.get(name, ())) for name in names)
    desired = Desired(ENVIRONMENT, REVISION, services, {one.id: one for one in declared})
    seen = observed or gather([], {})
    made = plan.make(REVISION, diff(desired, seen, Context(KINDS)), seen)
    return {unit.stack: unit for unit in apply.units(made, desired, seen)}


def test_a_stack_without_work_never_reaches_the_engine() -> None:
    kept = volume("kv")
    assert set(units(kept, volume("zk"), observed=gather([live(kept)], {}))) == {"zk"}


def test_what_all_share_comes_first() -> None:
    assert units(zone(), volume("kv"))["kv"].after == {SHARED}


def test_a_service_waits_for_those_it_depends_on_where_they_have_work() -> None:
    found = units(volume("kv"), volume("zk"), depends={"kv": ("zk",)})
    assert found["kv"].after == {"zk"}
    assert not found["zk"].after


def test_a_stack_with_anything_refused_is_left_as_it_is() -> None:
    shrunk = volume("kv", "5Gi")
    other = replace(volume("kv"), id=ResourceId("volume", "lab", "kv", "kv-1/data"))
    unit = units(shrunk, other, observed=gather([live(volume("kv"))], {}))["kv"]
    assert isinstance(apply.blocked(unit, {}), Blocked)
    assert "a volume cannot shrink" in unit.blocked


def test_one_that_failed_stops_only_those_that_come_after_it() -> None:
    found = units(volume("kv"), volume("zk"), volume("ab"), depends={"kv": ("zk",)})
    ended = {"zk": False}
    assert isinstance(apply.blocked(found["kv"], ended), Blocked)
    assert apply.blocked(found["ab"], ended) is None
    assert apply.ready(found["ab"], ended)


def test_a_removed_service_goes_last() -> None:
    gone = live(volume("old"))
    found = units(volume("kv"), observed=gather([gone], {}))
    assert found["old"].after == {"kv"}


def test_tags_that_others_put_on_a_volume_stay() -> None:
    grown = volume("kv", "20Gi")
    seen = gather([live(volume("kv"), tags={"reconciler/service": "zz", "backup": "nightly"})], {})
    assert units(grown, observed=seen)["kv"].run.foreign == {grown.id: {"backup": "nightly"}}


def test_a_stack_ends_well_when_all_of_it_does() -> None:
    one = volume("kv").id
    assert apply.well({one: Done()})
    assert not apply.well({one: Failed("no")})


def test_a_removed_service_waits_for_others_but_not_for_their_success() -> None:
    gone, grown = live(volume("old")), volume("kv", "20Gi")
    unit = units(grown, observed=gather([gone, live(volume("kv"))], {}))["old"]
    assert not unit.after
    assert unit.behind == {"kv"}
    assert not apply.ready(unit, {})
    assert apply.ready(unit, {"kv": False})
    assert apply.blocked(unit, {"kv": False}) is None


def test_a_removed_service_is_not_kept_by_one_that_is_refused() -> None:
    gone, shrunk = live(volume("old")), volume("kv", "5Gi")
    found = units(shrunk, observed=gather([gone, live(volume("kv"))], {}))
    assert found["old"].blocked == ""
    other = replace(volume("kv"), id=ResourceId("volume", "lab", "kv", "kv-1/data"))
    found = units(shrunk, other, observed=gather([gone, live(volume("kv"))], {}))  # acting changes beside the refused one
    assert apply.blocked(found["old"], {"kv": False}) is None


def test_a_removed_service_stays_where_what_may_take_its_place_did_not_end_well() -> None:
    found = units(volume("new"), observed=gather([live(volume("old"))], {}))
    assert found["old"].after == {"new"}
    assert isinstance(apply.blocked(found["old"], {"new": False}), Blocked)


def test_a_hold_that_stands_lets_the_rest_of_its_stack_go_on_with_what_is_live() -> None:
    grown = volume("kv", "20Gi")
    other = replace(volume("kv"), id=ResourceId("volume", "lab", "kv", "kv-1/data"))
    seen = gather([replace(live(volume("kv")), busy="4 modifications in 24 hours")], {})
    unit = units(grown, other, observed=seen)["kv"]
    assert unit.blocked == ""
    sizes = {resource.id.name: resource.fields["size"] for resource in unit.run.resources}
    assert sizes == {"kv-0/data": "10Gi", "kv-1/data": "10Gi"}


def test_a_field_that_others_own_goes_to_the_engine_as_it_is_live() -> None:
    left = replace(volume("kv", "20Gi"), ceded=(Ceded(("size",), "grown by hand"),))
    other = replace(volume("kv"), id=ResourceId("volume", "lab", "kv", "kv-1/data"))
    unit = units(left, other, observed=gather([live(volume("kv"), size="30Gi")], {}))["kv"]
    assert {resource.id.name: resource.fields["size"] for resource in unit.run.resources}["kv-0/data"] == "30Gi"
