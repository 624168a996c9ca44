"""What a run was making outlives the plugin that made it, until somebody knows how it ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.intents import Intents
from providers.pulumi.events import Log
from providers.pulumi.journal import Journal

VOLUME = "volume/prod/db/db-0/data"
OBJECT = "kubernetes/prod/db/Service/prod/db"
DIED = "error reading from server: EOF"
REFUSED = "operation error EC2: CreateVolume, https response error StatusCode: 400, api error InvalidParameterValue: no"
NOT_MADE = 'resource "urn" was not successfully created by the Kubernetes API server: '
FULL = "operation error EC2: CreateVolume, https response error StatusCode: 503, api error RequestLimitExceeded: slower"


def _urn(where: str) -> str:
    return f"urn:pulumi:prod.db::reconciler::some:type:Thing::{where}"


def _metadata(where: str, op: str = "create") -> dict[str, str]:
    return {"urn": _urn(where), "op": op}


@pytest.fixture
def intents(tmp_path: Path) -> Intents:
    return Intents(tmp_path / "making")


@pytest.fixture
def log(intents: Intents) -> Log:
    return Log(lambda *_: None, Journal(intents))


def _left(intents: Intents) -> set[str]:
    return {str(id) for id in intents.pending("prod")}


def test_a_create_is_written_down_before_and_struck_out_after(log: Log, intents: Intents) -> None:
    log.take({"resourcePreEvent": {"metadata": _metadata(VOLUME)}})
    assert _left(intents) == {VOLUME}
    log.take({"resOutputsEvent": {"metadata": _metadata(VOLUME)}})
    assert _left(intents) == set()


@pytest.mark.parametrize(
    ("of", "words", "is_left"),
    [
        (VOLUME, DIED, True),
        (VOLUME, FULL, True),
        (VOLUME, REFUSED, False),
        (OBJECT, DIED, True),
        (OBJECT, NOT_MADE + 'services "db" already exists', False),
        (OBJECT, NOT_MADE + "etcdserver: request timed out", True),
    ],
)
def test_a_failed_create_is_struck_out_only_where_it_was_refused(of: str, words: str, is_left: bool, log: Log, intents: Intents) -> None:
    journal = Journal(intents)
    log.take({"resourcePreEvent": {"metadata": _metadata(of)}})
    log.take({"diagnosticEvent": {"severity": "error", "message": words, "urn": _urn(of)}})
    log.take({"resOpFailedEvent": {"metadata": _metadata(of)}})
    journal.ended(log.failed)
    assert _left(intents) == ({of} if is_left else set())


def test_a_journal_that_cannot_be_written_is_told_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "making").touch()  # no folder can be made there
    log = Log(lambda *_: None, Journal(Intents(tmp_path / "making")))
    log.take({"resourcePreEvent": {"metadata": _metadata(VOLUME)}})
    log.take({"resOutputsEvent": {"metadata": _metadata(VOLUME)}})
    assert f"{tmp_path / 'making'} cannot be written: File exists" in log.faults
    assert log.done == {VOLUME}


@pytest.mark.parametrize(
    "event",
    [
        {"resourcePreEvent": {"metadata": _metadata(VOLUME), "planning": True}},
        {"resourcePreEvent": {"metadata": _metadata(VOLUME, "update")}},
        {"resourcePreEvent": {"metadata": _metadata(VOLUME, "import")}},
        {"resourcePreEvent": {"metadata": {"urn": "urn:pulumi:prod.db::reconciler::pulumi:providers:aws::aws", "op": "create"}}},
    ],
    ids=["preview", "update", "import", "a provider"],
)
def test_only_what_is_really_made_is_written_down(event: dict[str, object], log: Log, intents: Intents) -> None:
    log.take(event)
    assert _left(intents) == set()
