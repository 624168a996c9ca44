"""What diff says of desired and observed: nothing unread is touched, nothing ambiguous acted on, only what is declared compared."""

from dataclasses import replace

import pytest

from reconciler import kinds
from reconciler.diff import Conduct, Context, diff
from reconciler.fields import compare
from reconciler.model.address import ResourceId
from reconciler.model.change import FOREIGN
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, Scope, gather
from reconciler.model.origin import Origin, Revision
from reconciler.model.resource import Resource
from reconciler.model.value import Ref

KINDS = kinds.kinds()
ENVIRONMENT = Environment(name="lab", zones=("us-east-1a",))
DISK = ResourceId("volume", "lab", "kv", "kv-0/data")
RECORD = ResourceId("record", "lab", "", "kv-0.db.internal")
CLAIM = ResourceId("kubernetes", "lab", "kv", "PersistentVolume/-/lab-kv-0-data")


def volume(size="10Gi", **fields):
    return Resource(DISK, {"size": size, "type": "gp3", "zone": "us-east-1a", **fields}, "kv", origin=Origin("services/kv.yaml", 6, 3))


def live(resource, live_id="vol-1", **fields):
    return Observation(resource.id, live_id, {**resource.fields, **fields}, attributes={"id": live_id}, stack=resource.stack)


def changes(declared, observed=(), unread=None, **context):
    desired = Desired(ENVIRONMENT, Revision("c" * 40, "t" * 40, "lab"), resources={resource.id: resource for resource in declared})
    return {change.id: change for change in diff(desired, gather(list(observed), unread or {}), Context(KINDS, **context))}


def test_what_is_as_declared_is_kept():
    assert changes([volume()], [live(volume())])[DISK].action == "keep"


def test_what_is_declared_and_not_found_is_created():
    change = changes([volume()])[DISK]
    assert (change.action, change.reason) == ("create", "declared, not found")


def test_unread_is_not_absent():
    change = changes([volume()], unread={Scope("volume", "lab"): "RequestLimitExceeded"})[DISK]
    assert (change.action, change.reason) == ("hold", "could not be read: RequestLimitExceeded; nothing is done about it")


def test_nothing_is_removed_while_anything_is_unread():
    found = changes([], [live(volume())], unread={Scope("record", "lab"): "timed out"})
    assert found[DISK].action == "hold"


def test_two_live_things_of_one_address_are_refused_and_listed():
    change = changes([volume()], [live(volume(), "vol-2"), live(volume(), "vol-1")])[DISK]
    assert change.action == "refuse"
    assert "vol-1, vol-2" in change.reason


def test_a_volume_grows():
    change = changes([volume("20Gi")], [live(volume("10Gi"))])[DISK]
    assert change.action == "update"
    assert [(field.path, field.before, field.after) for field in change.fields] == [(("size",), "10Gi", "20Gi")]


def test_a_volume_that_would_shrink_is_refused_with_its_line():
    placed = replace(volume("10Gi"), locate=lambda path: Origin("services/kv.yaml", 7, 22), spelt={"size": "spec.volumes.data.size"})
    change = changes([placed], [live(volume("20Gi"))])[DISK]
    assert (change.action, change.reason) == ("refuse", "services/kv.yaml:7:22: size 20Gi -> 10Gi: a volume cannot shrink")


def test_a_volume_that_would_leave_its_zone_is_refused():
    change = changes([volume()], [live(volume(), zone="us-east-1b")])[DISK]
    assert change.action == "refuse"
    assert "a volume cannot leave its zone" in change.reason


def test_sizes_are_compared_by_value():
    assert changes([volume("1Ti")], [live(volume("1024Gi"))])[DISK].action == "keep"


def test_what_the_cloud_fills_in_belongs_to_the_cloud():
    assert changes([volume()], [live(volume(), iops=3000, throughput=125)])[DISK].action == "keep"


def test_a_volume_no_longer_declared_is_forgotten_not_deleted():
    change = changes([], [live(volume())], gone_since={DISK: "9f2c11a"})[DISK]
    assert (change.action, change.reason) == ("forget", "no longer declared since 9f2c11a; it is kept")


def test_a_retained_volume_is_left_alone():
    assert changes([], [replace(live(volume()), retained="9f2c11a")]) == {}


def test_a_retained_volume_does_not_come_back_by_itself():
    change = changes([volume()], [replace(live(volume()), retained="9f2c11a")])[DISK]
    assert change.action == "refuse"
    assert "vol-1 was kept when 9f2c11a removed its service" in change.reason


