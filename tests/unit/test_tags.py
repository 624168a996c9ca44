"""Which tags are ours to take off, told by the live thing itself; those of others stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import errors
from reconciler.model.address import parse
from reconciler.resources import marks
from tests.memory_world import ENVIRONMENT, MemoryWorld, desired

KV = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: zk}
spec: {type: zookeeper, replicas: 1, volumes: {data: {size: 8Gi}}, addresses: elastic}
"""
TAGGED = ["volume/lab/zk/zk-0/data", "interface/lab/zk/zk-0", "address/lab/zk/zk-0", "zone/lab/db.internal"]
NAMES = st.text(st.characters(codec="ascii", categories=["L", "N", "Zs"], include_characters="+-=._:/@"), min_size=1, max_size=20)
OTHERS = NAMES.filter(lambda name: not name.startswith(marks.PREFIX))  # which the specs may say


def document(tags: str) -> str:
    return f"{ENVIRONMENT.replace('{team: storage}', tags)}---\n{KV}"


def tags(world: MemoryWorld, address: str) -> dict[str, str]:
    (live,) = world.observed(desired(document("{}")).environment).live[parse(address)]
    found = live.fields["tags"]
    assert isinstance(found, dict)
    return found


def tag_by_hand(world: MemoryWorld, **more: str) -> None:
    """What a person does in the console, to everything there is."""
    listed = [{"Key": key, "Value": value} for key, value in more.items()]
    ec2 = world.cloud.ec2
    world.cloud.call("ec2", "create_tags", Resources=[*ec2.volumes, *ec2.interfaces, *ec2.addresses], Tags=listed)
    (zone,) = world.cloud.route53.zones
    world.cloud.call("route53", "change_tags_for_resource", ResourceType="hostedzone", ResourceId=zone, AddTags=listed)


def test_a_tag_that_is_declared_no_more_is_planned_away_and_goes_and_others_stay() -> None:
    world = MemoryWorld()
    assert world.converge(document('{team: storage, "Cost Center": "42"}')).ok
    tag_by_hand(world, backup="nightly")
    assert all(tags(world, one).items() >= {"team": "storage", "Cost Center": "42", "backup": "nightly"}.items() for one in TAGGED)
    after = desired(document("{team: storage}"))
    changed = {str(one.id): {field.path: field.after for field in one.fields} for one in world.plan(after).plan.changes if one.acts}
    assert changed == {one: {("tags", "Cost Center"): None, ("tags", marks.TAGS): tags_listed(one)} for one in TAGGED}
    assert world.apply(world.plan(after)).ok
    assert not world.plan(after).plan
    for one in TAGGED:
        assert "Cost Center" not in tags(world, one)
        assert tags(world, one).items() >= {"team": "storage", "backup": "nightly"}.items()


def tags_listed(address: str) -> str:
    return "node.k8s.amazonaws.com/no_manage team" if address.startswith("interface/") else "team"


def test_the_last_tag_takes_its_list_along() -> None:
    world = MemoryWorld()
    assert world.converge(document("{team: storage}")).ok
    assert world.converge(document("{}")).ok
    assert set(tags(world, TAGGED[0])) == {marks.ENVIRONMENT, marks.SERVICE, marks.ADDRESS}


def test_a_tag_whose_name_differs_in_case_is_another() -> None:
    world = MemoryWorld()
    assert world.converge(document("{Team: storage}")).ok
    tag_by_hand(world, team="theirs")
    assert not world.plan(desired(document("{Team: storage}"))).plan
    assert world.converge(document("{}")).ok
    assert tags(world, TAGGED[0])["team"] == "theirs"
    assert "Team" not in tags(world, TAGGED[0])


def test_a_mark_that_is_declared_no_more_goes_and_those_by_which_a_thing_is_found_stay() -> None:
    world = MemoryWorld()
    assert world.converge(document("{}")).ok
    tag_by_hand(world, **{marks.PROTECTED: "true"})
    named = set(tags(world, TAGGED[0]))
    assert marks.own(tags(world, TAGGED[0])) == {marks.PROTECTED}
    assert named > {marks.ENVIRONMENT, marks.SERVICE, marks.ADDRESS}


def test_a_tag_that_a_person_changed_is_put_right_and_not_taken_for_anothers() -> None:
    world = MemoryWorld()
    assert world.converge(document("{team: storage}")).ok
    tag_by_hand(world, team="nobody")
    assert world.converge(document("{team: storage}")).ok
    assert tags(world, TAGGED[0])["team"] == "storage"


@given(st.sets(OTHERS, max_size=8), st.sets(OTHERS, max_size=4))
def test_whatever_the_names_ours_are_told_from_others(ours: set[str], others: set[str]) -> None:
    listed = marks.listing(ours)
    live = {**dict.fromkeys(ours | others, "x"), marks.TAGS: listed}
    assert marks.own(live) - {marks.TAGS} == ours


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ('{"aws:created-by": x}', "spec.aws.tags.aws:created-by: names that begin with aws: are AWS's own; choose another"),
        ("{AWS:x: y}", "spec.aws.tags.AWS:x: names that begin with aws: are AWS's own; choose another"),
        ("{reconciler/mine: x}", "spec.aws.tags.reconciler/mine: names that begin with reconciler/ are for our marks; choose another"),
        ('{"": x}', "the name of a tag must be 1 to 128 letters"),
        (f"{{{'x' * 129}: x}}", "the name of a tag must be 1 to 128 letters"),
        ("{team: a%b}", "spec.aws.tags.team: the value of a tag must be at most 256 letters"),
        (f"{{team: {'x' * 257}}}", "spec.aws.tags.team: the value of a tag must be at most 256 letters"),
        (f"{{{', '.join(f'tag-{number:04}: x' for number in range(26))}}}", "spec.aws.tags: too many tags: there may be 30"),
    ],
    ids=range(8),
)
def test_a_tag_that_aws_refuses_or_that_is_ours_is_an_error_with_its_line(tags: str, told: str) -> None:
    with pytest.raises(errors.SpecError) as caught:
        desired(document(tags))
    assert "specs/lab/services.yaml:6:" in str(caught.value)
    assert told in str(caught.value)
