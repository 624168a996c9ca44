"""The diff of a manifest is the answer of a dry run: whatever was applied, whatever others did since, whatever is wanted now.

`--seed` says which scenarios are drawn and `--dry-runs` how many; the same two numbers draw the same scenarios. What fails is made smaller
only where many were asked for: that takes minutes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, note, seed, settings
from hypothesis import strategies as st

from providers.kubernetes import Kubernetes
from reconciler import errors
from tests.conftest import DRY_RUNS
from tests.contract import dry_run
from tests.contract.dry_run import Object, Subject
from tests.contract.dry_run_strategies import MANIFESTS, leaves, manifests, merged, one

pytest_plugins = ["tests.contract.api_server"]
pytestmark = pytest.mark.integration

_PHASES = {False: (Phase.generate,), True: (Phase.generate, Phase.shrink)}


@dataclass(frozen=True)
class Scenario:
    """*first* is applied; others apply *theirs* too, or edit it in, or take away what is *lost*; then *wanted* is declared."""

    first: Object
    wanted: Object
    how: str
    theirs: Object
    lost: tuple[tuple[str, ...], ...]


@st.composite
def scenarios(draw: st.DrawFn, name: str) -> Scenario:
    first = draw(manifests(name))
    wanted = draw(manifests(name))
    for part in draw(st.lists(one(*first), unique=True)):  # mostly it is a part that changes
        wanted[part] = copy.deepcopy(first[part])
    if "spec" in first and draw(st.booleans()):
        for part in draw(st.lists(one(*first["spec"]), unique=True)):
            wanted["spec"][part] = copy.deepcopy(first["spec"][part])
    how = draw(one("nothing", "apply", "edit", "remove"))
    theirs = draw(manifests(name)) if how in {"apply", "edit"} else {}
    there = sorted(path for path in leaves(first) if path[1:])
    lost = draw(st.lists(one(*there), max_size=2)) if how == "remove" and there else []
    return Scenario(first, wanted, how, theirs, tuple(lost))


@pytest.fixture(scope="module")
def cluster(api_server: Path) -> Iterator[Kubernetes]:
    with closing(Kubernetes(str(api_server))) as found:
        yield dry_run.prepared(found)


@pytest.mark.parametrize("name", MANIFESTS)
def test_whatever_happens_the_diff_answers_as_a_dry_run_does(cluster: Kubernetes, name: str, pytestconfig: pytest.Config) -> None:
    runs = pytestconfig.getoption("--dry-runs")

    @seed(pytestconfig.getoption("--seed"))
    @settings(max_examples=runs, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=_PHASES[runs > DRY_RUNS])
    @given(scenarios(name))
    def agree(scenario: Scenario) -> None:
        answers(cluster, scenario)

    agree()


def answers(cluster: Kubernetes, scenario: Scenario) -> None:
    try:
        on = dry_run.subject(cluster, scenario.first)
    except dry_run.Refused:
        assume(False)  # noqa: FBT003 - hypothesis's way to say that a draw is of no use
        return
    try:
        happen(on, scenario)
        wanted = {**scenario.wanted, "metadata": {**scenario.wanted["metadata"], **dry_run.identity(on.declared)["metadata"]}}
        try:
            server = dry_run.servers(on, wanted)
        except dry_run.Refused:
            assume(False)  # noqa: FBT003
        diff = dry_run.ours(on, wanted)
        note(f"server: {server.why}\ndiff: {diff.why}\nonly one of them: {sorted(diff.paths ^ server.paths)}")
        assert (diff.verdict, diff.paths) == (server.verdict, server.paths)
    finally:
        on.remove()


def happen(on: Subject, scenario: Scenario) -> None:
    """What others do; what the server does not let them do does not happen."""
    if on.declared["kind"] == "PersistentVolumeClaim":
        on.tell({"phase": "Bound", "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"]})
    with suppress(errors.ProviderError):
        match scenario.how:
            case "apply":
                on.add(scenario.theirs, strict=False)
            case "edit":
                on.edit(lambda live: live.update(merged(live, {**scenario.theirs, "metadata": scenario.theirs["metadata"]})))
            case "remove":
                on.edit(lambda live: _without(live, scenario.lost))


def _without(live: Any, paths: tuple[tuple[str, ...], ...]) -> None:
    for path in paths:
        at = live
        for step in path[:-1]:
            at = at.get(step) or {}
        at.pop(path[-1], None)