def test_what_does_not_carry_our_marks_is_never_deleted():
    assert changes([], [replace(live(volume()), marked=False)]) == {}


def test_what_is_live_but_unknown_to_the_engine_is_imported():
    change = changes([volume()], [live(volume())], engine={"kv": frozenset()})[DISK]
    assert (change.action, change.live_id) == ("adopt", "vol-1")


def test_what_the_engine_knows_is_not_imported():
    assert changes([volume()], [live(volume())], engine={"kv": frozenset({DISK})})[DISK].action == "keep"


def test_a_shared_thing_made_by_others_serves_as_it_is():
    zone = Resource(ResourceId("zone", "lab", "", "db.internal"), {"name": "db.internal", "tags": {"a": "b"}}, "-", shared=True)
    found = replace(live(zone, "Z1", tags={}), marked=False)
    change = changes([zone], [found], engine={})[zone.id]
    assert (change.action, change.reason) == ("keep", FOREIGN)


def test_a_shared_thing_that_the_engine_made_and_was_cut_off_before_it_could_mark_it_is_ours():
    zone = Resource(ResourceId("zone", "lab", "", "db.internal"), {"name": "db.internal", "tags": {"a": "b"}}, "-", shared=True)
    found = replace(live(zone, "Z1", tags={}), marked=False)
    change = changes([zone], [found], engine={"-": frozenset({zone.id})})[zone.id]
    assert change.action == "update"
    assert {field.path[0] for field in change.fields} == {"tags"}


def test_a_reference_to_what_is_not_live_is_unknown_and_to_what_is_live_resolved():
    claim = Resource(CLAIM, {"spec": {"csi": {"volumeHandle": Ref(DISK, "id")}}}, "kv")
    found = Observation(CLAIM, "lab-kv-0-data", {"spec": {"csi": {"volumeHandle": "vol-1"}}}, stack="kv")
    assert changes([volume(), claim], [live(volume()), found])[CLAIM].action == "keep"
    assert changes([volume(), claim], [found])[CLAIM].action != "keep"


def test_a_record_that_follows_its_pod_is_compared_but_for_its_value():
    record = Resource(RECORD, {"type": "A", "ttl": 5}, "kv", owner="members")
    found = Observation(RECORD, "kv-0.db.internal", {"type": "A", "ttl": 300, "values": ["10.200.128.7"]}, stack="kv")
    change = changes([record], [found], engine={"kv": frozenset()})[RECORD]
    assert (change.action, change.owner, change.reason) == ("update", "members", "ttl differs")


def test_only_the_services_asked_for_are_planned():
    other = Resource(ResourceId("volume", "lab", "zk", "zk-0/data"), volume().fields, "zk")
    assert set(changes([volume(), other], only=frozenset({"zk"}))) == {other.id}


@pytest.mark.parametrize("value", [None, {}, []])
def test_nothing_declared_is_nothing_absent(value):
    resource = Resource(CLAIM, {"spec": {"extra": value}}, "kv")
    observed = gather([], {})
    assert compare.differences(resource, Observation(CLAIM, "x", {"spec": {}}), KINDS["kubernetes"], observed) == ()


def test_a_field_that_our_manager_holds_and_the_spec_dropped_is_removed():
    labels = ("metadata", "labels", "team")
    resource = Resource(CLAIM, {"metadata": {"labels": {"a": "1"}}}, "kv")
    found = Observation(CLAIM, "x", {"metadata": {"labels": {"a": "1", "team": "db"}}}, owned=frozenset({labels}))
    (field,) = compare.differences(resource, found, KINDS["kubernetes"], gather([], {}))
    assert (field.path, field.before, field.after) == (labels, "db", None)


def test_what_is_kept_is_still_forgotten_where_the_run_that_kept_it_died_before():
    kept = replace(live(volume()), retained="9b8bcbe")
    assert changes([], [kept], engine={"kv": frozenset({DISK})})[DISK].action == "forget"
    assert changes([], [kept], engine={}) == {}
    assert changes([], [kept], engine=None) == {}


def test_what_refers_to_something_unread_is_held_with_it():
    claim = Resource(CLAIM, {"spec": {"csi": {"volumeHandle": Ref(DISK, "id")}}}, "kv")
    found = Observation(CLAIM, "lab-kv-0-data", {"spec": {"csi": {"volumeHandle": "vol-1"}}}, stack="kv")
    change = changes([claim], [found], unread={Scope("volume", "lab"): "timed out"})[CLAIM]
    assert (change.action, change.reason) == ("hold", f"{DISK}, which it refers to, could not be read: timed out; nothing is done about it")


