"""Who sent a request: nothing a client writes decides it, nothing breaks it."""

from __future__ import annotations

import logging
from ipaddress import ip_address, ip_network

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.test import RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st

from django_secure_sessions.client import client_changed, identify, parse_address
from django_secure_sessions.state import ClientInfo

PROXY = "10.0.0.1"
TRUSTED = ip_network("10.0.0.0/8")
NETWORKS = ["10.0.0.0/8", "fd00::/8"]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)

anything = st.text(max_size=200)
stored_ips = st.one_of(anything, st.text("0aho.:", max_size=20).map("h:".__add__))
addresses = st.ip_addresses().map(str)
# 10.0.0.0/8 is trusted in these tests, so no client lives there.
outside = st.ip_addresses(v=4).filter(lambda ip: ip not in TRUSTED).map(str)
inside = st.ip_addresses(v=4, network="10.0.0.0/8").map(str)


def secure(**conf):
    """Return the override of the package's settings, named in lower case."""
    return override_settings(
        SECURE_SESSIONS={name.upper(): value for name, value in conf.items()}
    )


def ip_of(remote=PROXY, forwarded=None, header="X_FORWARDED_FOR", **conf):
    """Return the address of a client that comes from `remote`."""
    request = RequestFactory().get("/")
    request.META["REMOTE_ADDR"] = remote
    if forwarded is not None:
        request.META[f"HTTP_{header}"] = forwarded
    with secure(**conf):
        return identify(request).ip


class TestWithoutProxies:
    @given(anything)
    def test_header_changes_nothing(self, forwarded):
        """Where no proxy is trusted, the peer is the client, whatever it claims."""
        assert ip_of("203.0.113.7", forwarded) == "203.0.113.7"

    @pytest.mark.parametrize("proxies", [None, 0, -1, [], ()])
    def test_no_proxy_in_any_spelling(self, proxies):
        """No hops and no networks mean that nobody is believed."""
        found = ip_of("203.0.113.7", "198.51.100.1", trusted_proxies=proxies)

        assert found == "203.0.113.7"

    @pytest.mark.parametrize("remote", ["", None, "unix:", "unix:/run/app.sock"])
    def test_unix_socket_has_no_address(self, remote):
        """A peer without an address is nobody, not an error."""
        assert ip_of(remote) is None


class TestCountedProxies:
    @given(anything, addresses, st.lists(addresses, max_size=3))
    def test_client_cannot_choose_its_address(self, claimed, client, proxies):
        """The entry that the outermost of our proxies wrote wins over any claim."""
        forwarded = ", ".join([claimed, client, *proxies])

        found = ip_of(PROXY, forwarded, trusted_proxies=len(proxies) + 1)

        assert found == str(parse_address(client))

    @pytest.mark.parametrize("forwarded", [None, "", "198.51.100.1"])
    def test_too_short_header_falls_back(self, forwarded, caplog):
        """Fewer entries than proxies: the peer is the client, and the log says so."""
        assert ip_of(PROXY, forwarded, trusted_proxies=2) == PROXY
        assert len(caplog.records) == 1
        assert "X-Forwarded-For has fewer entries" in caplog.text

    @pytest.mark.parametrize("entry", ["unknown", "_hidden", "", "1.2.3.4.5", "a b"])
    def test_garbage_falls_back(self, entry, caplog):
        """No address where the client's belongs: fall back, one line in the log."""
        assert ip_of(PROXY, f"198.51.100.1, {entry}", trusted_proxies=1) == PROXY
        assert len(caplog.records) == 1

    def test_works_behind_a_unix_socket(self):
        """Counting needs no address of the peer."""
        assert ip_of("", "198.51.100.1", trusted_proxies=1) == "198.51.100.1"

    def test_another_header(self):
        """CLIENT_IP_HEADER names the one header that is read."""
        found = ip_of(
            PROXY,
            "198.51.100.1",
            header="X_REAL_IP",
            trusted_proxies=1,
            client_ip_header="X-Real-IP",
        )

        assert found == "198.51.100.1"


