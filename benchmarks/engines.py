"""The engines compared, and what each needs so that it runs at its best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.utils.module_loading import import_string

Handler = Callable[[HttpRequest], HttpResponse]

DJANGO_DB = "Django db"
DJANGO_CACHED_DB = "Django cached_db"
OUR_DB = "secure db"
OUR_CACHED_DB = "secure cached_db"

_DJANGO = "django.contrib.sessions.middleware.SessionMiddleware"


@dataclass(frozen=True)
class Engine:
    """One ``SESSION_ENGINE`` with the middleware that goes with it."""

    label: str
    path: str
    middleware: str
    # What its numbers are divided by.
    reference: str
    model: str | None
    cache: str = "default"

    @property
    def is_ours(self) -> bool:
        return self.path.startswith("django_secure_sessions.")

    @property
    def has_user(self) -> bool:
        """Whether a session's user can be asked for in SQL."""
        return "django.contrib" not in self.path

    @property
    def is_cached(self) -> bool:
        return not self.path.endswith(".db")

    @property
    def environment(self) -> dict[str, str]:
        """What makes ``benchmarks.settings`` choose this engine, in a process."""
        return {
            "BENCHMARK_ENGINE": self.path,
            "BENCHMARK_CACHE": self.cache,
            "BENCHMARK_MIDDLEWARE": self.middleware,
        }

    @property
    def model_class(self) -> Any:
        return import_string(self.model) if self.model else None

    def handler(self, view: Handler) -> Handler:
        """Return ``view`` behind this engine's middleware, and no other."""
        with self.chosen():
            handler: Handler = import_string(self.middleware)(view)
        return handler

    @contextmanager
    def chosen(self, **more: Any) -> Iterator[None]:
        """Make this the engine of the site, as code outside the middleware asks."""
        with override_settings(
            SESSION_ENGINE=self.path, SESSION_CACHE_ALIAS=self.cache, **more
        ):
            yield

    def store(self, *args: Any) -> Any:
        """Return a ``SessionStore`` of this engine."""
        with self.chosen():
            return import_module(settings.SESSION_ENGINE).SessionStore(*args)


_ALL = (
    Engine(
        DJANGO_DB,
        "django.contrib.sessions.backends.db",
        _DJANGO,
        DJANGO_DB,
        "django.contrib.sessions.models.Session",
    ),
    Engine(
        OUR_DB,
        "django_secure_sessions.backends.db",
        "django_secure_sessions.middleware.SecureSessionMiddleware",
        DJANGO_DB,
        "django_secure_sessions.models.Session",
    ),
    Engine(
        "user-sessions db",
        "user_sessions.backends.db",
        "user_sessions.middleware.SessionMiddleware",
        DJANGO_DB,
        "user_sessions.models.Session",
    ),
    Engine(
        "qsessions db",
        "qsessions.backends.db",
        "qsessions.middleware.SessionMiddleware",
        DJANGO_DB,
        "qsessions.models.Session",
    ),
    Engine(
        DJANGO_CACHED_DB,
        "django.contrib.sessions.backends.cached_db",
        _DJANGO,
        DJANGO_CACHED_DB,
        "django.contrib.sessions.models.Session",
    ),
    Engine(
        OUR_CACHED_DB,
        "django_secure_sessions.backends.cached_db",
        "django_secure_sessions.middleware.SecureSessionMiddleware",
        DJANGO_CACHED_DB,
        "django_secure_sessions.models.Session",
        cache="sealed",
    ),
    Engine(
        "qsessions cached_db",
        "qsessions.backends.cached_db",
        "qsessions.middleware.SessionMiddleware",
        DJANGO_CACHED_DB,
        "qsessions.models.Session",
    ),
    Engine(
        "Django cache",
        "django.contrib.sessions.backends.cache",
        _DJANGO,
        DJANGO_CACHED_DB,
        None,
    ),
)


def available() -> tuple[list[Engine], list[str]]:
    """Return the engines that import here, and a sentence on each that doesn't."""
    found, missing = [], []
    for engine in _ALL:
        package = engine.path.partition(".")[0]
        if find_spec(package) is None:
            missing.append(f"{engine.label}: {package} is not installed")
            continue
        try:
            import_module(engine.path)
        except ImportError as error:
            missing.append(f"{engine.label}: {error}")
        else:
            found.append(engine)
    return found, missing