def test_a_stopped_member_s_record_is_neither_made_nor_taken_away():
    record = Resource(RECORD, {"type": "A", "ttl": 5}, "kv", owner="members")
    found = Observation(RECORD, "kv-0.db.internal", {"type": "A", "ttl": 5, "values": ["10.200.128.7"]}, stack="kv")
    assert changes([record], stopped=frozenset({"kv"}))[RECORD].action == "keep"
    assert changes([record], [found], stopped=frozenset({"kv"}))[RECORD].action == "keep"


def test_what_only_the_engine_still_holds_is_let_go_of():
    zone = ResourceId("zone", "lab", "", "old.internal")
    other = ResourceId("record", "lab", "", "zk-0.old.internal")
    found = changes([], engine={"-": frozenset({zone}), "zk": frozenset({other})})
    assert {id: (change.action, change.stack) for id, change in found.items()} == {zone: ("forget", "-"), other: ("delete", "zk")}


def test_what_only_the_engine_still_holds_is_held_while_anything_is_unread():
    found = changes([], engine={"kv": frozenset({DISK})}, unread={Scope("volume", "lab"): "timed out"})
    assert found[DISK].action == "hold"


def test_a_record_that_was_the_engine_s_and_follows_its_pod_now_changes_hands():
    record = Resource(RECORD, {"type": "A", "ttl": 5}, "kv", owner="members")
    found = Observation(RECORD, "kv-0.db.internal", {"type": "A", "ttl": 5, "values": ["10.200.16.4"]}, stack="kv")
    change = changes([record], [found], engine={"kv": frozenset({RECORD})})[RECORD]
    assert (change.action, change.owner) == ("replace", "engine")


def grown(busy="", **fields):
    """A volume of 10Gi that should have 20Gi, and the claim that grows with it."""
    pv = ResourceId("kubernetes", "lab", "kv", "PersistentVolume/-/lab-kv-0-data")
    pvc = ResourceId("kubernetes", "lab", "kv", "PersistentVolumeClaim/default/data-kv-0")
    spec = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {"resources": {"requests": {"storage": "20Gi"}}}}
    small = {**spec, "spec": {"resources": {"requests": {"storage": "10Gi"}}}}
    middle = Resource(pv, {"apiVersion": "v1", "kind": "PersistentVolume"}, "kv", needs=frozenset({DISK}))
    claim = Resource(pvc, spec, "kv", needs=frozenset({pv}))
    disk = replace(live(volume("10Gi"), **fields), busy=busy)
    return changes(
        [volume("20Gi"), middle, claim],
        [disk, live(middle), Observation(pvc, "default/data-kv-0", small, stack="kv")],
    ), (DISK, pv, pvc)


def test_what_a_volume_has_no_modifications_left_for_waits_and_its_claim_with_it():
    found, (disk, pv, pvc) = grown(busy="4 modifications in 24 hours, the next from 2026-11-22T17:00Z")
    assert (found[disk].action, found[pv].action, found[pvc].action) == ("hold", "keep", "hold")
    assert found[disk].reason == "size 10Gi -> 20Gi has to wait: 4 modifications in 24 hours, the next from 2026-11-22T17:00Z"
    assert found[pvc].reason == f"waits for {disk}"
    assert found[disk].stands
    assert found[pvc].stands


def test_a_volume_that_is_not_busy_grows_with_its_claim():
    found, (disk, pv, pvc) = grown()
    assert (found[disk].action, found[pv].action, found[pvc].action) == ("update", "keep", "update")


def test_tags_of_a_busy_volume_change_all_the_same():
    tagged = volume(tags={"team": "a"})
    found = changes([tagged], [replace(live(volume(), tags={"team": "b"}), busy="4 modifications in 24 hours")])
    assert found[DISK].action == "update"


def test_an_object_that_is_being_deleted_is_changed_only_once_it_is_gone():
    resource = Resource(CLAIM, {"metadata": {"labels": {"a": "1"}}}, "kv")
    going = Observation(CLAIM, "x", {"metadata": {"labels": {"a": "2"}}}, busy="it is being deleted", stack="kv")
    (change,) = changes([resource], [going]).values()
    assert (change.action, change.stands) == ("hold", False)
    assert change.reason == "metadata.labels.a 2 -> 1 has to wait: it is being deleted"
    (alike,) = changes([resource], [replace(going, fields=resource.fields)]).values()
    assert (alike.action, alike.reason) == ("hold", "it is being deleted")


