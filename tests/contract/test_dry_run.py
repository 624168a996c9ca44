"""The diff of a manifest is the answer of a dry run: over named changes, by us and by others, of every kind that is declared."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from providers.kubernetes import Kubernetes
from tests.contract import dry_run
from tests.contract.dry_run_mutations import CASES, Case

pytest_plugins = ["tests.contract.api_server"]
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cluster(api_server: Path) -> Iterator[Kubernetes]:
    with closing(Kubernetes(str(api_server))) as found:
        yield dry_run.prepared(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.base['kind']}: {case.name}")
def test_the_diff_answers_as_a_dry_run_does(cluster: Kubernetes, case: Case) -> None:
    on = dry_run.subject(cluster, case.base)
    case.others(on)
    wanted = dry_run.mutated(on.declared, case.ours)
    server, diff = dry_run.servers(on, wanted), dry_run.ours(on, wanted)
    assert (diff.verdict, diff.paths) == (server.verdict, server.paths), f"server: {server.why}; diff: {diff.why}"
    assert server.verdict == case.verdict, server.why
    if server.verdict == "update":
        status, answer = on.apply(dry_run.marked(wanted))
        assert status < dry_run.BAD, answer["message"]
        assert dry_run.ours(on, wanted).verdict == "keep", "what was applied is as declared"
    on.remove()
