"""Typed session data: what goes in comes out, of the type that was declared."""

from __future__ import annotations

import pickle
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from typing import Any, Optional

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.core.exceptions import SynchronousOnlyOperation
from hypothesis import given
from hypothesis import strategies as st

from django_secure_sessions.data import SessionData, SessionField
from django_secure_sessions.exceptions import SecureSessionsError, SessionDataError


class Shop(SessionData, namespace="shop"):
    theme = SessionField(str, default="light")
    ratio = SessionField(float, default=1)
    limit = SessionField(int, default=10)
    recent = SessionField(list[int], default_factory=list)
    carts = SessionField(dict[str, list[int]], default_factory=dict)
    extra = SessionField(dict[str, Any], default_factory=dict)
    slots = SessionField(list[Optional[int]], default_factory=list)  # noqa: UP045
    names = SessionField(list[str | None], default_factory=list)
    loose = SessionField(list, default_factory=list)
    table = SessionField(dict, default_factory=dict)
    visits = SessionField(int)
    beta = SessionField(bool, key="beta_tester")


@pytest.fixture(params=["cache", "signed_cookies"])
def engine(request, settings):
    """Return an engine's SessionStore; typed data works over each."""
    settings.SESSION_CACHE_ALIAS = "default"  # "sessions" takes bytes, as ours are
    name = f"django.contrib.sessions.backends.{request.param}"
    return import_module(name).SessionStore


@pytest.fixture
def session(engine):
    """Return a session that nobody wrote to."""
    return engine()


@pytest.fixture
def shop(session):
    """Return the typed view of an empty session."""
    return Shop(session)


def reload(session):
    """Save a session and return it as the next request finds it."""
    session.save()
    return type(session)(session.session_key)


class TestReading:
    def test_defaults(self, shop, session):
        """Unset fields have their defaults, and reading them writes nothing."""
        assert (shop.theme, shop.ratio, shop.limit) == ("light", 1.0, 10)
        assert (shop.recent, shop.carts, shop.extra) == ([], {}, {})
        assert shop.visits is None
        assert not session.modified
        assert session.is_empty()

    def test_defaults_are_not_shared(self, session, engine):
        """One visitor's list is not another's."""
        with Shop(session).edit() as shop:
            shop.recent.append(1)

        assert Shop(engine()).recent == []

    def test_mutable_default_is_not_shared_either(self, session):
        """Even a default written as a literal is copied."""

        class Data(SessionData):
            recent = SessionField(list[int], default=[])

        with Data(session).edit() as data:
            data.recent.append(1)

        assert Data({}).recent == []

    @pytest.mark.parametrize(
        ("key", "stored", "expected", "found"),
        [
            ("shop.theme", 1, "str", "int"),
            ("shop.theme", None, "str", "None"),
            ("shop.limit", "10", "int", "str"),
            ("shop.limit", True, "int", "bool"),
            ("shop.limit", 1.5, "int", "float"),
            ("shop.ratio", True, "float", "bool"),
            ("shop.visits", "3", "int or None", "str"),
            ("beta_tester", 1, "bool or None", "int"),
            ("shop.recent", {}, "list[int]", "dict"),
            ("shop.recent", [1, "x"], "list[int]", "list[str]"),
            ("shop.recent", [None], "list[int]", "list[None]"),
            ("shop.carts", [], "dict[str, list[int]]", "list"),
            ("shop.carts", {"a": 1}, "dict[str, list[int]]", "dict[str, int]"),
            (
                "shop.carts",
                {"a": [1, True]},
                "dict[str, list[int]]",
                "dict[str, list[bool]]",
            ),
        ],
    )
    def test_wrong_type_is_refused(self, shop, session, key, stored, expected, found):
        """An error names the field and both types."""
        session[key] = stored
        name = {"beta_tester": "beta"}.get(key, key.removeprefix("shop."))

        with pytest.raises(SessionDataError) as caught:
            getattr(shop, name)

        error = caught.value
        assert error.field == f"Shop.{name}"
        assert (error.expected, error.found) == (expected, found)
        assert str(error) == f"Shop.{name} expects {expected}, found {found}."

    def test_error_does_not_show_the_value(self, shop, session):
        """What the session holds may be a secret."""
        session["shop.carts"] = {"secret-key": ["secret-value"]}

        with pytest.raises(SessionDataError) as caught:
            shop.carts  # noqa: B018

        assert "secret" not in f"{caught.value!r} {caught.value}"
        assert caught.value.__cause__ is None

    def test_error_is_both_ours_and_a_type_error(self):
        """Code may catch it as either, and it survives a trip between processes."""
        error = pickle.loads(pickle.dumps(SessionDataError("A.b", "int", "str")))  # noqa: S301

        assert isinstance(error, SecureSessionsError)
        assert isinstance(error, TypeError)
        assert str(error) == "A.b expects int, found str."

    def test_float_takes_an_int(self, shop, session):
        """A whole number is a float, as it is to a type checker."""
        session["shop.ratio"] = 2

        assert (shop.ratio, type(shop.ratio)) == (2.0, float)

    def test_union_inside_a_container(self, shop, session):
        """Contents may be of several types, in either spelling."""
        session["shop.slots"] = [1, None]
        session["shop.names"] = ["a", None]

        assert (shop.slots, shop.names) == ([1, None], ["a", None])

    def test_containers_of_anything(self, shop, session):
        """A list or dict declared without its contents takes what JSON holds."""
        session["shop.loose"] = [1, "a", [None]]
        session["shop.table"] = {"a": {"b": 1.5}}

        assert (shop.loose, shop.table) == ([1, "a", [None]], {"a": {"b": 1.5}})

    @pytest.mark.parametrize("name", ["slots", "names"])
    def test_union_does_not_take_anything(self, shop, session, name):
        """A type that no member of the union allows is refused."""
        session[f"shop.{name}"] = [1.5]

        with pytest.raises(SessionDataError, match=r"found list\[float\]"):
            getattr(shop, name)


