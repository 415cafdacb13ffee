"""
The types that JSON can hold, as annotations spell them, and values of them.

JSON gives back what it was given only for these: a tuple would return as a list, a
number that is the key of a dict as text.
"""

from __future__ import annotations

from copy import deepcopy
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

SCALARS = (str, int, float, bool, NoneType)


class Mismatch(Exception):
    """A value isn't of its kind; ``found`` spells the type that was found."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def spell(kind: Any) -> str:
    """Return a type as it is written in an annotation."""
    if kind is NoneType:
        return "None"
    return kind.__name__ if get_origin(kind) is None else str(kind)


def refuse_unstorable(kind: Any) -> None:
    """Raise ``TypeError`` for a type that JSON would bring back as another."""
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType, list):
        for argument in arguments:
            refuse_unstorable(argument)
    elif origin is dict:
        if arguments:
            if arguments[0] is not str:
                raise TypeError(f"{kind}: JSON has only str keys.")
            refuse_unstorable(arguments[1])
    elif kind is not Any and kind is not object and kind not in SCALARS:
        raise TypeError(f"{spell(kind)}: a session can't hold it, because JSON can't.")


def copy_as(kind: Any, value: Any) -> Any:
    """
    Return a copy of ``value`` if it is of ``kind``, contents included.

    Raises ``Mismatch``, which spells types only: the value may be a secret.
    """
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if kind is Any or kind is object:
        return deepcopy(value)
    if origin in (Union, UnionType):
        return _copy_as_one_of(arguments, value)
    if origin is list and isinstance(value, list):
        (content,) = arguments or (Any,)
        return [_copy_content("list[{}]", content, item) for item in value]
    if origin is dict and isinstance(value, dict):
        _, content = arguments or (str, Any)
        return {
            _copy_content("dict[{}, ...]", str, key): _copy_content(
                "dict[str, {}]", content, item
            )
            for key, item in value.items()
        }
    if kind is float and type(value) is int:
        return float(value)
    # JSON tells true from 1, although a bool is an int to Python.
    if isinstance(value, origin) and (kind is not int or not isinstance(value, bool)):
        return value
    raise Mismatch(spell(type(value)))


def _copy_content(container: str, kind: Any, value: Any) -> Any:
    try:
        return copy_as(kind, value)
    except Mismatch as mismatch:
        raise Mismatch(container.format(mismatch.found)) from None


def _copy_as_one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    for kind in kinds:
        try:
            return copy_as(kind, value)
        except Mismatch:
            continue
    raise Mismatch(spell(type(value)))
