"""
System checks: what is set wrong, and how to mend it.

``secure_sessions.E001`` and up are errors, ``W101`` and up warnings; no id is ever
given to another finding. Each check is one function over the settings.

What is wrong at a desk too is always told. What is only wrong where strangers reach
the site waits for ``check --deploy``: the cookie's attributes, which plain HTTP on
one's own machine can't have, and a cache that serves one process or few people.
"""

from __future__ import annotations

from django.core.checks import Tags, register

from . import cache, deploy, enrolment, previous, surroundings, values, wiring

ALWAYS = (
    values.check_keys,
    values.check_values,
    values.check_preset,
    values.check_timeouts,
    values.check_name,
    wiring.check_engine,
    wiring.check_middleware,
    wiring.check_cookie_prefix,
    wiring.check_save_every_request,
    wiring.check_serializer,
    wiring.check_choice_page,
    surroundings.check_databases,
    surroundings.check_proxies,
    surroundings.check_sqlite,
    surroundings.check_django_version,
    cache.check_cache,
    cache.check_touch_store,
    enrolment.check_enrolment,
    previous.check_previous_engine,
)
AT_DEPLOYMENT = (
    deploy.check_cookie_flags,
    deploy.check_cookie_scope,
    previous.check_previous_engine_is_temporary,
    cache.check_cache_at_work,
)


def register_all() -> None:
    """Register every check; called once, from ``AppConfig.ready``."""
    for check in ALWAYS:
        register(check, Tags.security)
    for check in AT_DEPLOYMENT:
        register(check, Tags.security, deploy=True)