class TestWriting:
    def test_reaches_the_next_request(self, shop, session):
        """What was set is there after a trip through the store."""
        shop.theme = "dark"
        shop.recent = [1, 2]
        shop.carts = {"a": [1]}
        shop.extra = {"anything": [None, {"deep": True}]}
        shop.visits = 3
        shop.beta = True

        found = Shop(reload(session))

        assert (found.theme, found.recent, found.carts) == ("dark", [1, 2], {"a": [1]})
        assert found.extra == {"anything": [None, {"deep": True}]}
        assert (found.visits, found.beta) == (3, True)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("theme", 1),
            ("theme", None),
            ("limit", "1"),
            ("limit", True),
            ("recent", (1, 2)),
            ("recent", [1, "2"]),
            ("carts", {1: [1]}),
            ("visits", "3"),
        ],
    )
    def test_wrong_type_is_not_stored(self, shop, session, name, value):
        """A wrong value is refused before the session changes."""
        with pytest.raises(SessionDataError, match=rf"^Shop\.{name} expects"):
            setattr(shop, name, value)

        assert not session.modified
        assert session.is_empty()

    def test_keys(self, shop, session):
        """Fields live under the namespace, an explicit key stands alone."""
        shop.theme = "dark"
        shop.beta = False

        assert dict(session.items()) == {"shop.theme": "dark", "beta_tester": False}

    def test_without_a_namespace(self, session):
        """The attribute's name is the key."""

        class Data(SessionData):
            theme = SessionField(str)

        Data(session).theme = "dark"

        assert session["theme"] == "dark"

    def test_namespace_is_inherited_or_replaced(self, session):
        """A subclass keeps the namespace unless it names another."""

        class Same(Shop):
            pass

        class Other(Shop, namespace="other"):
            pass

        Same(session).theme = "same"
        Other(session).theme = "other"

        assert (session["shop.theme"], session["other.theme"]) == ("same", "other")

    def test_none_forgets(self, shop, session):
        """Setting a nullable field to None leaves nothing behind."""
        shop.visits = 3
        shop.visits = None

        assert shop.visits is None
        assert session.is_empty()

    @pytest.mark.parametrize("name", ["theme", "visits", "recent"])
    def test_del_returns_to_the_default(self, shop, session, name):
        """Deleting a field leaves nothing behind, set or not."""
        default = getattr(shop, name)
        setattr(shop, name, {"theme": "dark", "visits": 3, "recent": [1]}[name])
        delattr(shop, name)
        delattr(shop, name)

        assert getattr(shop, name) == default
        assert session.is_empty()

    def test_caller_keeps_its_own_list(self, shop):
        """What the caller does to its list later is not the session's."""
        mine = [1]
        shop.recent = mine
        mine.append(2)

        assert shop.recent == [1]

    def test_change_in_place_outside_edit_changes_nothing(self, shop, session):
        """A lost change is seen at once, stored or default."""
        shop.recent = [1]
        shop.recent.append(2)
        shop.carts["a"] = [1]

        assert (shop.recent, shop.carts) == ([1], {})
        assert Shop(reload(session)).recent == [1]


