"""A module imports from the layers below its own, and from nowhere else inside."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import django_secure_sessions

ROOT = Path(django_secure_sessions.__file__).parent

# From the bottom to the top. Modules of one line do not import each other.
LAYERS = """
exceptions state signals user_agents kinds
presets roles accounts wording
conf
crypto client policy data limits devices http request_user
models migrations
events
new_devices notices
backends
lifecycle
mfa overview
answers
middleware decorators receivers
forms
views api admin contrib management templatetags
urls checks testing
apps
"""
LEVELS = {
    name: level
    for level, line in enumerate(LAYERS.split("\n"))
    for name in line.split()
}
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def room(module):
    """Return the first part of a module's path: `mfa` of `mfa/totp.py`."""
    return module.parts[0].removesuffix(".py")


def imported(module):
    """Yield the rooms that a module imports, wherever in it the import stands."""
    package = ["django_secure_sessions", *module.parts[:-1]]
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            names = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            if first == "django_secure_sessions" and rest:
                yield rest[0]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_down(module):
    """No import points upwards or sideways."""
    own = room(module)
    if own == "__init__":
        assert not list(imported(module))
        return
    wrong = {
        other
        for other in imported(module)
        if other != own and LEVELS[other] >= LEVELS[own]
    }

    assert not wrong


def test_every_room_has_its_place():
    """A new room says where it belongs, and one that is gone leaves the list."""
    rooms = {room(module) for module in MODULES} - {"__init__"}

    assert rooms == LEVELS.keys()


@pytest.mark.parametrize("name", ["exceptions", "state", "presets", "policy", "limits"])
def test_decisions_know_no_request_and_no_table(name):
    """What decides is pure: it imports nothing of Django that does I/O."""
    text = (ROOT / f"{name}.py").read_text()
    imports = [
        node.module or ""
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
    ]
    foreign = {name for name in imports if name.startswith("django.")}

    assert foreign <= {"django.contrib.sessions.backends.base"}
