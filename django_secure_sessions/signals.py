"""
Signals, named in the past tense.

No signal carries a session key, a code or a password. All are sent after the
fact; a receiver that fails is logged and changes nothing.
"""

from __future__ import annotations

from django.dispatch import Signal

# A session became an authenticated session of a user, second factor included.
# Arguments: session_id (UUID), user_id, aal (int), client (ClientInfo)
session_authenticated = Signal()

# A user signed in with a device not known to be theirs. Once per such login.
# Arguments: session_id (UUID), user_id, client (ClientInfo)
new_device_seen = Signal()

# A session ended, for whatever reason. Close what depends on it (sockets, tokens).
# Arguments: session_id (UUID), user_id, reason (str), actor (str)
session_ended = Signal()

# An event entered the audit trail.
# Arguments: event (SessionEvent)
event_recorded = Signal()
