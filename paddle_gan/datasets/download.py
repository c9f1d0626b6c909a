"""Fetching one file over HTTP: with a time-out, to a partial name, renamed when whole."""

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from paddle_gan.errors import DataError
from paddle_gan.files import atomic_path

_TIMEOUT_SECONDS = 20
_CHUNK = 1 << 16


def download(url: str, path: Path, check: Callable[[Path], object]) -> None:
    """Fetch `url` to `path`; what is written there is whole or not there.

    The time-out is on every wait for the server, not on the whole transfer.

    Args:
        url: of the file.
        path: where it is put.
        check: called with the partial file before it is put there; raises what is wrong with it.

    Raises:
        DataError: no connection, an HTTP error, or fewer bytes than the server announced.
        DiskError: `path` cannot be written.
    """
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response, atomic_path(path) as temporary:
            received = 0
            with open(temporary, "wb") as file:
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                    received += len(chunk)
            announced = response.headers.get("Content-Length")
            if announced and received != int(announced):
                raise DataError(f"{url}: the connection ended after {received} of {announced} bytes; try again")
            check(temporary)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise DataError(f"{url}: cannot be downloaded ({error}); fetch it by other means and use --data-dir") from error
