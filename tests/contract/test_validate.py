"""`validate`, and how faults are told beside a plan, over a real repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from reconciler import reading
from reconciler.cli import faults
from reconciler.cli.validate import validate
from reconciler.model.origin import Fault, Origin
from reconciler.render import markdown
from tests.contract.test_specs import commit, run, write
from tests.unit.specs import ENVIRONMENT, document

SERVICE = document("Service", "kv", "type: redis\nvolumes: {data: {size: 1Gi}}")
FAULTY = document("Service", "kw", "type: redis\nreplicas: x\ndependsOn: [ghost]")
TOLD = [
    "specs/lab/kw.yaml:6:13: spec.replicas: must be a whole number, not a string",
    "specs/lab/kw.yaml:7:15: there is no Service ghost. there are kv, kw",
]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECONCILE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "tree"
    folder.mkdir()
    write(folder, {"specs/lab/environment.yaml": ENVIRONMENT, "specs/lab/kv.yaml": SERVICE})
    run(folder, "init", "-q")
    commit(folder, "first")
    monkeypatch.chdir(folder)
    return folder


def validated(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(validate, list(arguments), standalone_mode=False)
    assert found.exception is None, found.exception
    return found.return_value, found.stdout


def test_every_fault_is_told_and_the_command_fails(tree):
    assert validated() == (0, "lab: valid\n")
    write(tree, {"specs/lab/kw.yaml": FAULTY})
    for _ in range(2):
        assert validated() == (1, "\n".join(TOLD) + "\n"), "what is kept from run to run changes no word"
    assert validated("specs/lab/kv.yaml") == (1, "specs/lab/kv.yaml: no fault, but 2 elsewhere\n")
    write(tree, {"specs/lab/kw.yaml": SERVICE.replace("name: kv", "name: kw")})
    assert validated() == (0, "lab: valid\n")


def test_every_fault_is_in_the_json(tree):
    write(tree, {"specs/lab/kw.yaml": FAULTY})
    code, text = validated("--format", "json")
    assert code == 1
    assert [(one["path"], one["line"], one["column"]) for one in json.loads(text)] == [
        ("specs/lab/kw.yaml", 6, 13),
        ("specs/lab/kw.yaml", 7, 15),
    ]


def test_an_environment_at_fault_is_told_with_all_the_others(tree):
    write(tree, {"specs/lab/kw.yaml": FAULTY, "specs/lab/environment.yaml": ENVIRONMENT + "  nonsense: 1\n"})
    code, text = validated()
    assert code == 1
    assert text.splitlines()[1:] == TOLD
    assert "unknown field spec.nonsense" in text


def test_what_is_planned_beside_a_fault_is_there(tree, capsys):
    write(tree, {"specs/lab/kw.yaml": FAULTY})
    desired = reading.load(".", None, "lab")
    assert [one.name for one in desired.services] == ["kv"]
    faults.tell(desired)
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == [f"error: {one}" for one in TOLD]
    assert said[2].startswith("hint: ")


def test_a_shallow_clone_is_a_warning_with_the_way_out(tree, tmp_path, monkeypatch, capsys):
    commit(tree, "second")
    run(tmp_path, "clone", "-q", "--depth=1", f"file://{tree}", "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    assert validated()[0] == 0
    faults.tell(reading.load(".", None, "lab"))
    said = capsys.readouterr().err
    assert said.startswith("warning: nothing is removed: the repository is a shallow clone")
    assert "git fetch --unshallow" in said


FAULT = Fault(Origin("specs/lab/a.yaml", 6, 13), "spec.replicas: must be a whole number", "write 3")


def test_a_diagnostic_has_its_place():
    assert faults.diagnostics([FAULT]) == [
        {
            "severity": "error",
            "summary": "spec.replicas: must be a whole number",
            "detail": "write 3",
            "path": "specs/lab/a.yaml",
            "line": 6,
            "column": 13,
        }
    ]
    assert [(one["severity"], one["summary"]) for one in faults.diagnostics([], "it is shallow")] == [
        ("warning", "nothing is removed: it is shallow")
    ]
    assert faults.diagnostics([FAULT], "it is shallow")[0]["severity"] == "error"
    assert faults.unplannable("lab", [FAULT])["errored"] is True


@pytest.mark.parametrize("room", [100, 5_000, 60_000])
def test_a_comment_with_thousands_of_faults_fits_its_host(room):
    text = "x" * (markdown.LIMIT - room)
    found = faults.fits(text, [FAULT] * 2_000)
    assert len(found) <= markdown.LIMIT
    assert found.startswith(text)
    assert found.splitlines()[-1].endswith("more")


def test_a_comment_without_faults_is_as_it_was():
    assert faults.fits("text", []) == "text"
    assert faults.fits("text\n", [FAULT]).endswith("- :x: specs/lab/a.yaml:6:13: spec.replicas: must be a whole number. write 3\n")
