"""The schemas of what commands print: fresh in the repository, and complete for all that a plan and an account can say."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from reconciler.cli import faults
from reconciler.kinds import kinds
from reconciler.model.origin import Fault, Origin
from reconciler.ports import Seen, StackView
from reconciler.render import account, document, engine
from reconciler.render.schema import OUTPUTS, schemas
from tests import printed
from tests.memory_world import MemoryWorld
from tests.unit import test_renderings
from tests.unit.test_drift import service
from tests.unit.test_explain import DISK, SET, case

FAULT = Fault(Origin("services/kv.yaml", 3, 5), "no such field", "leave it out")


def _plan() -> dict[str, Any]:
    told = document.render(test_renderings.whole(), kinds())
    told["errored"], told["diagnostics"] = True, faults.diagnostics([FAULT])
    told["engine"] = engine.document([StackView("kv", (Seen(DISK, "create", ("size",), "create", "planned"),), "")])
    return json.loads(json.dumps(told, default=str))


def test_the_committed_schemas_are_those_of_the_shapes() -> None:
    """`reconcile schema --out specs/schema` writes them anew."""
    assert {path.name: json.loads(path.read_text()) for path in printed.FOLDER.glob("*.json")} == schemas()
    for schema in schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_a_plan_with_everything_that_it_can_say_is_described() -> None:
    assert printed.faults("plan", _plan()) == []


def test_a_plan_of_an_environment_that_is_at_fault_itself_is_described() -> None:
    assert printed.faults("plan", faults.unplannable("lab", [FAULT])) == []


@pytest.mark.parametrize("change", [{"digest": 7}, {"extra": 1}, {"summary": {"add": 1}}], ids=["type", "unknown", "missing"])
def test_what_is_not_described_is_found(change: dict[str, Any]) -> None:
    assert printed.faults("plan", _plan() | change)


@pytest.mark.parametrize("of", [SET, DISK])
def test_an_account_is_described(of: str) -> None:
    world = MemoryWorld()
    assert world.converge(service()).ok
    assert printed.faults("explain", json.loads(json.dumps(account.document(case(world, of)), default=str))) == []


def test_every_schema_has_a_command() -> None:
    assert {path.stem for path in printed.FOLDER.glob("*.json")} == set(OUTPUTS)
