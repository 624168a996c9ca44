"""Kubernetes quantities (`100Gi`, `500m`, `1e3`), compared by value and kept as written."""

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

GIB = 1 << 30
_SUFFIX = {
    "": Decimal(1),
    **{name: Decimal(1024) ** power for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{name: Decimal(1000) ** power for power, name in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), start=-3)},
}
_PATTERN = r"[+-]?([0-9]{1,30}(\.[0-9]{0,9})?|\.[0-9]{1,9})([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?"
_LIMIT = Decimal(2) ** 63


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """An amount; `Quantity.parse("1Ki") == Quantity.parse("1024")`."""

    value: Decimal
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> "Quantity":
        """The amount that *text* says; ValueError where it says none."""
        found = re.fullmatch(_PATTERN, text)
        if not found:
            raise ValueError(f"{text!r} is no quantity, which is a number with a suffix: 100Gi, 512Mi, 250m")
        suffix = found[3] or ""
        number = text.removesuffix(suffix)
        value = Decimal(number) * _SUFFIX[suffix] if suffix in _SUFFIX else Decimal(text)
        if abs(value) >= _LIMIT:
            raise ValueError(f"{text!r} is out of range, a quantity is less than 2^63")
        return cls(value, text)

    @property
    def bytes(self) -> int:
        """The amount in whole bytes, rounded up."""
        return math.ceil(self.value)

    @property
    def gib(self) -> int:
        """The amount in whole GiB, rounded up."""
        return -(-self.bytes // GIB)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_read, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": f"^{_PATTERN}$"}, {"type": "number"}]}


def _read(value: Any) -> Quantity:
    if isinstance(value, Quantity):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a quantity such as 100Gi, 512Mi or 250m")  # noqa: TRY004 - pydantic collects ValueErrors
    return Quantity.parse(f"{Decimal(repr(value)).normalize():f}" if isinstance(value, float) else str(value))


def _whole_gib(size: Quantity) -> Quantity:
    if size.value <= 0 or size.value % GIB:
        raise ValueError(f"{size} is not a whole number of GiB, which is all that a volume can have: write {max(size.gib, 1)}Gi")
    return size


Size = Annotated[Quantity, AfterValidator(_whole_gib)]