def test_everything_of_a_held_service_is_on_hold_with_its_fault_declared_or_not():
    fault = "specs/lab/kv.yaml:7:3: unknown field spec.sizes"
    desired = Desired(ENVIRONMENT, Revision("c" * 40, "t" * 40, "lab"), resources={}, held={"kv": fault})
    known = {"kv": frozenset({DISK, RECORD}), "zk": frozenset()}
    found = diff(desired, gather([live(volume())], {}), Context(KINDS, known))
    assert {(change.id, change.action, change.reason) for change in found} == {(DISK, "hold", fault), (RECORD, "hold", fault)}


def test_nothing_of_any_service_is_removed_while_one_is_held_or_the_specs_are_not_whole():
    other = replace(live(volume()), id=ResourceId("volume", "lab", "zk", "zk-0/data"), stack="zk")
    desired = Desired(ENVIRONMENT, Revision("c" * 40, "t" * 40, "lab"), held={"kv": "its YAML is broken"})
    (change,) = diff(desired, gather([other], {}), Context(KINDS))
    assert (change.action, change.reason) == (
        "hold",
        "no longer declared, but kv is on hold: its YAML is broken; nothing is removed meanwhile",
    )
    lost = replace(desired, held={}, lost="specs/lab/x.yaml cannot be read")
    (change,) = diff(lost, gather([other], {}), Context(KINDS))
    assert change.reason == "no longer declared, but specs/lab/x.yaml cannot be read; nothing is removed meanwhile"


def test_a_persistent_volume_whose_disk_is_gone_says_that_its_data_is():
    claim = Resource(CLAIM, {"kind": "PersistentVolume", "spec": {"csi": {"volumeHandle": Ref(DISK, "id")}}}, "kv")
    found = Observation(CLAIM, "x", {"kind": "PersistentVolume", "spec": {"csi": {"volumeHandle": "vol-1"}}}, stack="kv")
    change = changes([volume(), claim], [found])[CLAIM]
    assert change.action == "refuse"
    assert change.reason.startswith(
        f"{DISK} (spec.csi.volumeHandle vol-1) is gone, and its data with it: it was deleted outside of the specs"
    )


def test_a_persistent_volume_of_two_disks_waits_until_one_is_told():
    claim = Resource(CLAIM, {"kind": "PersistentVolume", "spec": {"csi": {"volumeHandle": Ref(DISK, "id")}}}, "kv")
    found = Observation(CLAIM, "x", {"kind": "PersistentVolume", "spec": {"csi": {"volumeHandle": "vol-1"}}}, stack="kv")
    change = changes([volume(), claim], [live(volume(), "vol-1"), live(volume(), "vol-2"), found])[CLAIM]
    assert (change.action, change.reason) == (
        "hold",
        f"{DISK}, which it refers to, has 2 live things: vol-1, vol-2; nothing is done about it",
    )


SET = ResourceId("kubernetes", "lab", "kv", "StatefulSet/default/kv")


def stateful(image, replicas, **spec):
    template = {"spec": {"containers": [{"name": "kv", "image": image}]}}
    fields = {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"replicas": replicas, "template": template, **spec}}
    return Resource(SET, fields, "kv")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (stateful("a", 3), stateful("b", 3), "restarts kv-2, kv-1, kv-0"),
        (stateful("a", 1), stateful("b", 3), "restarts kv-0"),  # who is yet to come restarts nothing
        (stateful("a", 3), stateful("b", 1), "restarts kv-0; stops kv-2, kv-1"),
        (stateful("a", 3), stateful("a", 1), "stops kv-2, kv-1"),
        (stateful("a", 3), stateful("a", 5), ""),
        (stateful("a", 0), stateful("b", 3), ""),
        (stateful("a", 3), stateful("b", 0), "stops kv-2, kv-1, kv-0"),
        (
            stateful("a", 3, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}),
            stateful("b", 3, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}),
            "restarts kv-2",
        ),
        (
            stateful("a", 2, updateStrategy={"type": "OnDelete"}),
            stateful("b", 2, updateStrategy={"type": "OnDelete"}),
            "restarts kv-0, kv-1",
        ),
    ],
)
def test_who_restarts_and_who_stops_in_which_order(before, after, told):
    seen = Observation(SET, "default/kv", before.fields, stack="kv")
    change = changes([after], [seen], conducts={"kv": Conduct(lambda names: names)})[SET]
    assert change.impact == told
