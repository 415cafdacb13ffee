"""Sphinx configuration."""

from __future__ import annotations

from importlib.metadata import version as installed_version

import django
from django.conf import settings

# autodoc imports the modules it describes, and models need a set-up Django.
settings.configure(
    SECRET_KEY="documentation",  # noqa: S106 - signs nothing
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django_secure_sessions",
    ],
    SESSION_ENGINE="django_secure_sessions.backends.db",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3"}},
    USE_TZ=True,
)
django.setup()

project = "django-secure-sessions"
copyright = "django-secure-sessions contributors"
release = version = installed_version(project)

extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
nitpicky = False

root_doc = "index"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {version}"
