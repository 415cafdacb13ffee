"""The one pure decision: is this session still good, and until when?"""

from __future__ import annotations

from datetime import datetime, timedelta

from .state import EndReason, Rules, Stamped, Verdict


def evaluate(stamps: Stamped, rules: Rules, now: datetime) -> Verdict:
    """
    Judge a session by its stamps.

    Expiry is inclusive: at exactly the limit the session is over (ASVS 7.3.1,
    7.3.2). A stamp from the future, from a clock that was ahead, counts as now and
    never extends anything beyond the absolute limit.
    """
    if stamps.ended_at is not None:
        reason = _known(stamps.end_reason)
        return Verdict(live=False, deadline=stamps.ended_at, reason=reason)
    deadline, reason = stamps.expires_at, EndReason.EXPIRED
    if stamps.user_id is not None:
        start = stamps.authenticated_at
        if rules.absolute is not None and start is not None:
            moment = min(start, now) + rules.absolute
            if moment <= deadline:
                deadline, reason = moment, EndReason.ABSOLUTE
        if rules.idle is not None:
            moment = min(stamps.last_activity, now) + rules.idle
            if moment <= deadline:
                deadline, reason = moment, EndReason.IDLE
    if now < deadline:
        return Verdict(True, deadline)
    return Verdict(False, deadline, reason)


def recorded_expiry(
    rules: Rules, *, authenticated_at: datetime, now: datetime, cookie: datetime
) -> datetime:
    """
    The ``expires_at`` to store for an authenticated session active ``now``.

    It leaves one spare idle timeout beyond the idle deadline, so that touches move
    the indexed column once an idle timeout instead of each time. ``evaluate``
    computes the exact deadline from the stamps.
    """
    moments = [cookie]
    if rules.absolute is not None:
        moments.append(authenticated_at + rules.absolute)
    if rules.idle is not None:
        moments.append(now + 2 * rules.idle)
    return min(moments)


def is_touch_due(last_activity: datetime, interval: timedelta, now: datetime) -> bool:
    """Whether the recorded activity is old enough to be written again."""
    return now - last_activity >= interval


def _known(reason: str) -> EndReason | None:
    try:
        return EndReason(reason)
    except ValueError:
        return None
