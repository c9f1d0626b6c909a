"""The guards of a web server for this machine: which address it listens at, and which requests reach its application.

Applications are WSGI (PEP 3333). Not about what they show: nothing here knows any of them.
"""

import errno
import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Application = Callable[[dict[str, Any], Callable], Iterable[bytes]]

# Forms of a path that lead out of a folder: a part "..", a backslash, a zero byte.
_CLIMBS = re.compile(r"(^|/)\.\.(/|$)|[\\\0]")


class PortInUse(Exception):
    """The port cannot be listened at.

    Attributes:
        free: the next port that is free, 0 if there is none.
    """

    def __init__(self, free: int):
        super().__init__(f"the port is in use; {free} is free")
        self.free = free


def parse_address(host: str) -> Address:
    """The address for the option --host: an IP address, or "localhost"."""
    return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)


def shown_address(address: Address) -> str:
    """An address as it stands in a URL."""
    return f"[{address}]" if address.version == 6 else str(address)


def accepted_hosts(address: Address) -> set[str] | None:
    """The host names that requests to a server at `address` may be for; None for all.

    A page on the internet can let a name of its own point to 127.0.0.1, so that the browser of the user sends its
    requests here ("DNS rebinding"). Those requests carry that name. A server that other machines may reach is asked
    by names that are not known here.
    """
    return {"localhost", "127.0.0.1", "::1", str(address)} if address.is_loopback else None


def listen(address: Address, port: int) -> socket.socket:
    """A socket that listens at this address and port, and nowhere else.

    Args:
        address: of this machine.
        port: 0 lets the system choose one.

    Raises:
        PortInUse: another program listens there. OSError: the address is not one of this machine, and the like.
    """
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        return socket.create_server((str(address), port), family=family)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise PortInUse(next(_free_ports(family, str(address), port), 0)) from error


def _free_ports(family: socket.AddressFamily, address: str, after: int) -> Iterator[int]:
    for port in range(after + 1, 2**16):
        try:
            socket.create_server((address, port), family=family).close()
        except OSError:
            continue
        yield port


def guarded(application: Application, hosts: set[str] | None, content_policy: str | None = None) -> Application:
    """`application` behind checks of each request: it is for reading only, and serves one request at a time.

    Args:
        application: need not be safe for threads. A slow client does not hold up the others, because only the work of
            the application itself is done one request at a time.
        hosts: the host names that requests may be for, see `accepted_hosts`; None for all.
        content_policy: the Content-Security-Policy of every answer, or None.

    Returns:
        An application that answers other hosts with 403, methods other than GET and HEAD with 405, and paths or
        parameters that lead out of a folder with 404, without asking `application`.
    """
    one_at_a_time = threading.Lock()

    def guard(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        refusal = None
        if hosts and _host_name(environ) not in hosts:
            refusal = "403 Forbidden"
        elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            refusal = "405 Method Not Allowed"
        elif _climbs(environ):
            refusal = "404 Not Found"
        if refusal:
            start_response(refusal, [("Content-Type", "text/plain")])
            return [refusal.encode()]

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable:
            policy = [("Content-Security-Policy", content_policy)] if content_policy else []
            return start_response(status, [*headers, *policy], *error)

        with one_at_a_time:
            return application(environ, start)

    return guard


def _host_name(environ: dict[str, Any]) -> str | None:
    try:
        return urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname
    except ValueError:
        return None


def _climbs(environ: dict[str, Any]) -> bool:
    """Whether the path or a parameter has a form that leads out of a folder, also if it was encoded twice."""
    parameters = (value for _, value in parse_qsl(environ["QUERY_STRING"]))
    return any(_CLIMBS.search(unquote(text)) for text in (environ["PATH_INFO"], *parameters))
