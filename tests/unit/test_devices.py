"""Names for devices and places, with and without the optional libraries."""

from __future__ import annotations

import struct
import sys

import pytest

from django_secure_sessions import devices
from django_secure_sessions.devices import device_label, location
from tests.needs import need_module

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"{WEBKIT} Chrome/126.0.0.0 Safari/537.36"
MOBILE = f"{WEBKIT} Chrome/126.0.0.0 Mobile Safari/537.36"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) "
    "AppleWebKit/605.1.15 (KHTML, like Gecko)"
)
IPAD = IPHONE.replace("(iPhone; CPU iPhone OS", "(iPad; CPU OS")
ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"

LABELS = [
    (f"{WINDOWS} {CHROME}", "Chrome on Windows"),
    (f"{MAC} {CHROME}", "Chrome on macOS"),
    (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME}", "Chrome on Linux"),
    (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME}", "Chrome on ChromeOS"),
    (f"{ANDROID} {MOBILE}", "Chrome on Android"),
    (f"{IPHONE} CriOS/126.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
    (f"{WINDOWS} {CHROME} Edg/126.0.0.0", "Edge on Windows"),
    (f"{ANDROID} {MOBILE} EdgA/126.0.0.0", "Edge on Android"),
    (
        f"{IPHONE} Version/17.0 EdgiOS/126.0 Mobile/15E148 Safari/604.1",
        "Edge on iPhone",
    ),
    (f"{WINDOWS} {CHROME} OPR/112.0.0.0", "Opera on Windows"),
    (f"{ANDROID} {MOBILE} OPR/76.2.4027.73374", "Opera on Android"),
    (
        f"Mozilla/5.0 (Linux; Android 14; SM-S911B) {WEBKIT} SamsungBrowser/25.0 "
        "Chrome/121.0.0.0 Mobile Safari/537.36",
        "Samsung Internet on Android",
    ),
    (
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) "
        "Gecko/20100101 Firefox/127.0",
        "Firefox on Linux",
    ),
    (
        "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
        "Firefox on Android",
    ),
    (f"{IPAD} FxiOS/127.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPad"),
    (f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
    (f"{IPAD} Version/17.5 Mobile/15E148 Safari/604.1", "Safari on iPad"),
    (
        f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
        "Safari on macOS",
    ),
    ("curl/8.5.0", "curl"),
    ("python-requests/2.32.3", "python-requests"),
    ("okhttp/4.12.0", "okhttp"),
    ("Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8)", "Dalvik on Android"),
    ("Mozilla/5.0 (X11; Linux x86_64)", "Linux"),
    ("Mozilla/5.0", "Unknown device"),
    ("<script>alert(1)</script>", "Unknown device"),
    ("", "Unknown device"),
]


@pytest.fixture(autouse=True)
def _empty_answers():
    """Forget what an earlier test asked, so that each one parses."""
    device_label.cache_clear()
    devices._open_database.cache_clear()
    yield
    devices._open_database.cache_clear()


@pytest.fixture(params=["with ua-parser", "without ua-parser"])
def _each_installation(request, monkeypatch):
    """Run a test with the library, if it is here, and without it."""
    if request.param == "with ua-parser":
        need_module("ua_parser")
    else:
        monkeypatch.setitem(sys.modules, "ua_parser", None)


@pytest.mark.usefixtures("_each_installation")
class TestDeviceLabel:
    @pytest.mark.parametrize(("user_agent", "expected"), LABELS)
    def test_main_browsers_and_systems(self, user_agent, expected):
        """The label of a usual client doesn't depend on the library."""
        assert device_label(user_agent) == expected

    def test_label_fits_its_column(self):
        """A label is at most 120 characters, whatever was sent."""
        assert len(device_label("x" * 39 + "/1 " + "y" * 500)) <= 120


def test_ua_parser_knows_rare_browsers():
    """With the library, a browser that poses as Chrome gets its own name."""
    need_module("ua_parser")

    assert device_label(f"{WINDOWS} {CHROME} Vivaldi/6.8") == "Vivaldi on Windows"


def test_ua_parser_is_asked_once():
    """A list with a hundred rows of one browser parses once."""
    for _ in range(100):
        device_label(f"{WINDOWS} {CHROME}")

    assert device_label.cache_info().misses == 1


def encode(value):
    """Return a value in the data format of a MaxMind database."""
    if isinstance(value, str):
        text = value.encode()
        size = bytes([2 << 5 | len(text)]) if len(text) < 29 else b"\x5d"
        return size + (bytes([len(text) - 29]) if len(text) >= 29 else b"") + text
    if isinstance(value, dict):
        pairs = b"".join(encode(key) + encode(item) for key, item in value.items())
        return bytes([7 << 5 | len(value)]) + pairs
    if isinstance(value, list):
        return bytes([len(value), 4]) + b"".join(encode(item) for item in value)
    # Numbers come encoded already: the format gives each field its own width.
    assert isinstance(value, bytes)
    return value


def uint16(value):
    """Return a number of two bytes, which the format calls type 5."""
    return b"\xa2" + struct.pack(">H", value)


def uint32(value):
    """Return a number of four bytes, which the format calls type 6."""
    return b"\xc4" + struct.pack(">I", value)


def uint64(value):
    """Return a number of eight bytes, which the format calls type 9."""
    return b"\x08\x02" + struct.pack(">Q", value)


def maxmind_database(kind, network, record):
    """Return a database of one IPv4 network, given as text of 24 bits."""
    bits = "".join(f"{int(part):08b}" for part in network.split(".")[:3])
    # A node has two ways, one per bit; the way that isn't ours finds nothing, and
    # the last one of ours points at the only record.
    nodes, nothing, found = b"", len(bits), len(bits) + 16
    for depth, bit in enumerate(bits):
        onward = depth + 1 if depth + 1 < len(bits) else found
        ways = (onward, nothing) if bit == "0" else (nothing, onward)
        nodes += b"".join(way.to_bytes(3, "big") for way in ways)
    metadata = {
        "binary_format_major_version": uint16(2),
        "binary_format_minor_version": uint16(0),
        "build_epoch": uint64(1_700_000_000),
        "database_type": kind,
        "description": {"en": "one network"},
        "ip_version": uint16(4),
        "languages": ["en"],
        "node_count": uint32(len(bits)),
        "record_size": uint16(24),
    }
    marker = b"\xab\xcd\xefMaxMind.com"
    return nodes + bytes(16) + encode(record) + marker + encode(metadata)


COUNTRY = {"country": {"iso_code": "GB", "names": {"en": "United Kingdom"}}}
CITY = {"city": {"names": {"en": "London"}}, **COUNTRY}


class TestLocation:
    @pytest.fixture
    def database(self, settings, tmp_path):
        """Return a maker of databases that GEOIP_PATH then points at."""
        need_module("geoip2")

        def make(kind, record):
            path = tmp_path / f"{kind}.mmdb"
            path.write_bytes(maxmind_database(kind, "81.2.69.0", record))
            settings.GEOIP_PATH = str(path)

        return make

    @pytest.mark.parametrize(
        ("kind", "record", "expected"),
        [
            ("GeoLite2-City", CITY, "London, United Kingdom"),
            ("GeoLite2-City", COUNTRY, "United Kingdom"),
            ("GeoLite2-Country", COUNTRY, "United Kingdom"),
            ("GeoLite2-Country", {}, ""),
        ],
    )
    def test_as_far_as_it_is_known(self, database, kind, record, expected):
        """A place is named as exactly as the database allows."""
        database(kind, record)

        assert location("81.2.69.160") == expected

    @pytest.mark.parametrize(
        "ip",
        [
            "8.8.8.8",
            "10.0.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "h:1a2b:0123456789abcdef:0123456789abcdef",
            "nonsense",
            "",
            None,
        ],
    )
    def test_nowhere(self, database, ip):
        """An address that is unknown, private, hashed or none has no place."""
        database("GeoLite2-City", CITY)

        assert location(ip) == ""

    def test_without_a_path(self):
        """A site without GEOIP_PATH has no places."""
        assert location("81.2.69.160") == ""

    def test_unreadable_database_is_said_once(self, settings, tmp_path, caplog):
        """A broken installation costs one line in the log, not one per row."""
        settings.GEOIP_PATH = str(tmp_path)

        assert [location("81.2.69.160") for _ in range(3)] == ["", "", ""]
        assert len(caplog.records) == 1

    def test_without_the_library(self, settings, tmp_path, monkeypatch, caplog):
        """Without geoip2 there are no places, and the log says what is missing."""
        monkeypatch.setattr("django.contrib.gis.geoip2.HAS_GEOIP2", False)
        settings.GEOIP_PATH = str(tmp_path)

        assert location("81.2.69.160") == ""
        assert "geoip2" in caplog.text
