"""Where our engines differ from Django's by design, one reason each.

A test named here must fail, or the line is out of date; a test not named here
must pass.
"""

from __future__ import annotations

# What Django's tests do with a session key that they find, or look for, in a table.
NO_KEY_STORED = "the session key is in no column, so no row can be found by it"

# Methods of sessions_tests.tests.DatabaseSessionTests.
ENGINE = {
    "test_session_str": NO_KEY_STORED,
    "test_session_get_decoded": NO_KEY_STORED,
    "test_sessionmanager_save": NO_KEY_STORED,
}

# Methods of sessions_tests.tests.SessionMiddlewareTests: our engine, either middleware.
ANY_MIDDLEWARE = {"test_empty_session_saved": NO_KEY_STORED}

# The same, with our middleware.
OUR_MIDDLEWARE = ANY_MIDDLEWARE | {
    "test_session_update_error_redirect": (
        "a session that ended while its request ran is answered with a login page"
        " or a 401 that says why, not with SessionInterrupted and its bare 400"
    ),
}

WRITES_AN_EVENT = "a failed login is written to the audit log: one INSERT more"
OTHER_ENGINE = "our middleware refuses to start on an engine that is not ours"
OTHER_USER = (
    "a session's user is a foreign key to the user model that the process started"
    " with; the test swaps in one with another kind of primary key"
)
NEW_KEY = "a repeated login gets a new key too (ASVS 7.2.4); Django keeps the old one"

AUTH = "auth_tests.test_auth_backends"
VIEWS = "auth_tests.test_views"
CLIENT = "test_client.tests.ClientTest"
NO_CREDENTIALS = "test_authentication_without_credentials"

# Tests of auth_tests and test_client, by full name.
SUITES = {
    f"{AUTH}.CustomPermissionsUserModelBackendTest.{NO_CREDENTIALS}": WRITES_AN_EVENT,
    f"{AUTH}.ExtensionUserModelBackendTest.{NO_CREDENTIALS}": WRITES_AN_EVENT,
    f"{AUTH}.ModelBackendTest.{NO_CREDENTIALS}": WRITES_AN_EVENT,
    f"{AUTH}.UUIDUserTests.test_alogin": OTHER_USER,
    f"{AUTH}.UUIDUserTests.test_login": OTHER_USER,
    f"{VIEWS}.LoginTest.test_session_key_flushed_on_login_after_password_change": (
        NEW_KEY
    ),
    f"{VIEWS}.UUIDUserTests.test_admin_password_change": OTHER_USER,
    f"{CLIENT}.test_logout_cookie_sessions": OTHER_ENGINE,
    f"{CLIENT}.test_sessions_app_is_not_installed": OTHER_ENGINE,
    f"{CLIENT}.test_view_with_login_when_sessions_app_is_not_installed": OTHER_ENGINE,
}
