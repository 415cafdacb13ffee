"""Makers of rows for tests."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import factory
from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
)
from django.utils import timezone

from django_secure_sessions.models import Session, SessionEvent, TrustedDevice
from django_secure_sessions.state import ClientInfo

PASSWORD = "correct horse battery staple"


class UserFactory(factory.django.DjangoModelFactory):
    """An active user whose password is PASSWORD."""

    class Meta:
        model = get_user_model()

    username = factory.Sequence("user{}".format)
    email = factory.LazyAttribute("{0.username}@example.com".format)

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        password = kwargs.pop("password", PASSWORD)
        return model_class.objects.create_user(*args, password=password, **kwargs)


class SessionFactory(factory.Factory):
    """A session made as a login makes it: the store of the engine in use, saved.

    `user=None` makes an anonymous one. `ip` and `user_agent` are its client's.
    """

    class Meta:
        model = dict

    user = factory.SubFactory(UserFactory)
    ip = "192.0.2.7"
    user_agent = (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    )

    @classmethod
    def _create(cls, model_class, *args, user, ip, user_agent, **data):
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        session.attach(lambda: ClientInfo(ip, user_agent))
        session.update(data or {"colour": "blue"})
        if user is not None:
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        return session


class SessionRowFactory(factory.django.DjangoModelFactory):
    """A live session's row alone, for tests that need many; no key opens it."""

    class Meta:
        model = Session

    key_digest = factory.LazyFunction(uuid4)
    data = b"sealed"
    created_at = factory.LazyFunction(timezone.now)
    authenticated_at = factory.LazyAttribute(
        lambda row: row.created_at if row.user else None
    )
    last_activity = factory.SelfAttribute("created_at")
    expires_at = factory.LazyAttribute(lambda row: row.created_at + timedelta(hours=1))
    user = None

    class Params:
        expired = factory.Trait(
            created_at=factory.LazyFunction(
                lambda: timezone.now() - timedelta(hours=13)
            )
        )


class EventFactory(factory.django.DjangoModelFactory):
    """An audit event."""

    class Meta:
        model = SessionEvent

    at = factory.LazyFunction(timezone.now)
    kind = "login"


class TrustedDeviceFactory(factory.django.DjangoModelFactory):
    """A device trusted for a month."""

    class Meta:
        model = TrustedDevice

    id = factory.LazyFunction(uuid4)
    user = factory.SubFactory(UserFactory)
    token_digest = factory.LazyFunction(lambda: uuid4().hex)
    auth_digest = ""
    created_at = factory.LazyFunction(timezone.now)
    expires_at = factory.LazyAttribute(lambda row: row.created_at + timedelta(days=30))
