"""Run Django's own `auth_tests` and `test_client` suites on our engines.

Django's runner is used as it is, from its source distribution; this program adds
our app, our middleware and our engine from outside, and compares the failures
with the list in differences.py. Run it as `python -m tests.django_suites.run`.
"""

from __future__ import annotations

import argparse
import atexit
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from typing import Any

from tests.django_suites.differences import SUITES
from tests.django_suites.runner import Runner
from tests.django_suites.source import SourceUnavailable, source_folder

PACKAGE = "django_secure_sessions"
ENGINES = ["db", "cached_db"]
LABELS = ["auth_tests", "test_client"]
DJANGO_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"
OUR_MIDDLEWARE = f"{PACKAGE}.middleware.SecureSessionMiddleware"


def name_of(test: Any) -> str:
    """Return the full name of a test, of a subtest that of the test around it."""
    return str(getattr(test, "test_case", test).id())


def judge(result: unittest.TestResult, labels: list[str]) -> int:
    """Print what came out and what was not expected; return the exit code."""
    listed = {name for name in SUITES if name.startswith(tuple(labels))}
    failed = {name_of(test) for test, _ in [*result.failures, *result.errors]}
    failed |= {name_of(test) for test in result.unexpectedSuccesses}
    expected = failed & listed
    unexpected = sorted(failed - listed)
    outdated = sorted(listed - failed)

    for name in sorted(expected):
        print(f"differs by design: {name}: {SUITES[name]}")
    for name in unexpected:
        print(f"FAILED: {name}")
    for name in outdated:
        print(f"OUTDATED: {name} passes now; take it out of differences.py")
    wrong = len(unexpected) + len(outdated)
    skipped = len(result.skipped) + len(expected)
    passed = result.testsRun - skipped - wrong
    print(f"\n{passed} passed, {wrong} failed, {skipped} skipped")
    return int(bool(wrong))


def run_one(engine: str, labels: list[str]) -> int:
    """Run the suites on one engine in this process; return the exit code."""
    try:
        folder = source_folder()
    except SourceUnavailable as reason:
        print(f"Stopped: {reason}")
        return 1
    os.environ["CONFORMANCE_ENGINE"] = engine
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.django_suites.settings"
    # The runner expects both of these from its own main block.
    scratch = tempfile.mkdtemp(prefix="django_")
    tempfile.tempdir = os.environ["TMPDIR"] = scratch
    atexit.register(shutil.rmtree, scratch)
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    runtests: Any = importlib.import_module("runtests")

    if engine.startswith(PACKAGE):
        runtests.ALWAYS_INSTALLED_APPS.append(PACKAGE)
        place = runtests.ALWAYS_MIDDLEWARE.index(DJANGO_MIDDLEWARE)
        runtests.ALWAYS_MIDDLEWARE[place] = OUR_MIDDLEWARE

    collect = runtests.setup_collect_tests

    def setup_collect_tests(*args: Any, **kwargs: Any) -> Any:
        outcome = collect(*args, **kwargs)
        # The runner makes the tables of auth without migrations; ours points to
        # one of them, and is made in the same step.
        from django.conf import settings

        settings.MIGRATION_MODULES[PACKAGE] = None
        return outcome

    runtests.setup_collect_tests = setup_collect_tests
    runtests.django_tests(
        verbosity=1,
        interactive=False,
        failfast=False,
        keepdb=False,
        reverse=False,
        test_labels=labels,
        debug_sql=False,
        parallel=1,
        tags=[],
        exclude_tags=[],
        test_name_patterns=None,
        start_at="",
        start_after="",
        pdb=False,
        buffer=True,
        timing=False,
        shuffle=False,
    )
    return judge(Runner.result, labels)


def main() -> int:
    """Return the exit code of the whole."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", help="one engine, as SESSION_ENGINE names it")
    parser.add_argument("labels", nargs="*", default=LABELS)
    options = parser.parse_args()
    if options.engine:
        return run_one(options.engine, options.labels)
    codes = []
    for engine in ENGINES:
        print(f"\n--- {engine}")
        # A process each: settings and models are set up once in a process.
        command = [sys.executable, "-m", "tests.django_suites.run"]
        command += ["--engine", f"{PACKAGE}.backends.{engine}", *options.labels]
        codes.append(subprocess.run(command, check=False).returncode)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
