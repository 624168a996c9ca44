"""The world that speed is measured in is as it says: its plan is empty, at real servers that count every call."""

import pytest

from benchmarks import plan, town, world
from benchmarks.world import World

pytestmark = pytest.mark.integration
FEW, MORE = 2, 6


def asked(made: World, count: int) -> dict[str, int]:
    """What a plan with nothing to do asks the servers in a world of *count* services."""
    made.grow(count)
    made.servers.forget_calls()
    made.plan()
    assert not made.servers.throttled("reconciler")
    return made.servers.calls("reconciler")


@pytest.mark.usefixtures("lab_can_run")
def test_a_plan_of_more_services_asks_no_more_often_and_sees_the_one_that_changed() -> None:
    with world.world() as made:
        few, more = asked(made, FEW), asked(made, MORE)
        assert few == more
        assert 0 < sum(more.values()) <= plan.MOST_CALLS
        assert any(name.startswith("list ") for name in more)
        assert any(name.startswith("ec2:") for name in more)
        town.change(made.repository, 1, iops=4000)
        told = made.reconcile("plan", "--detailed-exitcode", code=2).output
        assert "Plan: 0 to add, 1 to change, 0 to destroy." in told
