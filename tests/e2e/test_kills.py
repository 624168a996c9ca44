"""Applies that are killed: at each boundary between two effects once, and at random moments. The next one needs nothing by hand.

`--boundary K` repeats one of the first, `--kill I` one of the second; what a kill is stands in `tests.e2e.kill`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest

from tests.e2e import kill, replica, trial
from tests.e2e.kill import Kill
from tests.e2e.replica import Replicas
from tests.e2e.trial import Reference, Verdict
from tests.e2e.workshop import Workshop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(6 * 3600)]
MOST = 160  # boundaries that there may be
BETWEEN = 0.1  # the share of random kills that has to lie between an AWS create and its checkpoint
FEW = 10  # kills of which no share is asked
CHANGES = 4  # random kills for each one of a later commit's apply
THIRD = 3  # of the boundaries of a later commit's apply: each costs two applies
SLACK = 3  # boundaries at the end that a run may be through before: no two have quite as many effects


@pytest.fixture(scope="module")
def replicas(workshop: Workshop, kills: int) -> Replicas:
    numbered = {"p": len(kill.CALLS), "b": MOST, "d": MOST, "r": kills, "c": kills}
    names = (f"{letter}{number:03d}" for letter, count in numbered.items() for number in range(count))
    return replica.settle(workshop, ("reference", "change", *names))


@pytest.fixture(scope="module")
def reference(replicas: Replicas) -> Reference:
    return trial.refer(replicas, "reference")


@pytest.fixture(scope="module")
def change(replicas: Replicas) -> Reference:
    """The apply of a commit that takes a service away, grows a volume, restarts a member and has another playbook."""
    reference = trial.refer(replicas, "change", changed=True)
    assert [one[0] for one in reference.standing["volumes"]] == ["volume/NAME/db/db-0/data", "volume/NAME/kv/kv-0/data"]
    return reference


def test_an_apply_in_peace_has_every_kind_of_effect_and_makes_everything_once(reference: Reference) -> None:
    whos = {line.split()[0] for line in reference.log}
    assert whos == {"reconciler", "engine", "members", "checkpoint", "store"}
    assert {one for line in reference.log if (one := line.removeprefix("engine ")) in kill.CALLS} == kill.CALLS
    assert len(reference.log) <= MOST
    standing = reference.standing
    assert [one[0] for one in standing["volumes"]] == ["volume/NAME/db/db-0/data", "volume/NAME/kv/kv-0/data"]
    assert [one[0] for one in standing["interfaces"]] == ["interface/NAME/db/db-0"]
    assert standing["addresses"] == [["address/NAME/db/db-0", "interface/NAME/db/db-0"]]
    assert [[record[0] for record in zone if record[1] == "A"] for zone in standing["zones"]] == [
        ["db-0.NAME.internal.", "kv-0.NAME.internal."]
    ]
    assert [one[1:] for one in standing["objects"] if one[0] == "Job"] == [["NAME-east,NAME-west", "succeeded: 1"]]
    assert standing["runs"] == {f"NAME-{host}": {"mark begins": 1, "mark ends": 1} for host in ("east", "west")}
    assert standing["engine at rest"]


def test_an_apply_killed_at_any_boundary_is_taken_up_by_the_next(
    replicas: Replicas, reference: Reference, seed: int, boundary: int | None, subtests: pytest.Subtests
) -> None:
    kills = _at_each("b", reference, seed, boundary)
    verdicts = _judged(
        replicas, reference, kills, subtests, lambda one: f"-k apply_killed_at_any --seed {seed} --boundary {one.kill.number}"
    )
    _require_hits(verdicts, reference)
    assert boundary is not None or {one.killed.died for one in verdicts if one.killed.hit} == set(kill.VICTIMS)


def test_a_change_killed_at_a_boundary_is_taken_up_by_the_next(
    replicas: Replicas, change: Reference, seed: int, boundary: int | None, subtests: pytest.Subtests
) -> None:
    """A deletion, a growth, a restart and a session among them; every third boundary, so that three seeds in a row reach each."""
    kills = _at_each("d", change, seed, boundary, step=THIRD)
    options = f"-k change_killed_at_a_boundary --seed {seed}"
    verdicts = _judged(replicas, change, kills, subtests, lambda one: f"{options} --boundary {one.kill.number}", changed=True)
    _require_hits(verdicts, change)


def _at_each(letter: str, reference: Reference, seed: int, boundary: int | None, step: int = 1) -> dict[str, Kill]:
    wanted = range(seed % step, len(reference.log) + 1, step) if boundary is None else [boundary]
    return {f"{letter}{number:03d}": kill.at(number, seed + number // step) for number in wanted}  # victims take turns whatever the step


def _require_hits(verdicts: list[Verdict], reference: Reference) -> None:
    missed = sorted(one.kill.number for one in verdicts if not one.killed.hit)
    assert all(number > len(reference.log) - SLACK for number in missed), f"boundaries {missed} were not reached"


def test_what_a_dead_plugin_was_making_is_not_made_twice(replicas: Replicas, reference: Reference, subtests: pytest.Subtests) -> None:
    """The engine outlives the plugin, and takes the create for failed; the request is on its way and arrives while the next apply looks."""
    made = ("CreateVolume", "CreateNetworkInterface", "POST hostedzone")  # addresses are allocated without a plugin
    kills = {f"p{number:03d}": Kill("plugin", 0, "before", f"^{call}$", kill.LATE) for number, call in enumerate(made)}
    verdicts = _judged(replicas, reference, kills, subtests, lambda _: "-k dead_plugin")
    assert [one.killed.died for one in verdicts] == ["plugin"] * len(made)


def test_an_apply_killed_at_random_is_taken_up_by_the_next(
    replicas: Replicas, reference: Reference, seed: int, kills: int, only_kill: int | None, subtests: pytest.Subtests
) -> None:
    chosen = range(kills) if only_kill is None else [only_kill]
    drawn = {f"r{number:03d}": kill.drawn(random.Random(f"{seed}/{number}"), len(reference.log), reference.creates) for number in chosen}
    verdicts = _judged(
        replicas, reference, drawn, subtests, lambda one: f"-k random --seed {seed} --kills {kills} --kill {int(one.name[1:])}"
    )
    hit, between = sum(one.killed.hit for one in verdicts), sum(one.killed.between for one in verdicts)
    print(f"\n{hit} of {len(verdicts)} applies were killed, {between} between an AWS create and its checkpoint; --seed {seed}")  # noqa: T201 - the report of `make kill`
    assert len(verdicts) < FEW or between >= BETWEEN * len(verdicts)


def test_a_change_killed_at_random_is_taken_up_by_the_next(
    replicas: Replicas, change: Reference, seed: int, kills: int, only_kill: int | None, subtests: pytest.Subtests
) -> None:
    chosen = range(kills // CHANGES) if only_kill is None else [only_kill]
    lots = {number: random.Random(f"{seed}/change/{number}") for number in chosen}
    drawn = {f"c{number:03d}": kill.drawn(lot, len(change.log), change.creates) for number, lot in lots.items()}
    options = f"-k change_killed_at_random --seed {seed} --kills {kills}"
    _judged(replicas, change, drawn, subtests, lambda one: f"{options} --kill {int(one.name[1:])}", changed=True)


def _judged(
    replicas: Replicas,
    reference: Reference,
    kills: Mapping[str, Kill],
    subtests: pytest.Subtests,
    again: Callable[[Verdict], str],
    *,
    changed: bool = False,
) -> list[Verdict]:
    """Every verdict, each a test of its own that says how to repeat it."""
    verdicts = []
    for verdict in trial.run_all(replicas, kills, reference, changed=changed):
        print(verdict, flush=True)  # noqa: T201 - seen with -s, and where a kill is not healed
        verdicts.append(verdict)
        with subtests.test(str(verdict.kill)):
            assert not verdict.faults, "\n".join((str(verdict), *verdict.faults, f"again: pytest tests/e2e/test_kills.py {again(verdict)}"))
    return verdicts
