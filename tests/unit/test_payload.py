"""Session data as bytes and back, and the merge of what two requests changed."""

from __future__ import annotations

import pytest
from django.contrib.sessions.serializers import JSONSerializer
from hypothesis import given
from hypothesis import strategies as st

from django_secure_sessions.backends import payload

SERIALIZER = JSONSerializer()

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
data = st.dictionaries(st.sampled_from("abcdefgh"), values)
changes = st.dictionaries(st.sampled_from("abcdefgh"), st.integers() | st.just(...))


def changed(base, change):
    """Apply a change: new values, and `...` for a deletion."""
    result = {**base, **change}
    return {name: value for name, value in result.items() if value is not ...}


@given(st.dictionaries(st.text(), values))
def test_round_trip(stored):
    """Data comes back as it was stored."""
    assert payload.unpack(SERIALIZER, payload.pack(SERIALIZER, stored)) == stored


def test_long_data_is_deflated():
    """What repeats itself takes little room; what does not grows by a byte."""
    long = {"a": "la" * 10_000}

    assert len(payload.pack(SERIALIZER, long)) < 500
    assert (
        len(payload.pack(SERIALIZER, {"a": 1})) == len(SERIALIZER.dumps({"a": 1})) + 1
    )


@pytest.mark.parametrize(
    "junk", [b"", b"\x00", b"\x01", b"\x01junk", b"\x00{", b"\x02{}"]
)
def test_junk(junk):
    """Bytes that pack() did not make are a ValueError."""
    if junk == b"\x02{}":
        assert payload.unpack(SERIALIZER, junk) == {}
        return
    with pytest.raises(ValueError):  # noqa: PT011 - json's and ours alike
        payload.unpack(SERIALIZER, junk)


@given(data, changes, changes)
def test_different_keys_all_survive(base, ours, theirs):
    """Two requests that change different keys both get what they wanted."""
    theirs = {name: value for name, value in theirs.items() if name not in ours}
    merged = payload.merge(base, changed(base, theirs), changed(base, ours))

    assert merged == changed(base, {**theirs, **ours})


@given(data, changes, changes)
def test_later_save_wins(base, ours, theirs):
    """Of two that change one key the later save decides, as it always did."""
    merged = payload.merge(base, changed(base, theirs), changed(base, ours))

    for name, value in ours.items():
        if value is ...:
            if name in base:
                assert name not in merged
        elif base.get(name, ...) != value:
            assert merged[name] == value


@given(data, changes)
def test_without_change_theirs_stands(base, theirs):
    """A save that changed nothing undoes nothing."""
    assert payload.merge(base, changed(base, theirs), dict(base)) == changed(
        base, theirs
    )


@given(data, changes)
def test_without_rival_ours_stands(base, ours):
    """Where nobody else saved, the merge is our data."""
    assert payload.merge(base, dict(base), changed(base, ours)) == changed(base, ours)


def test_inputs_are_left_alone():
    """Merging changes none of its arguments."""
    base, theirs, ours = {"a": 1}, {"a": 1, "b": 2}, {"c": 3}
    payload.merge(base, theirs, ours)

    assert (base, theirs, ours) == ({"a": 1}, {"a": 1, "b": 2}, {"c": 3})
