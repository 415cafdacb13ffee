"""
Who sent a request: address and user agent, as far as the server may believe them.

A forwarding header is begun by the client and continued by each proxy, so only its
right end is evidence, and only as many entries of it as there are proxies of ours.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from .conf import conf
from .state import ClientInfo
from .user_agents import browser

logger = logging.getLogger("django_secure_sessions")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Characters. The longest honest spelling, with zone and port, is far shorter.
ADDRESS_LENGTH = 128
# Characters: the width of the columns that store it.
USER_AGENT_LENGTH = 512
# Bits: what one customer of a provider usually keeps when the address moves.
PREFIX_LENGTHS = {4: 24, 6: 48}
# A Unix socket has no address; whoever speaks through it is on this machine.
LOOPBACK = ip_address("127.0.0.1")

BRACKETED = re.compile(r"\[([^\]]*)\](?::\d{1,5})?")
WITH_PORT = re.compile(r"([\d.]+):\d{1,5}", re.ASCII)
FORWARDED_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;\s]*)', re.IGNORECASE)


def identify(request: HttpRequest) -> ClientInfo:
    """
    Return the client of a request, after the privacy mode was applied.

    Never raises for what a client or a proxy sent: what can't be read is ``None``,
    or the address of the nearest peer, with a line in the log.
    """
    meta: Mapping[str, Any] = getattr(request, "META", {})
    return ClientInfo(
        ip=_apply_privacy(_client_address(request, meta), conf.ip_privacy),
        user_agent=clean_user_agent(meta.get("HTTP_USER_AGENT", "")),
    )


def client_changed(stored: ClientInfo, seen: ClientInfo) -> bool:
    """
    Return whether a session's client is no longer the one it was.

    Changed means: another network (/24 or /48), or another browser. A newer version
    is no change. What is unknown on either side, or not comparable because the
    privacy mode or the secret key was changed in between, never counts.
    """
    return _differ(_network_of(stored.ip), _network_of(seen.ip)) or _differ(
        browser(stored.user_agent), browser(seen.user_agent)
    )


def parse_address(value: object) -> Address | None:
    """
    Return the address in a text, or ``None`` if there is none.

    Port, brackets and zone are dropped, and an IPv4 address mapped into IPv6 is the
    IPv4 address: one client has one spelling.
    """
    if not isinstance(value, str) or len(value) > ADDRESS_LENGTH:
        return None
    text = value.strip().strip('"')
    if match := BRACKETED.fullmatch(text) or WITH_PORT.fullmatch(text):
        text = match.group(1)
    if ":" in text:
        text = text.partition("%")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_within(stored: str | None, network: Network) -> bool:
    """
    Return whether an address, as the privacy mode stored it, belongs to a network.

    A truncated address stands for all of its /24 or /48. A hashed one is only found
    by itself or by its whole /24 or /48; raise ``ValueError`` for other networks.
    """
    if stored is None:
        return False
    if stored.startswith("h:"):
        wanted = _hashed(network.network_address)
        if network.prefixlen == network.max_prefixlen:
            return stored == wanted
        if network.prefixlen == PREFIX_LENGTHS[network.version]:
            return stored.rpartition(":")[0] == wanted.rpartition(":")[0]
        raise ValueError("hashed addresses can't be compared with this network")
    address = parse_address(stored)
    if address is None or address.version != network.version:
        return False
    if conf.ip_privacy == "truncated" and _prefix(address)[0] == address:
        return _prefix(address).overlaps(network)
    return address in network


def clean_user_agent(value: object) -> str:
    """Return a User-Agent that any database and any log line can hold."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    text = value[: 2 * USER_AGENT_LENGTH].encode("utf-8", "replace").decode()
    if not text.isprintable():
        text = "".join(character for character in text if character.isprintable())
    return text[:USER_AGENT_LENGTH].strip()


def _client_address(request: HttpRequest, meta: Mapping[str, Any]) -> Address | None:
    custom = conf.client_ip
    if custom is not None:
        try:
            answer = custom(request)
        except Exception as error:
            # No message and no traceback: both may quote what the client sent.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            logger.error(
                "CLIENT_IP raised %s at %s:%s; the default is used.",
                type(error).__name__,
                frame.filename,
                frame.lineno,
            )
        else:
            address = parse_address(answer)
            if address is not None or answer is None:
                return address
            _warn("CLIENT_IP", "returned no address", answer)
    return _believed_address(meta)


