"""VisualDL's server, which shows the curves of training runs, for this machine only.

VisualDL 2.5.3 has no password. When it starts its own server, it reports its use to its makers, does not notice that a
port is in use, may listen at another address than it was told, and answers a browser in a language that it does not
know with status 500. Its front page opens the first page of an unordered set, which differs from start to start: that
of the curves, or that for uploading a graph. So its application is served here from a socket of this project, behind
the guards of `system.web`. No other module knows VisualDL's server and its options.
"""

import logging
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from paddle_gan.config.language import users_language
from paddle_gan.config.results import BoardConfig
from paddle_gan.errors import UsageError
from paddle_gan.system import web
from paddle_gan.system.files import writable_home
from paddle_gan.system.runtime import accept_sigterm

_LOG_FILES = "*vdlrecords*"
# The page loads everything from this server and sends nothing elsewhere. Its drawings need the other permissions.
_CONTENT_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"


def serve(folders: list[Path], config: BoardConfig, say: Callable[[str], None]) -> None:
    """Show the logs in and below `folders` until a signal ends the process.

    Args:
        folders: of runs, or of folders of runs; new runs appear by themselves.
        config: address, port and language.
        say: takes one line for the user at a time.

    Raises:
        UsageError: a folder without logs, an address that is not one of this machine, a port that is in use.
    """
    folders = [folder.absolute() for folder in folders]
    for folder in folders:
        if not any(folder.rglob(_LOG_FILES)):
            raise UsageError(f"{folder}: no logs of VisualDL in it; train first, or name the folder of a run")
    address = web.parse_address(config.host)
    try:
        listener = web.listen(address, config.port)
    except web.PortInUse as error:
        raise UsageError(
            f"port {config.port} is in use, maybe by another VisualDL; --port {error.free} is free"
        ) from error
    except OSError as error:
        raise UsageError(f"--host {address} --port {config.port}: {os.strerror(error.errno or 0)}") from error
    port = listener.getsockname()[1]
    os.chdir(os.path.commonpath([folder.parent for folder in folders]))  # VisualDL names runs by their paths from here
    accept_sigterm()

    with writable_home():
        from visualdl.server.app import create_app
        from visualdl.server.args import ParseArgs
        from visualdl.server.log import init_logger
        from werkzeug.serving import make_server

    init_logger(0)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each request
    names = [os.path.relpath(folder) for folder in folders]
    language = config.language or users_language(os.environ)
    application = create_app(ParseArgs(logdir=names, host=str(address), port=port, language=language, telemetry=False))
    # Ctrl-C ends the process at once: after a KeyboardInterrupt, a thread of VisualDL would keep it running for ever.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # VisualDL was not seen to follow paths out of its folders, but the guards do not rely on that.
    guarded = web.guarded(_opening_on_scalars(application), web.accepted_hosts(address), _CONTENT_POLICY)
    server = make_server(str(address), port, guarded, threaded=True, fd=listener.fileno())
    if not address.is_loopback:
        say(
            "notice: VisualDL has no password, so everyone who reaches this machine can read these logs; to use it "
            "alone, leave --host out and open a tunnel on the other machine: "
            f"ssh -L {port}:127.0.0.1:{port} THIS-MACHINE"
        )
    say(f"VisualDL: http://{web.shown_address(address)}:{port}  (Ctrl-C ends it)")
    server.serve_forever()


def _opening_on_scalars(application: web.Application) -> web.Application:
    """VisualDL's application, whose front page is that of the curves."""

    def front(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        if environ["PATH_INFO"].rstrip("/") not in ("", "/app", "/app/index"):
            return application(environ, start_response)
        query = environ.get("QUERY_STRING")
        start_response("302 Found", [("Location", f"/app/scalar?{query}" if query else "/app/scalar")])
        return []

    return front
