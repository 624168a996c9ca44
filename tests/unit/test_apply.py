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
from reconciler.model.resource import Resource
from reconciler.model.service import Service

KINDS = kinds()
ENVIRONMENT = Environment(name="lab", zones=("us-east-1a",))
REVISION = Revision("c" * 40, "t" * 40, "lab")


def volume(service: str, size: str = "10Gi") -> Resource:
    tags = {"reconciler/service": service}
    fields = {"size": size, "type": "gp3", "zone": "us-east-1a", "tags": tags}
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
    assert (found["kv"].after, found["zk"].after) == ({"zk"}, set())


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
