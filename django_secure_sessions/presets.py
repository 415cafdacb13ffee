"""Named rules, each with the source of its numbers."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType

from .state import Rules

# NIST SP 800-63B-4, 2.1.3: overall SHOULD be at most 30 days; idle is optional.
NIST_AAL1 = Rules(idle=None, absolute=timedelta(days=30))

# NIST SP 800-63B-4, 2.2.3: overall SHOULD be at most 24 hours, idle at most 1 hour.
NIST_AAL2 = Rules(idle=timedelta(hours=1), absolute=timedelta(hours=24))

# NIST SP 800-63B-4, 2.3.3: overall SHALL be at most 12 hours, idle SHOULD be at
# most 15 minutes.
NIST_AAL3 = Rules(idle=timedelta(minutes=15), absolute=timedelta(hours=12))

# OWASP Session Management Cheat Sheet: 2-5 minutes idle for high-value
# applications, 15-30 for low-risk ones; 4-8 hours overall for an office day.
OWASP_HIGH = Rules(idle=timedelta(minutes=5), absolute=timedelta(hours=4))
OWASP_LOW = Rules(idle=timedelta(minutes=30), absolute=timedelta(hours=8))

PRESETS = MappingProxyType(
    {
        "nist_aal1": NIST_AAL1,
        "nist_aal2": NIST_AAL2,
        "nist_aal3": NIST_AAL3,
        "owasp_high": OWASP_HIGH,
        "owasp_low": OWASP_LOW,
    }
)