class TestTrustedNetworks:
    @given(anything, outside, st.lists(inside, max_size=4))
    def test_client_cannot_choose_its_address(self, claimed, client, proxies):
        """The first address from the right that isn't ours wins over any claim."""
        forwarded = ", ".join([claimed, client, *proxies])

        assert ip_of(PROXY, forwarded, trusted_proxies=NETWORKS) == client

    @given(anything)
    def test_stranger_is_the_client(self, forwarded):
        """Who connects from outside the networks is not believed."""
        found = ip_of("203.0.113.7", forwarded, trusted_proxies=NETWORKS)

        assert found == "203.0.113.7"

    def test_request_from_within(self):
        """A client on a trusted network is the outermost address on record."""
        found = ip_of(PROXY, "10.1.1.1, 10.2.2.2", trusted_proxies=NETWORKS)

        assert found == "10.1.1.1"

    def test_proxy_that_asks_for_itself(self, caplog):
        """A health check of the balancer has no header, and that is no news."""
        assert ip_of(PROXY, None, trusted_proxies=NETWORKS) == PROXY
        assert caplog.records == []

    def test_garbage_falls_back(self, caplog):
        """An unreadable entry ends the walk at the peer, with one line in the log."""
        forwarded = "198.51.100.1, nonsense, 10.2.2.2"

        assert ip_of(PROXY, forwarded, trusted_proxies=NETWORKS) == PROXY
        assert len(caplog.records) == 1

    def test_both_address_families(self):
        """IPv4 and IPv6 proxies stand in one list."""
        found = ip_of("fd00::1", "2001:db8::7, 10.2.2.2", trusted_proxies=NETWORKS)

        assert found == "2001:db8::7"

    def test_one_network_as_text(self):
        """A single network needs no list."""
        found = ip_of(PROXY, "198.51.100.1", trusted_proxies="10.0.0.0/8")

        assert found == "198.51.100.1"

    @pytest.mark.parametrize(
        ("networks", "expected"),
        [(["127.0.0.0/8"], "198.51.100.1"), (["10.0.0.0/8"], None)],
    )
    def test_unix_socket_counts_as_this_machine(self, networks, expected):
        """A local proxy on a Unix socket is trusted where loopback is."""
        assert ip_of("", "198.51.100.1", trusted_proxies=networks) == expected

    def test_unreadable_network_is_an_error_of_the_site(self):
        """A misspelt network is said, not skipped."""
        with pytest.raises(ImproperlyConfigured, match=r"10\.0\.0\.0/40"):
            ip_of(PROXY, "198.51.100.1", trusted_proxies=["10.0.0.0/40"])


class TestForwardedHeader:
    conf = {"trusted_proxies": 1, "client_ip_header": "Forwarded"}

    @pytest.mark.parametrize(
        ("forwarded", "expected"),
        [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ('For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
            ("proto=https; for = 192.0.2.43:47011", "192.0.2.43"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            ("for=unknown", PROXY),
            ("for=_gazonk", PROXY),
            ("proto=https", PROXY),
            ("xfor=192.0.2.43", PROXY),
        ],
    )
    def test_examples(self, forwarded, expected):
        """RFC 7239 names the client in the ``for`` parameter."""
        assert ip_of(PROXY, forwarded, header="FORWARDED", **self.conf) == expected

    @given(anything, outside)
    def test_client_cannot_choose_its_address(self, claimed, client):
        """Not even an open quotation mark hides what our proxy appended."""
        forwarded = f"{claimed}, for={client}"

        assert ip_of(PROXY, forwarded, header="FORWARDED", **self.conf) == client


def test_underscore_twin_is_ignored_under_asgi():
    """A header spelt with underscores isn't the one our proxy wrote."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "client": (PROXY, 1234),
        "headers": [
            (b"x-forwarded-for", b"198.51.100.1"),
            (b"x_forwarded_for", b"192.0.2.66"),
        ],
    }

    with secure(trusted_proxies=1):
        assert identify(ASGIRequest(scope, None)).ip == "198.51.100.1"


class TestCustomCallable:
    def test_answer_is_used(self):
        """CLIENT_IP decides, and its answer is spelt like any other."""
        assert ip_of(client_ip=lambda request: "[2001:DB8::1]:443") == "2001:db8::1"

    def test_dotted_path(self):
        """CLIENT_IP may be named."""
        assert ip_of(client_ip=f"{__name__}.address_for_tests") == "192.0.2.99"

    def test_none_means_nobody(self):
        """The callable may say that the client is unknown."""
        assert ip_of(client_ip=lambda request: None) is None

    def test_error_falls_back(self, caplog):
        """A broken callable costs a line in the log, never the request."""

        def broken(request):
            raise KeyError("a\r\nFAKE")

        assert ip_of(PROXY, client_ip=broken) == PROXY
        (record,) = caplog.records
        assert "KeyError" in record.getMessage()
        assert "FAKE" not in caplog.text

    @pytest.mark.parametrize("answer", ["nonsense", 17, ""])
    def test_nonsense_falls_back(self, answer, caplog):
        """An answer that is no address is not stored."""
        assert ip_of(PROXY, client_ip=lambda request: answer) == PROXY
        assert len(caplog.records) == 1


def address_for_tests(request):
    """Serve as a CLIENT_IP that is named by its path."""
    return "192.0.2.99"


class TestSpelling:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1\t", "192.0.2.1"),
            ("192.0.2.1:8080", "192.0.2.1"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ('"[2001:db8::1]:443"', "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::FFFF:c000:201", "192.0.2.1"),
        ],
    )
    def test_one_client_has_one_spelling(self, text, expected):
        """Port, brackets, zone and mapping are no part of an address."""
        assert str(parse_address(text)) == expected

    @pytest.mark.parametrize(
        "text",
        [
            None,
            b"192.0.2.1",
            3221225985,
            "",
            "unknown",
            "_hidden",
            "localhost",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.1.1",
            "0177.0.0.1",
            "192.0.2.1:port",
            "192.0.2.1%eth0",
            "192.0.2.1, 192.0.2.2",
            "192.0.2.1/24",
            "١٩٢.0.2.1",
            "2001:db8::1::2",
            "[2001:db8::1",
            "[]",
            "::1\x00",
            "192.0.2.1\r\nFAKE",
            "::1%" + "A" * 4000,
            "\ud800",
        ],
    )
    def test_junk_is_no_address(self, text):
        """What isn't an address is None, never an error."""
        assert parse_address(text) is None

    @given(anything, anything)
    def test_nothing_breaks_a_request(self, remote, forwarded):
        """Whatever arrives, the address fits its column and is an address."""
        found = ip_of(remote, forwarded, trusted_proxies=1)

        assert found is None or (len(found) <= 45 and ip_address(found))


class TestUserAgent:
    def clean(self, value):
        request = RequestFactory().get("/")
        request.META["HTTP_USER_AGENT"] = value
        return identify(request).user_agent

    def test_browser_is_kept(self):
        """An honest header is stored as it came."""
        assert self.clean(CHROME) == CHROME

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            ("a\x00b", "ab"),
            ("a\r\nFAKE", "aFAKE"),
            ("\x1b[31mred\x7f\x9b", "[31mred"),
            ("left\u202eright\u2028", "leftright"),
            ("bad \ud800 half", "bad ? half"),
            (b"bytes \xff", "bytes \ufffd"),
            ("Größe 中 😀", "Größe 中 😀"),
            ("  padded ", "padded"),
            (None, ""),
            (17, ""),
        ],
    )
    def test_hostile_bytes_are_harmless(self, sent, expected):
        """No control character, half character or direction mark gets through."""
        assert self.clean(sent) == expected

    def test_length_fits_the_column(self):
        """Ten thousand characters become 512."""
        assert self.clean("x" * 10_000) == "x" * 512

    @given(st.text(max_size=2000))
    def test_any_text_can_be_stored(self, sent):
        """The result is one printable line that encodes as UTF-8."""
        found = self.clean(sent)

        assert len(found) <= 512
        assert found.isprintable()
        assert found.encode().decode() == found


