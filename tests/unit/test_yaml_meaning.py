"""YAML has its 1.2 meaning (core schema, https://yaml.org/spec/1.2.2/#103-core-schema), with both parsers."""

import pytest

from reconciler.specs import syntax

MEANING = {
    # strings, though booleans, numbers or dates under YAML 1.1
    "no": "no", "yes": "yes", "on": "on", "off": "off", "y": "y", "n": "n", "No": "No",
    "1_000": "1_000", "1:30": "1:30", "190:20:30": "190:20:30", "0b101": "0b101",
    "2026-11-22": "2026-11-22", "2026-11-22T10:00:00Z": "2026-11-22T10:00:00Z",
    "tRUE": "tRUE", "nULL": "nULL", "0o8": "0o8", "0xG": "0xG", "1e": "1e", "1.2.3": "1.2.3", ".": ".", "-.": "-.", "=": "=",
    # numbers
    "012": 12, "0o17": 15, "0x1F": 31, "+12": 12, "-0": 0, "08": 8, "9223372036854775807": (1 << 63) - 1,
    "0o777777777777777777777": (1 << 63) - 1,
    "1e3": 1000.0, "1.": 1.0, ".5": 0.5, "-1.5E-2": -0.015, "8.10": 8.1,
    # the rest
    "true": True, "True": True, "FALSE": False, "null": None, "~": None, "": None, "'no'": "no", '"1"': "1", "''": "",
    "!!str 1": "1", "! 1": "1",
    "!!int 0o17": 15, "!!float 1": 1, "!!bool true": True, "!!null ~": None, "!!str": "",
}  # fmt: skip


def value(text):
    documents, flaws = syntax.compose(f"a: {text}\n".encode())
    assert not flaws
    return documents[0].plain["a"]


@pytest.mark.parametrize("text", MEANING)
def test_a_scalar_has_its_meaning_of_yaml_1_2(text):
    found = value(text)
    assert (found, type(found)) == (MEANING[text], type(MEANING[text]))


@pytest.mark.parametrize("text", MEANING)
def test_the_other_parser_agrees(text):
    """A line separator of YAML 1.1, in a comment, sends the whole file to the exact parser."""
    assert value(f"{text}\nb: 1 # \u2028") == MEANING[text]


@pytest.mark.parametrize("text", [".inf", "-.inf", ".nan", "1e999", "9223372036854775808", "-9223372036854775809", "1" * 5000])
def test_a_number_that_json_or_an_int64_cannot_hold_is_refused(text):
    _, flaws = syntax.compose(f"a: {text}\n".encode())
    assert [(flaw.line, flaw.column, flaw.message) for flaw in flaws] == [(1, 4, "is a number out of range")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{url: https://example.org/x}", {"url": "https://example.org/x"}),
        ("[a:b, ::c, d?e]", ["a:b", "::c", "d?e"]),
        ('{"a":1}', {"a": 1}),
        ('"\\/"', "/"),
        ("x\u2028y", "x\u2028y"),
        ("&a [1, {b: &b 2}, *b]", [1, {"b": 2}, 2]),
        ("%YAML 1.1\n---\n{no: on}", {"no": "on"}),
    ],
)
def test_what_libyaml_does_not_read_as_yaml_1_2_is_read_all_the_same(text, expected):
    documents, flaws = syntax.compose(text.encode())
    assert not flaws
    assert documents[0].plain == expected


@pytest.mark.parametrize(
    "tag", ["!!python/object:os.system", "!!python/name:os.system", "!!binary", "!!set", "!!timestamp", "!secret", "!<tag:x>"]
)
def test_a_tag_that_constructs_anything_is_refused(tag):
    for text in (f"a: {tag} x", f"a: {tag} {{b: c}}", f"a: {tag} [b]"):
        _, flaws = syntax.compose(text.encode())
        assert [(flaw.line, flaw.column) for flaw in flaws] == [(1, 4)], text
        assert "is refused" in flaws[0].message


@pytest.mark.parametrize("text", ["!!int x", "!!int 1.5", "!!int true", "!!bool 1", "!!float x", "!!null 0"])
def test_a_tag_that_does_not_fit_its_value_is_refused(text):
    _, flaws = syntax.compose(f"a: {text}".encode())
    assert "is no " in flaws[0].message


def test_columns_count_characters():
    documents, _ = syntax.compose("ä: {ö: ü}".encode())
    name, node = documents[0].value["ä"][1].value["ö"]
    assert (name.column, node.column) == (5, 8)


def test_what_stands_before_a_break_is_still_there():
    documents, flaws = syntax.compose(b"a: 1\n---\nb: 2\n---\n{\n")
    assert [one.plain for one in documents] == [{"a": 1}, {"b": 2}]
    assert [flaw.fatal for flaw in flaws] == [True]
