"""The engine's view beside the plan, as text, in a comment and as JSON."""

from __future__ import annotations

from providers import executor
from reconciler import errors
from reconciler.apply import Unit
from reconciler.model.origin import Revision
from reconciler.ports import Seen, StackRun, StackView
from reconciler.render import engine

DISK = "volume/lab/kv/kv-0/data"
VIEWS = (
    StackView(
        "kv",
        (
            Seen(DISK, "create", (), "create", "planned"),
            Seen("volume/lab/kv/kv-1/data", "update", ("size", "tags.a"), "update", "differs"),
            Seen("volume/lab/kv/kv-2/data", "update", ("tags",), "keep", "allowed"),
            Seen("volume/lab/kv/kv-3/data", "replace", ("zone",), "keep", "worse"),
            Seen("volume/lab/kv/kv-4/data", "same", (), "delete", "differs"),
        ),
    ),
    StackView("zk", ()),
    StackView("db", (), "no credentials"),
)


def test_every_operation_is_a_line_and_what_differs_is_said() -> None:
    assert engine.text(VIEWS).splitlines() == [
        "",
        "Engine: its preview of 3 stacks, on a copy of its record",
        "  kv",
        "      + create volume/lab/kv/kv-0/data",
        "      ~ update volume/lab/kv/kv-1/data (size, tags.a)  # differs: the plan says update and other fields",
        "      ~ update volume/lab/kv/kv-2/data (tags)  # engine.allow; the plan says keep",
        "    -/+ replace volume/lab/kv/kv-3/data (zone)  # WORSE: the plan says keep; apply will stop this stack",
        "        same volume/lab/kv/kv-4/data  # differs: the plan says delete",
        "  zk",
        "    nothing is to be done",
        "  db",
        "    ! the engine could not tell: no credentials",
    ]


def test_that_nobody_was_asked_is_said() -> None:
    assert "Engine: not asked" in engine.text(())
    assert engine.document(()) == []


def test_the_document_has_the_same_with_verdicts() -> None:
    kv, zk, db = engine.document(VIEWS)
    assert kv["operations"][1] == {
        "address": "volume/lab/kv/kv-1/data",
        "op": "update",
        "fields": ["size", "tags.a"],
        "planned": "update",
        "verdict": "differs",
    }
    assert (zk["operations"], zk["error"], db["error"]) == ([], "", "no credentials")


def test_a_comment_has_it_in_a_block_of_its_own() -> None:
    told = engine.markdown(VIEWS)
    assert told.startswith("\n```\nEngine: ")
    assert told.endswith("\n```\n")


class Engine:
    """Sees every stack but one."""

    def view(self, run: StackRun) -> StackView:
        if run.stack == "zk":
            raise errors.UsageError("no engine")
        return StackView(run.stack, ())


def test_one_view_that_fails_leaves_the_others() -> None:
    units = [Unit(StackRun(Revision("c", "t", "lab"), stack, (), ()), frozenset({"kv"})) for stack in ("kv", "zk", "db")]
    views = executor.views(Engine(), units, 2)
    assert [(view.stack, view.message) for view in views] == [("kv", ""), ("zk", "no engine"), ("db", "")]