@pytest.mark.parametrize("make", [HttpRequest, object], ids=["bare", "no META"])
def test_request_without_meta(make):
    """A request made by hand has no client, and that is fine."""
    assert identify(make()) == ClientInfo(ip=None, user_agent="")


class TestLog:
    def test_control_characters_are_escaped(self, caplog):
        """A forged header can't begin a new line of the log."""
        ip_of(PROXY, "a\r\nFAKE LINE\x1b[2J", trusted_proxies=1)

        assert r"a\r\nFAKE LINE\x1b[2J" in caplog.text
        assert len(caplog.records[0].getMessage().splitlines()) == 1

    def test_length_is_bounded(self, caplog):
        """A long header doesn't fill the disk."""
        ip_of(PROXY, "x" * 60_000, trusted_proxies=1)

        assert len(caplog.records[0].getMessage()) < 400

    @pytest.mark.parametrize("mode", ["truncated", "hashed", "off"])
    def test_log_obeys_the_privacy_mode(self, mode, caplog):
        """An address that must not be stored is not logged either."""
        ip_of(PROXY, "198.51.100.23", trusted_proxies=2, ip_privacy=mode)

        assert "198.51" not in caplog.text
        assert "(withheld)" in caplog.text

    def test_logger_has_the_package_name(self, caplog):
        """Sites configure one logger for the whole package."""
        with caplog.at_level(logging.WARNING, logger="django_secure_sessions"):
            ip_of(PROXY, "junk", trusted_proxies=1)

        assert caplog.records[0].name == "django_secure_sessions"


