"""What benchmarks say of their numbers."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks import growth
from benchmarks.figure import Figure, table
from benchmarks.growth import Line


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("a", 1.0, "s", aim=1.0), True),
        (Figure("a", 1.1, "s", aim=1.0), False),
        (Figure("a", 31.0, "times", aim=30.0, better="more"), True),
        (Figure("a", 29.0, "times", aim=30.0, better="more"), False),
        (Figure("a", 29.0, "times"), None),
    ],
)
def test_an_aim_is_met_in_its_own_direction(figure: Figure, met: bool | None) -> None:
    assert figure.met is met
    assert figure.document["met"] is met


def test_what_is_not_met_stands_out() -> None:
    rows = table([Figure("fast", 0.5, "s", aim=1), Figure("slow", 2, "s", aim=1), Figure("far", 9, "times", aim=30, better="more")])
    assert "| fast | ≤ 1 s | 0.5 s | yes |" in rows
    assert "| slow | ≤ 1 s | 2 s | **no** |" in rows
    assert "| far | ≥ 30 times | 9 times | **no** |" in rows


def test_a_drawing_has_every_point_inside_its_frame() -> None:
    picture = growth.svg(
        "plan", "services", "seconds", [Line("a", "red", ((1, 0.5), (1000, 4.0))), Line("b", "grey", ((0, 9.0),), dashed=True)]
    )
    circles = [one for one in ET.fromstring(picture).iter() if one.tag.endswith("circle")]
    assert len(circles) == 2
    assert all(0 <= float(one.attrib["cx"]) <= growth.WIDTH and 0 <= float(one.attrib["cy"]) <= growth.HEIGHT for one in circles)
    assert float(circles[0].attrib["cy"]) > float(circles[1].attrib["cy"])
