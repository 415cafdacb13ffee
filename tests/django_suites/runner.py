"""Django's test runner, which keeps its last result for the one who asked."""

from __future__ import annotations

import unittest
from typing import Any

from django.test.runner import DiscoverRunner


class Runner(DiscoverRunner):
    """Named by TEST_RUNNER, so that it is made where run.py cannot reach it."""

    result: unittest.TestResult

    def run_suite(self, suite: unittest.TestSuite, **kwargs: Any) -> Any:
        Runner.result = super().run_suite(suite, **kwargs)
        return Runner.result
