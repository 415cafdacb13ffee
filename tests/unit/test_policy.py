"""The one decision: is a session still good, and until when?"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_secure_sessions import policy
from django_secure_sessions.conf import conf
from django_secure_sessions.state import EndReason, Rules, Stamps

NOW = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
TICK = timedelta(microseconds=1)
FAR = timedelta(days=14)
HOUR = timedelta(hours=1)

spans = st.timedeltas(timedelta(seconds=1), timedelta(days=3))
limits = st.none() | spans


def stamps(*, user=1, login=timedelta(0), seen=timedelta(0), expires=FAR):
    """Stamps of a session, in distances from NOW."""
    return Stamps(
        user_id=user,
        authenticated_at=NOW + login if user else None,
        last_activity=NOW + seen,
        expires_at=NOW + expires,
    )


IDLE, ABSOLUTE = timedelta(minutes=30), timedelta(hours=12)
RULES = Rules(idle=IDLE, absolute=ABSOLUTE)


class TestBoundaries:
    @pytest.mark.parametrize(
        ("found", "reason"),
        [
            (stamps(seen=-IDLE), EndReason.IDLE),
            (stamps(login=-ABSOLUTE), EndReason.ABSOLUTE),
            (stamps(expires=timedelta(0)), EndReason.EXPIRED),
            (stamps(user=None, expires=timedelta(0)), EndReason.EXPIRED),
        ],
    )
    def test_inclusive(self, found, reason):
        """At its limit a session is over; a microsecond before it is not."""
        over = policy.evaluate(found, RULES, NOW)
        before = policy.evaluate(found, RULES, NOW - TICK)

        assert (over.live, over.reason, over.deadline) == (False, reason, NOW)
        assert (before.live, before.reason, before.deadline) == (True, None, NOW)

    @pytest.mark.parametrize(
        ("login", "seen", "reason"),
        [
            (-13 * HOUR, -2 * HOUR, EndReason.IDLE),
            (-14 * HOUR, -2 * HOUR, EndReason.ABSOLUTE),
        ],
    )
    def test_earliest_names_the_reason(self, login, seen, reason):
        """Of several limits that passed the first one is the reason."""
        found = stamps(login=login, seen=seen)

        assert policy.evaluate(found, RULES, NOW).reason is reason

    def test_stranger_has_no_limits_of_ours(self):
        """Idle and absolute limits are for signed-in users."""
        found = stamps(user=None, seen=-7 * HOUR * 24)

        assert policy.evaluate(found, RULES, NOW).live

    def test_ended_stays_ended(self):
        """What ended is over, at whatever time one asks, for its own reason."""
        found = stamps()._replace(ended_at=NOW + HOUR, end_reason="revoked")

        for moment in (NOW - HOUR, NOW, NOW + FAR):
            verdict = policy.evaluate(found, RULES, moment)
            assert (verdict.live, verdict.reason) == (False, EndReason.REVOKED)

    def test_reason_of_another_version(self):
        """A reason this version does not know is no error."""
        found = stamps()._replace(ended_at=NOW, end_reason="of the future")

        assert policy.evaluate(found, RULES, NOW).reason is None


@given(limits, limits, spans, spans, spans)
def test_never_late(idle, absolute, since_login, since_seen, expires):
    """Whatever the limits and stamps, no session is live beyond any of its limits."""
    found = stamps(login=-since_login, seen=-since_seen, expires=expires)
    verdict = policy.evaluate(found, Rules(idle, absolute), NOW)
    deadlines = [NOW + expires]
    if idle is not None:
        deadlines.append(NOW - since_seen + idle)
    if absolute is not None:
        deadlines.append(NOW - since_login + absolute)

    assert verdict.deadline == min(deadlines)
    assert verdict.live is (min(deadlines) > NOW)


IDLES = [60, 300, 900, 1800, 3600, 12 * 3600]  # seconds
INTERVALS = [0, 1, 30, 60, 600, 86_400]


@pytest.mark.parametrize("idle", IDLES)
@pytest.mark.parametrize("interval", INTERVALS)
def test_throttle_errs_early_only(settings, idle, interval):
    """
    Touching at intervals never lengthens the idle limit, and shortens it by little.

    A user acts every second; then stops. The session is over not before a limit
    minus an interval after the last act, and not after the limit.
    """
    settings.SECURE_SESSIONS = {"TOUCH_INTERVAL": interval}
    limit = timedelta(seconds=idle)
    step = conf.touch_interval(limit)
    recorded = seen = NOW
    for second in range(0, 200, 7):
        seen = NOW + timedelta(seconds=second)
        if policy.is_touch_due(recorded, step, seen):
            recorded = seen
    found = stamps()._replace(last_activity=recorded)
    rules = Rules(idle=limit, absolute=None)

    assert not policy.evaluate(found, rules, seen + limit).live
    assert policy.evaluate(found, rules, seen + limit - step - TICK).live
    assert step <= min(timedelta(seconds=interval), limit / 10)


class TestClockJumps:
    def test_stamp_of_the_future_signs_nobody_out(self):
        """A clock that was ahead by an hour and was corrected ends no session."""
        found = stamps(login=HOUR, seen=HOUR)

        assert policy.evaluate(found, RULES, NOW).live

    @given(st.timedeltas(timedelta(0), timedelta(days=1)))
    def test_and_extends_nothing(self, ahead):
        """It counts as now: the limits are no longer than from this moment on."""
        verdict = policy.evaluate(stamps(login=ahead, seen=ahead), RULES, NOW)

        assert verdict.deadline == NOW + RULES.idle


class TestRecordedExpiry:
    @given(limits, limits, spans, spans)
    def test_never_before_the_deadline(self, idle, absolute, since_login, cookie):
        """What is stored for the clean-up never ends a session before its time."""
        rules = Rules(idle, absolute)
        login = NOW - since_login
        expires = policy.recorded_expiry(
            rules, authenticated_at=login, now=NOW, cookie=NOW + cookie
        )
        found = Stamps(1, login, NOW, NOW + cookie)

        assert expires >= policy.evaluate(found, rules, NOW).deadline
        assert expires <= NOW + cookie

    def test_moves_once_an_idle_timeout(self):
        """Within one idle timeout the indexed column need not move."""
        expires = policy.recorded_expiry(
            RULES, authenticated_at=NOW, now=NOW, cookie=NOW + FAR
        )

        assert expires == NOW + 2 * RULES.idle
