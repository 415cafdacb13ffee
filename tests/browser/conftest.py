"""A headless Chromium, for the promises that only a real browser can keep."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.needs import lacking

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Not for the whole run: while Playwright's synchronous API is open, this thread
# looks like one with a running event loop, which other tests must not find.
@pytest.fixture(scope="module")
def chromium():
    """Return a running Chromium."""
    path = Path(os.environ.get("CHROMIUM") or "/usr/bin/chromium")
    if not path.exists():
        lacking(f"no Chromium at {path}; CHROMIUM names another place")

    from playwright.sync_api import expect, sync_playwright

    # Milliseconds. The default of 5 s is short where other runs share the machine.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()
