"""EBS's budget through the real engine: what it writes into a volume's tags with each modification is what the next plan goes by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lab.aws.client import Switches
from providers import checkpoints
from providers.aws import Aws
from providers.kinds import volume as kind
from providers.memory import MemoryCluster
from reconciler import apply, kinds, plan
from reconciler.diff import Context, diff
from reconciler.kinds import Sources
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import Observed, gather
from reconciler.model.outcome import Done
from reconciler.model.resource import Resource
from reconciler.resources import marks
from tests.contract.conftest import wait_for
from tests.integration.engine_bench import REVISION, Bench, bench, volume

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]  # the SDK warns of itself
ENVIRONMENT = Environment(name="lab", zones=("us-east-1a",))


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    (tmp_path / "aws").mkdir()
    with bench(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def cloud(engine: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    with closing(Aws("us-east-1", endpoint=engine.endpoint, reads_only=True)) as found:
        yield found


def observed(cloud: Aws) -> Observed:
    (reading,) = kind.KIND.readings(ENVIRONMENT)
    return gather(list(reading.read(Sources(cloud, MemoryCluster(), ENVIRONMENT))), {})


def planned(resource: Resource, live: Observed) -> Change:
    (change,) = diff(_desired(resource), live, Context(kinds.kinds()))
    return change


def applied(engine: Bench, resource: Resource, live: Observed) -> None:
    """Plan and apply *resource*, the way an apply does it."""
    changes = (planned(resource, live),)
    (unit,) = apply.units(plan.make(REVISION, changes, live), _desired(resource), live)
    result = engine.engine.up(unit.run, lambda *step: engine.said.append(step))
    assert all(isinstance(outcome, Done) for outcome in result.outcomes.values()), result.outcomes


def _desired(resource: Resource) -> Desired:
    return Desired(ENVIRONMENT, REVISION, resources={resource.id: resource})


def sized(gib: int) -> Resource:
    return volume("kv-0", size=f"{gib}Gi")


def settled(engine: Bench) -> None:
    """Wait until the latest modification is completed: EBS makes one at a time."""
    wait_for(
        lambda: all(one["ModificationState"] == "completed" for one in engine.ec2.describe_volumes_modifications()["VolumesModifications"])
    )


def test_four_growths_in_a_day_and_the_fifth_on_the_next(engine: Bench, cloud: Aws) -> None:
    switches = Switches(engine.endpoint)
    applied(engine, sized(1), observed(cloud))
    for hour, size in enumerate((2, 3, 4, 5)):
        switches.set(ahead=hour * 3600)
        applied(engine, sized(size), observed(cloud))
        settled(engine)
    assert not [words for where, _, words in engine.said if where == "kv"], "the tag that remembers is no difference from the plan"
    (live,) = engine.volumes().values()
    tags = {tag["Key"]: tag["Value"] for tag in live["Tags"]}
    assert len(tags[marks.MODIFIED].split()) == 3
    held = planned(sized(6), observed(cloud))
    assert held.action == "hold"
    assert "the next is possible at" in held.reason
    assert planned(sized(5), observed(cloud)).action == "keep"

    (again,) = (word for word in held.reason.split() if word.endswith("Z"))
    assert again[:10] != live["CreateTime"].isoformat()[:10]
    switches.set(ahead=24 * 3600 + 30)
    applied(engine, sized(6), observed(cloud))
    wait_for(lambda: next(iter(engine.volumes().values()))["Size"] == 6)


def test_a_modification_is_one_call_that_has_all_of_it(engine: Bench, cloud: Aws) -> None:
    applied(engine, sized(10), observed(cloud))
    fields = {**sized(20).fields, "type": "io2", "iops": 4000}
    Switches(engine.endpoint).forget_calls()
    applied(engine, replace(sized(20), fields=fields), observed(cloud))
    assert Switches(engine.endpoint).writes() == ["ec2:ModifyVolume"]
    assert checkpoints.Checkpoints(engine.backend).stacks("lab") == {"kv": frozenset({sized(20).id})}