class TestEdit:
    def test_change_of_a_default_is_kept(self, shop, session):
        """A list that wasn't stored yet can be appended to."""
        with shop.edit():
            shop.recent.append(1)
            shop.recent.append(2)
            shop.carts.setdefault("a", []).append(3)

        found = Shop(reload(session))
        assert (found.recent, found.carts) == ([1, 2], {"a": [3]})

    def test_change_of_a_stored_value_is_kept(self, shop, session):
        """A change deep inside marks the session as modified."""
        shop.carts = {"a": [1]}
        again = Shop(reload(session))

        with again.edit():
            again.carts["a"].append(2)

        assert again._session.modified
        assert Shop(reload(again._session)).carts == {"a": [1, 2]}

    def test_reading_does_not_modify(self, shop, session):
        """A block that changes nothing causes no save."""
        with shop.edit():
            assert shop.recent == []
            assert shop.theme == "light"
            shop.recent.append(1)
            shop.recent.pop()

        assert not session.modified
        assert session.is_empty()

    def test_only_what_changed_is_written(self, shop, session):
        """A field that was only read is not stored with the others."""
        with shop.edit():
            shop.recent.append(len(shop.carts))

        assert list(session.keys()) == ["shop.recent"]

    def test_error_stores_nothing(self, shop, session):
        """An exception inside the block leaves the session as it was."""

        def fail_halfway():
            with shop.edit():
                shop.theme = "dark"
                shop.recent.append(1)
                raise LookupError

        with pytest.raises(LookupError):
            fail_halfway()

        assert session.is_empty()
        assert (shop.theme, shop.recent) == ("light", [])

    def test_one_wrong_value_stores_nothing(self, shop, session):
        """All fields are checked before the first is stored."""

        def put_a_str_among_ints():
            with shop.edit():
                shop.theme = "dark"
                shop.recent.append("1")

        with pytest.raises(SessionDataError, match=r"list\[int\], found list\[str\]"):
            put_a_str_among_ints()

        assert session.is_empty()

    def test_set_and_then_change(self, shop):
        """Inside the block a field is one object, whoever put it there."""
        with shop.edit():
            shop.recent = [1]
            shop.recent.append(2)

        assert shop.recent == [1, 2]

    def test_read_and_then_set(self, shop):
        """The last value counts."""
        with shop.edit():
            shop.recent.append(1)
            shop.recent = [5]

        assert shop.recent == [5]

    def test_del_and_none(self, shop, session):
        """Fields can be forgotten inside the block."""
        shop.theme, shop.visits, shop.beta = "dark", 3, True

        with shop.edit():
            del shop.theme
            del shop.visits
            shop.beta = None

        assert (shop.theme, shop.visits, shop.beta) == ("light", None, None)

    def test_inner_block_joins_the_outer(self, shop, session):
        """A function that edits can be called from one that edits."""
        with shop.edit():
            shop.recent.append(1)
            with shop.edit() as same:
                same.recent.append(2)
            assert session.is_empty()

        assert shop.recent == [1, 2]

    def test_block_can_be_entered_again(self, shop):
        """Nothing of one block is left for the next."""
        with shop.edit():
            shop.recent.append(1)
        with shop.edit():
            shop.recent.append(2)

        assert shop.recent == [1, 2]

    @given(st.lists(st.lists(st.integers(), max_size=3), max_size=5))
    def test_any_sequence_of_changes(self, rounds):
        """Blocks of changes have the same effect as on a plain list."""
        shop, plain = Shop({}), []

        for numbers in rounds:
            with shop.edit():
                shop.recent[:0] = numbers
            plain[:0] = numbers

        assert shop.recent == plain


class TestDeclaring:
    @pytest.mark.parametrize(
        "kind",
        [
            datetime,
            Decimal,
            set,
            tuple,
            bytes,
            list[datetime],
            dict[str, set],
            tuple[int, int],
            list[int | bytes],
        ],
    )
    def test_what_json_cannot_hold_is_refused(self, kind):
        """A type that would come back as another is refused at once."""
        with pytest.raises(TypeError, match="JSON"):
            SessionField(kind)

    def test_number_as_dict_key_is_refused(self):
        """JSON would turn the key into text."""
        with pytest.raises(TypeError, match="only str keys"):
            SessionField(dict[int, str])

    @pytest.mark.parametrize(
        "options",
        [{"default": 1}, {"default": None}, {"default_factory": int}],
    )
    def test_default_of_another_type_is_refused(self, options):
        """A wrong default fails when the class is made, not at the first visitor."""
        with pytest.raises(SessionDataError, match="expects str"):
            SessionField(str, **options)

    def test_two_defaults_are_refused(self):
        """A field has one default."""
        with pytest.raises(TypeError, match="not both"):
            SessionField(str, default="", default_factory=str)

    def test_two_fields_with_one_key_are_refused(self):
        """Two fields can't overwrite each other."""
        with pytest.raises(TypeError, match="share the key 'beta'"):
            type(
                "Data",
                (SessionData,),
                {"beta": SessionField(bool), "other": SessionField(bool, key="beta")},
            )

    def test_class_gives_the_field(self):
        """On the class an attribute is the field itself."""
        assert isinstance(Shop.theme, SessionField)


@pytest.mark.django_db(transaction=True)
def test_aopen_loads_without_blocking():
    """An async view can read fields after aopen(), and not before."""
    session = DatabaseStore()
    session["shop.theme"] = "dark"
    session.save()

    async def view():
        with pytest.raises(SynchronousOnlyOperation):
            Shop(DatabaseStore(session.session_key)).theme  # noqa: B018
        shop = await Shop.aopen(DatabaseStore(session.session_key))
        return shop.theme

    # Not a test of the event loop's own: its thread would keep a connection open,
    # for which PostgreSQL refuses to drop the database.
    assert async_to_sync(view)() == "dark"
