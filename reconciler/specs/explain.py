"""What pydantic found wrong, in words that name the field as it is written and say what to do."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from reconciler.model.origin import Fault

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from reconciler.specs.place import Place, Step

_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "a string",
    "float_type": "a number",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
_SHOWN = 30  # choices in a hint
_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def explain(place: Place, prefix: tuple[Step, ...], model: type[BaseModel], errors: Iterable[ErrorDetails]) -> Iterator[Fault]:
    """The faults of one part of a document, which stands at *prefix* and should have been a *model*."""
    for error in errors:
        on_key = error["loc"][-1:] == ("[key]",)
        steps = (*prefix, *(error["loc"][:-1] if on_key else error["loc"]))
        message, hint = _words(error, spell(steps), place.text_at(steps), _model_at(model, error["loc"][:-1]))
        yield Fault(place.at(steps, key=on_key or error["type"] == "extra_forbidden"), message, hint)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that offers what was probably meant, or all there is to choose from."""
    known = sorted(known)
    more = ["…"] if len(known) > _SHOWN else []
    there = f"there {'is' if len(known) == 1 else 'are'} {', '.join([*known[:_SHOWN], *more])}" if known else ""
    return _close(name, known) or there


def _close(name: Any, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else []
    return f"did you mean {close[0]}?" if close else ""


def spell(steps: Sequence[Step]) -> str:
    """Steps as people write them: `spec.layers[0].source`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def kind_of(value: Any) -> str:
    """What a value of YAML is, in words."""
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", list: "a list", dict: "a mapping"}
    return words.get(type(value), "empty")


def _words(error: ErrorDetails, path: str, text: str, model: type[BaseModel] | None) -> tuple[str, str]:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    last = path.rpartition(".")[2]
    match kind:
        case "extra_forbidden":
            words = f"unknown field {path}", nearest(last, _fields(model))
        case "missing":
            words = f"{path} is missing", ""
        case "value_error":
            words = f"{path}: {context['error']}", ""
        case "literal_error" | "enum":
            choices = context["expected"].replace(" or ", ", ").replace("'", "")
            words = f"{path}: must be one of {choices}", _close(given, choices.split(", "))
        case "string_too_short":
            words = f"{path}: must not be empty", ""
        case _ if kind in _WANTED:
            words = f"{path}: must be {_WANTED[kind]}, not {kind_of(given)}", _cure(kind, given, text)
        case _:
            words = f"{path}: {error['msg'].replace('Input should', 'must', 1).replace('String should', 'must', 1)}", ""
    return words


def _cure(kind: str, given: Any, text: str) -> str:
    if kind == "string_type" and text:
        return f'quote it: "{text}"'
    if kind == "bool_type" and isinstance(given, str) and given.lower() in _BOOLEANS:
        return f"YAML 1.2 has only true and false: write {_BOOLEANS[given.lower()]}"
    if kind.startswith("int") and isinstance(given, str) and given.isdecimal():
        return f"write it without quotes: {given}"
    return ""


def _fields(model: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _model_at(annotation: Any, steps: Sequence[Step]) -> type[BaseModel] | None:
    """The model that describes the mapping *steps* below *annotation*."""
    annotation = _bare(annotation)
    if not steps:
        return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    step, *rest = steps
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = [field for name, field in annotation.model_fields.items() if (field.alias or name) == step]
        return _model_at(fields[0].annotation, rest) if fields else None
    arguments = get_args(annotation)
    inner = arguments[-1:] if _is_mapping(annotation) else arguments[:1]
    return _model_at(inner[0], rest) if inner else None


def _bare(annotation: Any) -> Any:
    """Without Annotated and without None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return _bare(next(one for one in get_args(annotation) if one is not type(None)))
    return annotation


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return origin is not Literal and isinstance(origin, type) and issubclass(origin, Mapping)
