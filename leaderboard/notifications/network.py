"""Connections to URLs that users provide: only to public addresses, and with a time limit.

The check happens where the socket is opened, on the resolved address that is then connected to, so a name that
resolves differently a moment later (DNS rebinding) cannot slip through.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore

# All of IANA's special-purpose registries, also what they call globally reachable, and multicast. Python's own
# tables differ from release to release. 6to4, Teredo and NAT64 embed an IPv4 address that may be private.
SPECIAL = [
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
        "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
    )
]  # fmt: skip
# The only IPv6 addresses that are assigned for the internet at large: not ::1, 64:ff9b:1::, 5f00::, fec0::, …
UNICAST = ipaddress.ip_network("2000::/3")


class Forbidden(Exception):
    """The name resolves to an address in a private network, or not at all."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to some machine on the internet, and to no special-purpose network."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return is_public(str(ip.ipv4_mapped))
        if ip not in UNICAST:
            return False
    return not any(ip in network for network in SPECIAL)


def public_address(host: str, port: int) -> str:
    """The address to connect to.

    Raises:
        Forbidden: any of the name's addresses is not public.
        OSError: the name does not resolve.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise Forbidden(host)
    return addresses[0]


class Guarded(httpcore.NetworkBackend):
    """httpcore's network backend with two guards: public addresses only, and one deadline for everything."""

    def __init__(self, seconds: float, *, private: bool = False) -> None:
        self.deadline = time.monotonic() + seconds
        self.private = private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            address = host if self.private else public_address(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} does not resolve") from error
        stream = httpcore.SyncBackend().connect_tcp(address, port, self._left(), local_address)
        return _Timed(stream, self)

    def _left(self) -> float:
        """Seconds left; a socket's own timeout would restart with every byte that trickles in."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("took too long")
        return left


class _Timed(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, guard: Guarded) -> None:
        self.stream, self.guard = stream, guard

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, self.guard._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, self.guard._left())

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self.stream.start_tls(ssl_context, server_hostname, self.guard._left())
        return _Timed(inner, self.guard)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)
