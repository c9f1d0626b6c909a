"""Fetching one file over HTTP: with a time-out, to a partial name, renamed when whole."""

import http.client
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from paddle_gan.errors import DataError
from paddle_gan.system.files import atomic_path

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
    with _open(url) as response, atomic_path(path) as temporary:
        with open(temporary, "wb") as file:
            for chunk in _chunks(response, url):
                file.write(chunk)
        check(temporary)


def _open(url: str) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS)
    except (OSError, http.client.HTTPException) as error:
        raise _failed(url, error) from error


def _chunks(response: http.client.HTTPResponse, url: str) -> Iterator[bytes]:
    """The body piece by piece; what goes wrong here is the network's fault, not the disk's."""
    received = 0
    try:
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _failed(url, error) from error
    announced = response.headers.get("Content-Length")
    if announced and received != int(announced):
        raise DataError(f"{url}: the connection ended after {received} of {announced} bytes; try again")


def _failed(url: str, error: Exception) -> DataError:
    return DataError(f"{url}: cannot be downloaded ({error}); fetch it by other means and use --data-dir")
