"""The curves of runs in VisualDL's server, for this machine only.

VisualDL 2.5.3 has no password. By itself it reports its use, does not notice a busy port, may listen at another
address than it was told, and answers 500 to a browser of a language that it lacks. Here its application is served
from a socket of our own, behind `guarded`. The only module that knows VisualDL's server and its options.
"""

import errno
import ipaddress
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from paddle_gan.config.options import BoardConfig
from paddle_gan.errors import UsageError
from paddle_gan.system.runtime import accept_sigterm

_LOG_FILES = "*vdlrecords*"
_LANGUAGES = ("en", "zh")
# Of the page: everything from here, and nothing sent elsewhere. It needs the rest of these for its drawings.
_CONTENT_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
_CLIMBS = re.compile(r"(^|/)\.\.(/|$)|[\\\0]")

Application = Callable[[dict[str, Any], Callable], Iterable[bytes]]


def serve(folders: list[Path], config: BoardConfig, say: Callable[[str], None]) -> None:
    """Show the logs in and below `folders` until a signal ends the process.

    Args:
        folders: of runs, or of folders of runs; new runs appear by themselves.
        config: address, port and language.
        say: takes one line for the user at a time.

    Raises:
        UsageError: a folder without logs, an address that is not this machine's, a port in use.
    """
    folders = [folder.absolute() for folder in folders]
    for folder in folders:
        if not any(folder.rglob(_LOG_FILES)):
            raise UsageError(f"{folder}: no logs of VisualDL in it, train first, or name the folder of a run")
    address = ipaddress.ip_address("127.0.0.1" if config.host == "localhost" else config.host)
    listener = listen(address, config.port)
    port = listener.getsockname()[1]
    os.chdir(os.path.commonpath([folder.parent for folder in folders]))  # VisualDL names runs by their paths from here
    accept_sigterm()

    from visualdl.server.app import create_app
    from visualdl.server.args import ParseArgs
    from visualdl.server.log import init_logger
    from werkzeug.serving import make_server

    init_logger(0)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each request
    names = [os.path.relpath(folder) for folder in folders]
    language = config.language or users_language(os.environ)
    application = create_app(ParseArgs(logdir=names, host=str(address), port=port, language=language, telemetry=False))
    # At once and by itself: a thread of VisualDL's would outlive a KeyboardInterrupt for ever.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    hosts = {"localhost", "127.0.0.1", "::1", str(address)} if address.is_loopback else None
    server = make_server(str(address), port, guarded(application, hosts), threaded=True, fd=listener.fileno())
    if not address.is_loopback:
        say(
            f"notice: VisualDL has no password, so whoever reaches this machine can read these logs; for yourself alone "
            f"leave --host out, and on the other machine: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE"
        )
    shown = f"[{address}]" if address.version == 6 else address
    say(f"VisualDL: http://{shown}:{port}  (Ctrl-C ends it)")
    server.serve_forever()


def listen(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> socket.socket:
    """A socket that listens at this address and port and no other.

    Raises:
        UsageError: the port is in use, which names one that is not, or the address is not this machine's.
    """
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        return socket.create_server((str(address), port), family=family)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise UsageError(f"--host {address} --port {port}: {os.strerror(error.errno)}") from error
        free = next(_free_ports(family, str(address), port), 0)
        raise UsageError(f"port {port} is in use, maybe by another VisualDL; --port {free} is free") from error


def _free_ports(family: socket.AddressFamily, address: str, after: int) -> Iterator[int]:
    for port in range(after + 1, 2**16):
        try:
            socket.create_server((address, port), family=family).close()
        except OSError:
            continue
        yield port


def guarded(application: Application, hosts: set[str] | None) -> Application:
    """`application` for reading only, one request at a time, behind checks of each request.

    Args:
        application: VisualDL's, which was not seen to follow paths out of its folders but is not asked to either.
        hosts: names by which a browser may ask; a page elsewhere whose name was made to point here (DNS
            rebinding) asks by its own. None for any.
    """
    one_at_a_time = threading.Lock()  # its readers are not made for threads; slow clients wait outside

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
            return start_response(status, [*headers, ("Content-Security-Policy", _CONTENT_POLICY)], *error)

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


def users_language(environment: dict[str, str]) -> str:
    """VisualDL's language for a user's environment: zh for a Chinese locale, else en."""
    locales = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "zh" if next(filter(None, locales), "").startswith("zh") else "en"
