"""How the strict classes stand beside each other and moto's."""

from __future__ import annotations

import itertools

from moto.ec2.responses import EC2Response
from moto.route53.responses import Route53

from lab.aws.moto_app import StrictEc2
from lab.aws.strict.base import StrictBase
from lab.aws.strict.records import Records

MIXINS = [each for each in StrictEc2.__bases__ if issubclass(each, StrictBase)]

STRICT: list[tuple[type, type]] = [*((each, EC2Response) for each in MIXINS), (Records, Route53)]


def own(kind: type) -> set[str]:
    return {name for name, value in vars(kind).items() if callable(value) and not name.startswith("__")}


def test_no_two_strict_classes_define_the_same_name() -> None:
    """One would silently stand in for the other."""
    assert len(MIXINS) == 7
    for one, other in itertools.combinations(MIXINS, 2):
        assert own(one).isdisjoint(own(other))


def test_what_a_strict_class_keeps_to_itself_is_not_motos() -> None:
    for kind, moto in STRICT:
        private = {name for name in own(kind) if name.startswith("_")}
        assert private.isdisjoint(dir(moto))


def test_every_public_name_is_an_action_that_moto_has() -> None:
    """A misspelt action would never be called."""
    for kind, moto in STRICT:
        assert {name for name in own(kind) if not name.startswith("_")} <= set(dir(moto))