class TestPrivacy:
    @pytest.mark.parametrize(
        ("mode", "remote", "expected"),
        [
            ("full", "198.51.100.23", "198.51.100.23"),
            ("truncated", "198.51.100.23", "198.51.100.0"),
            ("truncated", "2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            ("truncated", "::ffff:198.51.100.23", "198.51.100.0"),
            ("off", "198.51.100.23", None),
            ("trunkated", "198.51.100.23", None),
        ],
    )
    def test_modes(self, mode, remote, expected):
        """Each mode keeps what it names, and a misspelt one keeps nothing."""
        assert ip_of(remote, ip_privacy=mode) == expected

    def test_hash_is_stable_keyed_and_short(self):
        """The same address gives the same text under one key, another under another."""
        first = ip_of("198.51.100.23", ip_privacy="hashed")
        again = ip_of("198.51.100.23", ip_privacy="hashed")
        other = ip_of("198.51.100.24", ip_privacy="hashed")
        with override_settings(SECRET_KEY="another"):
            rekeyed = ip_of("198.51.100.23", ip_privacy="hashed")

        assert first == again
        assert len({first, other, rekeyed}) == 3
        assert first.startswith("h:")
        assert "198.51.100" not in first

    @given(addresses)
    def test_hash_fits_the_column(self, remote):
        """A hash is at most 45 characters and does not parse as an address."""
        found = ip_of(remote, ip_privacy="hashed")

        assert len(found) <= 45
        assert parse_address(found) is None

    @pytest.mark.parametrize("mode", ["full", "truncated", "hashed", "off"])
    def test_nobody_stays_nobody(self, mode):
        """Without an address there is nothing to hide."""
        assert ip_of("", ip_privacy=mode) is None


class TestClientChanged:
    def changed(self, stored, seen, mode="full"):
        with secure(ip_privacy=mode):
            return client_changed(self.client(stored), self.client(seen))

    def client(self, remote):
        request = RequestFactory().get("/")
        request.META["REMOTE_ADDR"] = remote
        return identify(request)

    @pytest.mark.parametrize("mode", ["full", "truncated", "hashed"])
    @pytest.mark.parametrize(
        ("stored", "seen", "expected"),
        [
            ("198.51.100.23", "198.51.100.23", False),
            ("198.51.100.23", "198.51.100.200", False),
            ("198.51.100.23", "198.51.101.23", True),
            ("198.51.100.23", "::ffff:198.51.100.23", False),
            ("2001:db8:1:2::3", "2001:db8:1:ffff::9", False),
            ("2001:db8:1:2::3", "2001:db8:2:2::3", True),
            ("198.51.100.23", "2001:db8::1", True),
            ("", "198.51.100.23", False),
            ("198.51.100.23", "", False),
        ],
    )
    def test_network_in_every_privacy_mode(self, stored, seen, expected, mode):
        """Another /24 or /48 is a change, whatever form of it was kept."""
        assert self.changed(stored, seen, mode) is expected

    @pytest.mark.parametrize(
        ("stored_mode", "seen_mode", "expected"),
        [
            ("hashed", "full", False),
            ("full", "hashed", False),
            ("off", "full", False),
            ("full", "off", False),
            ("truncated", "full", True),
        ],
    )
    def test_change_of_the_privacy_mode(self, stored_mode, seen_mode, expected):
        """What can't be compared is no change: a new mode logs nobody out."""
        with secure(ip_privacy=stored_mode):
            stored = self.client("198.51.100.23")
        with secure(ip_privacy=seen_mode):
            seen = self.client("192.0.2.1")

        assert client_changed(stored, seen) is expected

    def test_rotation_of_the_key(self):
        """Hashes under two keys can't be compared: a new key logs nobody out."""
        with secure(ip_privacy="hashed"):
            stored = self.client("198.51.100.23")
            with override_settings(SECRET_KEY="another"):
                seen = self.client("198.51.100.23")

        assert stored.ip != seen.ip
        assert client_changed(stored, seen) is False

    @pytest.mark.parametrize(
        ("stored", "seen", "expected"),
        [
            (FIREFOX.format(127), FIREFOX.format(140), False),
            (FIREFOX.format(127), CHROME, True),
            (CHROME, CHROME.replace("Windows NT 10.0", "X11; Linux"), False),
            (CHROME, CHROME + " Edg/126.0.0.0", True),
            ("curl/8.5.0", "curl/8.9.1", False),
            ("curl/8.5.0", CHROME, True),
            (CHROME, "", False),
            ("", CHROME, False),
        ],
    )
    def test_browser(self, stored, seen, expected):
        """Another browser is a change; a version, a system, or silence is not."""
        found = client_changed(
            ClientInfo(user_agent=stored), ClientInfo(user_agent=seen)
        )

        assert found is expected

    @given(stored_ips, anything, stored_ips, anything)
    def test_any_stored_text_can_be_compared(self, ip, user_agent, other, agent):
        """Rows written by other code, or by hand, break nothing."""
        stored, seen = ClientInfo(ip, user_agent), ClientInfo(other, agent)

        assert client_changed(stored, stored) is False
        assert client_changed(stored, seen) is client_changed(seen, stored)
