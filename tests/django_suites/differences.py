"""Where our engines differ from Django's by design, one reason each.

A test named here must fail, or the line is out of date; a test not named here
must pass.
"""

from __future__ import annotations

# Methods of sessions_tests.tests.DatabaseSessionTests.
ENGINE: dict[str, str] = {}

# Methods of sessions_tests.tests.SessionMiddlewareTests, with our middleware.
MIDDLEWARE: dict[str, str] = {}

# Tests of auth_tests and test_client, by full name.
SUITES: dict[str, str] = {}