def _believed_address(meta: Mapping[str, Any]) -> Address | None:
    peer = parse_address(meta.get("REMOTE_ADDR"))
    proxies = conf.trusted_proxies
    if not proxies:
        return peer
    name = conf.client_ip_header
    chain = _chain(name, meta.get(f"HTTP_{name.upper().replace('-', '_')}"))
    if isinstance(proxies, int):
        return _counted(chain, proxies, peer, name)
    networks = _networks((proxies,) if isinstance(proxies, str) else tuple(proxies))
    return _walked(chain, networks, peer, name)


def _chain(name: str, value: str | None) -> list[str]:
    """
    Return the entries of a forwarding header, the client's own first.

    Split at every comma, even inside the quotes that ``Forwarded`` allows: else a
    quotation mark opened by the client would swallow what our proxies appended.
    """
    if not value:
        return []
    entries = value.split(",")
    if name.lower() != "forwarded":
        return entries
    return [
        match.group(1) if (match := FORWARDED_FOR.search(entry)) else ""
        for entry in entries
    ]


def _counted(
    chain: list[str], count: int, peer: Address | None, name: str
) -> Address | None:
    if count < 1:
        return peer
    if len(chain) < count:
        _warn(name, f"has fewer entries than the {count} trusted proxies", chain)
        return peer
    address = parse_address(chain[-count])
    if address is None:
        _warn(name, "has no address where the client's belongs", chain[-count])
        return peer
    return address


def _walked(
    chain: list[str], networks: tuple[Network, ...], peer: Address | None, name: str
) -> Address | None:
    client, nearest = peer, peer or LOOPBACK
    for hop in reversed(chain):
        if not any(nearest in network for network in networks):
            break
        address = parse_address(hop)
        if address is None:
            _warn(name, "has no address where a trusted proxy wrote one", hop)
            return peer
        client = nearest = address
    return client


@lru_cache(maxsize=8)
def _networks(spelled: Sequence[str]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(network, strict=False) for network in spelled)
    except ValueError as error:
        raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}") from error


def _warn(source: str, problem: str, value: object) -> None:
    # A log is a store too: the value, which holds addresses, obeys the same mode.
    shown = ascii(value)[:200] if conf.ip_privacy == "full" else "(withheld)"
    logger.warning("%s %s, REMOTE_ADDR is used: %s", source, problem, shown)


def _apply_privacy(address: Address | None, mode: str) -> str | None:
    if address is None:
        return None
    if mode == "full":
        return str(address)
    if mode == "truncated":
        return str(_prefix(address).network_address)
    if mode == "hashed":
        return _hashed(address)
    # "off", and any misspelling: an error must not store more than was meant.
    return None


def _prefix(address: Address) -> Network:
    return ip_network((address, PREFIX_LENGTHS[address.version]), strict=False)


def _hashed(address: Address) -> str:
    """
    Return ``h:<key>:<network>:<address>``, 40 characters, keyed by ``SECRET_KEY``.

    The network has its own digest, so that a client who moves within it can be told
    from one who left it. The key's tag tells digests of different keys apart: after
    a rotation they can't be compared.
    """

    def digest(label: str, value: str, length: int) -> str:
        salt = f"django_secure_sessions.client.{label}"
        return salted_hmac(salt, value, algorithm="sha256").hexdigest()[:length]

    return ":".join(
        (
            "h",
            digest("key", "", 4),
            digest("network", str(_prefix(address)), 16),
            digest("address", str(address), 16),
        )
    )


def _network_of(ip: str | None) -> tuple[str, str] | None:
    """Return what is comparable, and the network in those terms."""
    if ip is None:
        return None
    if ip.startswith("h:"):
        key, _, digests = ip[2:].partition(":")
        return key, digests.partition(":")[0]
    address = parse_address(ip)
    return ("plain", str(_prefix(address))) if address else None


def _differ(stored: Any, seen: Any) -> bool:
    if not stored or not seen:
        return False
    if isinstance(stored, tuple) and stored[0] != seen[0]:
        return False
    return bool(stored != seen)
