"""Django's own tests of session engines and of its middleware, run on ours.

They come from the source distribution of the installed Django, and are skipped
only where that cannot be had.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from types import ModuleType
from unittest import mock

import pytest
from django.conf import settings
from django.test import override_settings
from django.utils.module_loading import import_string

from django_secure_sessions.backends import cached_db
from django_secure_sessions.middleware import SecureSessionMiddleware
from django_secure_sessions.models import Session
from tests.cached import LOCMEM, django_redis, memcached
from tests.django_suites.differences import ANY_MIDDLEWARE, ENGINE, OUR_MIDDLEWARE
from tests.django_suites.run import ENGINES
from tests.django_suites.source import SourceUnavailable, source_folder
from tests.needs import lacking, need
from tests.servers import MemcachedServer, RedisServer

pytestmark = pytest.mark.django_suite


def django_session_tests() -> ModuleType:
    """Return Django's sessions_tests.tests, imported without its test app.

    The models of that app serve one class that isn't run here, and could not be
    imported without the app in INSTALLED_APPS.
    """
    path = source_folder() / "sessions_tests" / "tests.py"
    models = ModuleType("sessions_tests.models")
    models.__dict__["SessionStore"] = None
    spec = importlib.util.spec_from_file_location("sessions_tests.tests", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(
        sys.modules,
        {"sessions_tests": ModuleType("sessions_tests"), models.__name__: models},
    ):
        spec.loader.exec_module(module)
    return module


try:
    suite = django_session_tests()
except SourceUnavailable as reason:
    lacking(str(reason), whole_module=True)


def expected_to_fail(method, reason):
    """Return a copy of a test method that must fail, for `reason`."""
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def copy(self):
            await method(self)

    else:

        @functools.wraps(method)
        def copy(self):
            method(self)

    return pytest.mark.xfail(strict=True, reason=reason)(copy)


class CommittedRedis:
    """Runs each test outside a transaction, after whose end alone copies are made."""

    @staticmethod
    def _databases_support_transactions():
        return False

    @classmethod
    def cache(cls):
        need("redis-server")
        server = RedisServer()
        cls.addClassCleanup(server.close)
        return django_redis(server)

    @classmethod
    def setUpClass(cls):
        on_cache = override_settings(
            SESSION_ENGINE=cached_db.__name__,
            CACHES={**settings.CACHES, settings.SESSION_CACHE_ALIAS: cls.cache()},
        )
        on_cache.enable()
        cls.addClassCleanup(on_cache.disable)
        super().setUpClass()


class CommittedLocmem(CommittedRedis):
    @classmethod
    def cache(cls):
        return LOCMEM


class CommittedMemcached(CommittedRedis):
    @classmethod
    def cache(cls):
        need("memcached")
        server = MemcachedServer()
        cls.addClassCleanup(server.close)
        return memcached(server)


def adopt(name, base, differences, mixins=(), **attributes):
    """Make a test class of this module from one of Django's."""
    for method, reason in differences.items():
        attributes[method] = expected_to_fail(getattr(base, method), reason)
    made = type(name, (*mixins, base), {"__module__": __name__, **attributes})
    globals()[name] = made
    return made


def naming(**ours):
    """Return a setUp that gives Django's tests our classes under Django's names."""

    def set_up(self):
        patch = mock.patch.multiple(suite, **ours)
        patch.start()
        self.addCleanup(patch.stop)

    return set_up


# On SQLite alone, since a flush after each test takes long elsewhere, and what copies
# do is the same on every database.
for kind in (CommittedRedis, CommittedLocmem, CommittedMemcached):
    made = adopt(
        f"Test{kind.__name__}",
        suite.DatabaseSessionTests,
        ENGINE,
        mixins=(kind,),
        backend=cached_db.SessionStore,
        model=Session,
        session_engine=cached_db.__name__,
    )
    pytest.mark.vendor("sqlite")(made)

for engine in ENGINES:
    path = f"django_secure_sessions.backends.{engine}"
    store = import_string(f"{path}.SessionStore")
    label = engine.title().replace("_", "")
    adopt(
        f"Test{label}Engine",
        suite.DatabaseSessionTests,
        ENGINE,
        backend=store,
        model=Session,
        session_engine=path,
    )
    on_engine = override_settings(SESSION_ENGINE=path)
    on_engine(
        adopt(
            f"Test{label}UnderDjangosMiddleware",
            suite.SessionMiddlewareTests,
            ANY_MIDDLEWARE,
            setUp=naming(DatabaseSession=store),
        )
    )
    on_engine(
        adopt(
            f"Test{label}UnderOurMiddleware",
            suite.SessionMiddlewareTests,
            OUR_MIDDLEWARE,
            setUp=naming(
                DatabaseSession=store, SessionMiddleware=SecureSessionMiddleware
            ),
        )
    )
