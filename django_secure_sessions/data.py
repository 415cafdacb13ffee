"""
Typed session data over any session, Django's own engines included.

::

    class Shop(SessionData, namespace="shop"):
        theme = SessionField(str, default="light")
        recent = SessionField(list[int], default_factory=list)
        visits = SessionField(int)  # int | None

    shop = Shop(request.session)
    shop.theme = "dark"
    with shop.edit():
        shop.recent.append(42)

A field hands out copies and stores copies. So a list changed in place outside
``edit()`` changes nothing, at once and visibly, instead of being kept now and then,
when something else happens to save the session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    TypeVar,
    overload,
)

from .exceptions import SessionDataError
from .kinds import Mismatch, copy_as, refuse_unstorable, spell

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase
    from typing_extensions import Self

T = TypeVar("T")
V = TypeVar("V")

MISSING: Any = object()


class SessionField(Generic[T]):
    """
    One value in the session, read and written as an attribute of ``SessionData``.

    ``kind`` is what JSON can hold: ``str``, ``int``, ``float``, ``bool``, ``list``
    and ``dict`` with ``str`` keys, the last two with or without their contents. A
    field without a default is ``None`` until it is set; setting ``None`` forgets
    it. ``key`` replaces the attribute's name, and the namespace, in the session.

    Raises ``SessionDataError`` when the session holds, or is given, another type.
    """

    @overload
    def __init__(
        self: SessionField[V | None], kind: type[V], *, key: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: SessionField[V], kind: type[V], *, default: V, key: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: SessionField[V],
        kind: type[V],
        *,
        default_factory: Callable[[], V],
        key: str | None = None,
    ) -> None: ...
    def __init__(
        self,
        kind: Any,
        *,
        default: Any = MISSING,
        default_factory: Callable[[], Any] | None = None,
        key: str | None = None,
    ) -> None:
        if default is not MISSING and default_factory is not None:
            raise TypeError("Give default or default_factory, not both.")
        refuse_unstorable(kind)
        self.name = "?"
        self._kind = kind
        self._key = key
        self._nullable = default is MISSING and default_factory is None
        self._default = None if default is MISSING else default
        self._factory = default_factory
        self.default()

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"{owner.__name__}.{name}"
        self._attribute = name

    @overload
    def __get__(self, data: None, owner: type) -> SessionField[T]: ...
    @overload
    def __get__(self, data: SessionData, owner: type) -> T: ...
    def __get__(self, data: SessionData | None, owner: type) -> SessionField[T] | T:
        return self if data is None else data._read(self)

    def __set__(self, data: SessionData, value: T) -> None:
        data._write(self, self.check(value))

    def __delete__(self, data: SessionData) -> None:
        data._forget(self)

    def key(self, namespace: str) -> str:
        """Return the key in the session."""
        if self._key is not None:
            return self._key
        return f"{namespace}.{self._attribute}" if namespace else self._attribute

    def default(self) -> T:
        """Return a fresh default."""
        return self.check(self._factory() if self._factory else self._default)

    def check(self, value: Any) -> T:
        """
        Return a copy of a value of this field's type.

        Raises ``SessionDataError`` for a value of another type.
        """
        if value is None and self._nullable:
            return None  # type: ignore[return-value]  # T includes None then
        try:
            checked: T = copy_as(self._kind, value)
        except Mismatch as mismatch:
            expected = spell(self._kind) + (" or None" if self._nullable else "")
            raise SessionDataError(self.name, expected, mismatch.found) from None
        return checked


class SessionData:
    """
    A typed view of a session; subclass it and declare ``SessionField`` attributes.

    ``class Shop(SessionData, namespace="shop")`` keeps its fields under
    ``shop.<name>``, apart from those of other code.
    """

    _namespace: ClassVar[str] = ""

    def __init_subclass__(cls, *, namespace: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if namespace is not None:
            cls._namespace = namespace
        keys: dict[str, str] = {}
        for name in dir(cls):
            if isinstance(field := getattr(cls, name), SessionField):
                key = field.key(cls._namespace)
                if key in keys:
                    raise TypeError(f"{keys[key]} and {name} share the key {key!r}.")
                keys[key] = name

    def __init__(self, session: SessionBase) -> None:
        self._session = session
        self._drafts: dict[SessionField[Any], Any] | None = None
        self._seen: dict[SessionField[Any], Any] = {}

    @classmethod
    async def aopen(cls, session: SessionBase) -> Self:
        """
        Return the typed view of a session that is loaded first.

        An async view that didn't touch ``request.session`` before needs it: an
        attribute can't wait for the database.
        """
        await session.akeys()
        return cls(session)

    @contextmanager
    def edit(self) -> Iterator[Self]:
        """
        Change several fields, and lists and dicts in place, all or nothing.

        Inside the block a field hands out the same object each time. At its end the
        fields that were set or changed are checked and stored; an exception, or one
        value of a wrong type, stores none. The session is marked as modified only
        if something changed. An inner ``edit()`` joins the outer one.
        """
        if self._drafts is not None:
            yield self
            return
        self._drafts = {}
        try:
            yield self
            changed = {
                field: field.check(value)
                for field, value in self._drafts.items()
                if field not in self._seen or self._seen[field] != value
            }
        finally:
            self._drafts = None
            self._seen = {}
        for field, value in changed.items():
            self._write(field, value)

    def _read(self, field: SessionField[T]) -> T:
        if self._drafts is None:
            return self._stored(field)
        if field not in self._drafts:
            self._drafts[field] = self._stored(field)
            self._seen[field] = deepcopy(self._drafts[field])
        value: T = self._drafts[field]
        return value

    def _stored(self, field: SessionField[T]) -> T:
        value = self._session.get(field.key(self._namespace), MISSING)
        return field.default() if value is MISSING else field.check(value)

    def _write(self, field: SessionField[T], value: T) -> None:
        if self._drafts is not None:
            self._drafts[field] = value
            self._seen.pop(field, None)
        elif value is None:
            self._forget(field)
        else:
            self._session[field.key(self._namespace)] = value

    def _forget(self, field: SessionField[T]) -> None:
        if self._drafts is not None:
            self._write(field, field.default())
        else:
            self._session.pop(field.key(self._namespace), None)
