"""Packages that only some tests need: installed for them alone, tables and all."""

from __future__ import annotations

from contextlib import contextmanager

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.test import override_settings


@contextmanager
def installed(*names, **changed):
    """
    Add apps, and change settings, for a while; make and drop the apps' tables.

    Not by migrations: what is tested is how we get along with the packages of
    today, and the tables that their models describe are those.
    """
    together = [*settings.INSTALLED_APPS, *names]
    registered = dict(admin.site._registry)
    # One after the other: an app may look at the settings while it gets ready.
    with override_settings(**changed), override_settings(INSTALLED_APPS=together):
        models = [
            model
            for name in names
            for model in _config(name).get_models()
            if model._meta.managed
        ]
        with connection.schema_editor() as editor:
            for model in models:
                editor.create_model(model)
        try:
            yield
        finally:
            with connection.schema_editor() as editor:
                for model in reversed(models):
                    editor.delete_model(model)
            admin.site._registry = registered


def _config(name):
    return next(found for found in apps.get_app_configs() if found.name == name)
