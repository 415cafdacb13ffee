"""Typed session data, as a checker must see it. Read by checkers, never run.

Each ignore names the error it expects; an ignore that hides nothing is an error.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from typing_extensions import assert_type

from django_secure_sessions.data import SessionData, SessionField


class Shop(SessionData, namespace="shop"):
    theme = SessionField(str, default="light")
    ratio = SessionField(float, default=1)
    recent = SessionField(list[int], default_factory=list)
    totals = SessionField(dict[str, list[float]], default_factory=dict)
    filters = SessionField(dict[str, Any], default={})
    visits = SessionField(int)
    beta = SessionField(bool, key="beta_tester")


def a_field_has_the_type_it_was_declared_with(session: SessionBase) -> None:
    shop = Shop(session)
    assert_type(shop.theme, str)
    assert_type(shop.ratio, float)
    assert_type(shop.recent, list[int])
    assert_type(shop.totals, dict[str, list[float]])
    assert_type(shop.filters, dict[str, Any])


def a_field_without_a_default_may_be_none(session: SessionBase) -> None:
    shop = Shop(session)
    assert_type(shop.visits, int | None)
    assert_type(shop.beta, bool | None)
    shop.visits + 1  # type: ignore[operator]
    if shop.visits is not None:
        assert_type(shop.visits + 1, int)


def only_the_declared_type_can_be_written(session: SessionBase) -> None:
    shop = Shop(session)
    shop.theme = "dark"
    shop.theme = 1  # type: ignore[assignment]
    shop.theme = None  # type: ignore[assignment]
    shop.recent.append("1")  # type: ignore[arg-type]
    shop.recent = [1, 2]
    shop.recent = ["1"]  # type: ignore[list-item]
    shop.visits = None
    shop.visits = 3
    shop.visits = "3"  # type: ignore[assignment]
    del shop.theme


def only_declared_fields_exist(session: SessionBase) -> None:
    shop = Shop(session)
    shop.thme  # type: ignore[attr-defined]


def edit_keeps_the_class(session: SessionBase) -> None:
    with Shop(session).edit() as shop:
        assert_type(shop, Shop)
        shop.recent.append(1)


async def aopen_keeps_the_class(session: SessionBase) -> None:
    assert_type(await Shop.aopen(session), Shop)


def a_class_gives_the_field_itself() -> None:
    assert_type(Shop.theme, SessionField[str])
    assert_type(Shop.visits, SessionField[int | None])


class Wrong(SessionData):
    factory = SessionField(list[int], default_factory=dict)  # type: ignore[arg-type]
    both = SessionField(  # type: ignore[call-overload]
        str, default="light", default_factory=str
    )
