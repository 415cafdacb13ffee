"""One row per user: the lock for the limit and the attempt budget."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connections, models


class UserSecurity(models.Model):
    """
    What must be serialised per user.

    A row of our own, never the user row: locking that deadlocks with foreign-key
    inserts and with the project's own ``select_for_update``. For the same reason
    the tables a login writes to have no constraint in the database: MariaDB and
    MySQL would lock the user row for it, against the site's own saves of the user.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="+",
        db_constraint=False,
    )
    # When a login last took this row's lock: an upsert needs something to write.
    locked_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    locked_until = models.DateTimeField(null=True)
    # When the user first had to have a second factor: the grace period starts here.
    mfa_required_since = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)

    @classmethod
    def lock(cls, user_id: Any, now: datetime, using: str) -> None:
        """
        Hold this user's row until the transaction ends, creating it if need be.

        One upsert: it writes first, so SQLite takes its write lock at once instead
        of upgrading a read lock, which fails under parallel logins.
        """
        cls._base_manager.using(using).bulk_create(
            [cls(user_id=user_id, locked_at=now)],
            update_conflicts=True,
            update_fields=["locked_at"],
            unique_fields=(
                ["user"]
                if connections[using].features.supports_update_conflicts_with_target
                else None
            ),
        )
