"""Who may come in at all: what the operator chose when starting the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matinee.errors import UsageError
from matinee.live import LiveRatings
from matinee.live.identities import keys
from matinee.service.hosts import HOST, host_name, is_local_name

DEFAULT_RATE = 100  # requests per second and client, in each worker


@dataclass(frozen=True)
class Policy:
    """The choices of an operator.

    no_auth         every client has full access
    behind_proxy    how many proxies stand before it, whose word on client, scheme, host and prefix is taken
    allowed_hosts   names under which it may be asked, besides local ones; without any, every name
    rate_limit      requests per second and client, in each worker

    Raises UsageError for an invalid value.
    """

    no_auth: bool = False
    behind_proxy: int = 0
    allowed_hosts: tuple[str, ...] = ()
    rate_limit: float = DEFAULT_RATE

    def __post_init__(self) -> None:
        if self.behind_proxy < 0:
            raise UsageError(f"--behind-proxy must be 0 or more, not {self.behind_proxy}")
        if not self.rate_limit > 0:
            raise UsageError(f"--rate-limit must be more than 0, not {self.rate_limit:g}")
        for name in self.allowed_hosts:
            if not HOST.fullmatch(name.strip()):
                raise UsageError(f"--allowed-hosts: {name!r} is not a host name; write names such as films.example.org")
        names = tuple(host_name(name.strip()) for name in self.allowed_hosts)
        object.__setattr__(self, "allowed_hosts", names)  # JSON made a list of it on its way to a worker

    def check_host(self, environ: Mapping[str, Any]) -> None:
        """Raise UsageError for a request under a name that is not ours, or under what is no name at all."""
        host = environ.get("HTTP_HOST", "")
        if host and not host_name(host):
            raise UsageError(f"Host is {host[:80]!r}; it should be a name or an address, such as films.example.org")
        if self.allowed_hosts:
            name = host_name(host)
            if name not in self.allowed_hosts and not is_local_name(name):
                raise UsageError(f"the host {name[:80]!r} is not one of this service; add it to --allowed-hosts")

    def check_safe(self, host: str, live: LiveRatings) -> None:
        """Raise UsageError where others than programs of this machine could ask, and no key keeps them out."""
        reachable = self.behind_proxy or not is_local_name(host_name(host))
        if reachable and not self.no_auth and not keys(live):
            where = "behind a proxy" if self.behind_proxy else f"on {host or 'all addresses'}"
            raise UsageError(
                f"{where} other machines can connect, and there is no API key: make one with `matinee key create`, "
                "or give every client full access with --no-auth"
            )


DEFAULT_POLICY = Policy()
