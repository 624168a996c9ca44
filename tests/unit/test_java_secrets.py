"""Secrets in Java's files: what bash writes of any password reads back as that password, by the rules of JAAS and of properties."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from reconciler.resources import java

PASSWORDS = ["plain", 'quote"back\\slash', "$HOME ${user.home} `id` $(id)", "=:#! ,;[x]'", "line\nbreak\ttab", "é€😀\u00a0", "${file:/x:y}"]


def said(folder: Path, script: str, password: str) -> str:
    """What *script* prints of the file `password`; never a command line, since all of it is bash's own."""
    (folder / "password").write_text(password)
    asked = f"{java.QUOTED}{java.ESCAPED}{script}"
    environment = {"PATH": "/nowhere", "PASSWORD": str(folder / "password")}
    return subprocess.run(["/bin/bash", "-ec", asked], env=environment, capture_output=True, check=True).stdout.decode()


def read_word(text: str) -> str:
    """What java.io.StreamTokenizer reads between quotes."""
    assert '"' not in text
    assert "\n" not in text
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def read_property(text: str) -> str:
    """What java.util.Properties reads of a value."""
    assert text.isascii()
    units = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
    return units.encode("utf-16", "surrogatepass").decode("utf-16")


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_is_one_word_of_a_jaas_file_whatever_it_holds(tmp_path: Path, password: str) -> None:
    told = said(tmp_path, 'quoted "$PASSWORD"', password)
    assert read_word(told) == password
    assert "$" not in told


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_is_one_value_of_a_properties_file_whatever_it_holds(tmp_path: Path, password: str) -> None:
    assert read_property(said(tmp_path, 'escaped "$(<"$PASSWORD")"', password)) == password
    assert read_word(read_property(said(tmp_path, 'escaped "$(quoted "$PASSWORD")"', password))) == password
