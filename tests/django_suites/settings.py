"""Settings for Django's own test runner, with one of our engines in them.

The runner sets INSTALLED_APPS, MIDDLEWARE and TEMPLATES itself; run.py adds ours
there. The rest is what Django's `test_sqlite` settings say.
"""

from __future__ import annotations

import os

SESSION_ENGINE = os.environ["CONFORMANCE_ENGINE"]
TEST_RUNNER = "tests.django_suites.runner.Runner"

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3"},
    # Some tests of auth name a second database.
    "other": {"ENGINE": "django.db.backends.sqlite3"},
}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
