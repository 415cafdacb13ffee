"""The invented people of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# DEMO ONLY. Everybody's password, shown on the sign-in page while DEBUG is on.
DEMO_PASSWORD = "low-tide-at-nine"  # noqa: S105


@dataclass(frozen=True)
class Account:
    """A person who can sign in, and what the site lets them do."""

    username: str
    first_name: str
    last_name: str
    role: str
    is_staff: bool = False
    is_superuser: bool = False
    permissions: tuple[str, ...] = ()


ACCOUNTS = (
    Account(
        "ingrid",
        "Ingrid",
        "Solheim",
        "administrator, may do everything",
        is_staff=True,
        is_superuser=True,
    ),
    Account(
        "tomas",
        "Tomás",
        "Ferreira",
        "support, may see and revoke sessions",
        is_staff=True,
        permissions=("view_session", "revoke_session"),
    ),
    Account("amara", "Amara", "Okafor", "reader"),
    Account("jun", "Jun", "Watanabe", "reader"),
    Account("leila", "Leila", "Haddad", "reader"),
)


def demo_logins() -> dict[str, Any]:
    """Return what a sign-in page needs to show who can be tried."""
    return {"demo_accounts": ACCOUNTS, "demo_password": DEMO_PASSWORD}
