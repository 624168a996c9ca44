"""Configuration files: what is read back is what was written, whatever characters it holds."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.resources import file

NASTY = "a \"b\" 'c' \\ ${d} #e: - [f] {g}\n\t\x7f\x85\u2028\U0001f600 =!"
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.one_of(WORDS, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.lists(WORDS, max_size=3))


@given(VALUES)
@example(NASTY)
@settings(max_examples=300)
def test_yaml_says_what_was_meant(value: Any) -> None:
    assert YAML(typ="safe").load(file.yaml({"key": value, "other.key": [{"inner": value}]})) == {
        "key": value,
        "other.key": [{"inner": value}],
    }


@given(VALUES)
@example(NASTY)
@settings(max_examples=300)
def test_toml_says_what_was_meant(value: Any) -> None:
    assert tomllib.loads(file.toml("[[plugin]]", {"key": value})) == {"plugin": [{"key": value}]}


@given(WORDS.filter(bool), WORDS)
@example(" a=b: #!", NASTY)
@settings(max_examples=300)
def test_java_properties_say_what_was_meant(key: str, value: str) -> None:
    text = file.properties({key: value, "flag": True})
    assert text.isascii()
    assert read(text) == {key: value, "flag": "true"}


def read(text: str) -> dict[str, str]:
    """As java.util.Properties.load says it: a key ends with the first =, : or blank that is not escaped; \\uXXXX is a UTF-16 unit."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"\s*((?:\\.|[^\\=: ])*)[=: ]\s*((?:\\.|[^\\])*)", line)
        assert match, line
        found[_plain(match[1])] = _plain(match[2])
    return found


def _plain(text: str) -> str:
    units = re.sub(r"\\u([0-9a-f]{4})|\\(.)", lambda one: chr(int(one[1], 16)) if one[1] else one[2], text)
    return units.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
