"""Names and addresses by which a service is reached, which of them mean this machine alone, and whom one stands for."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

HOST = re.compile(r"([a-z0-9_][a-z0-9_.-]*|\[[0-9a-f:.]+\])(:\d{1,5})?|[0-9a-f.]*(:[0-9a-f.]*){2,}", re.IGNORECASE)
"""A name or an address, with or without port."""
SITE = 64  # bits of an IPv6 address that one customer has


@lru_cache
def is_loopback(address: str) -> bool:
    """Return whether an address reaches this machine alone.

    >>> [is_loopback(address) for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "10.0.0.1", "")]
    [True, True, True, False, False, False]
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_loopback


@lru_cache
def is_local_name(name: str) -> bool:
    """Return whether a host name can mean this machine alone.

    >>> [is_local_name(name) for name in ("localhost", "127.0.0.1", "::1", "localhost.evil.example", "")]
    [True, True, True, False, False]
    """
    return name == "localhost" or is_loopback(name)


@lru_cache
def host_name(host: str) -> str:
    """Return the name in a Host header, without port, in small letters, without a final dot; "" where it is no name.

    >>> host_name("Movies.Example.:8000"), host_name("[::1]:8000"), host_name("::1"), host_name("localhost, evil")
    ('movies.example', '::1', '::1', '')
    """
    if not HOST.fullmatch(host):
        return ""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name = host if host.count(":") > 1 else host.partition(":")[0]
    return name.lower().removesuffix(".")


@lru_cache(10_000)
def client(address: str) -> str:
    """Return whom an address stands for: IPv6 addresses come by whole networks.

    >>> client("10.0.0.1"), client("2001:db8::1") == client("2001:db8::2")
    ('10.0.0.1', True)
    """
    return str(IPv6Network((address, SITE), strict=False)) if ":" in address and _is_plain(address) else address


def _is_plain(address: str) -> bool:
    try:
        return ip_address(address).version == 6 and "%" not in address and "." not in address
    except ValueError:
        return False
