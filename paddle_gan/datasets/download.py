"""Download one file over HTTP, with a time-out. The file gets its name only when it is complete and checked."""

import http.client
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from paddle_gan.errors import DataError
from paddle_gan.system.files import atomic_path

TIMEOUT_SECONDS = 20
_CHUNK = 1 << 16


def download(url: str, path: Path, check: Callable[[Path], object]) -> None:
    """Download `url` to `path`. After an error there is no file at `path`, or the older one.

    The time-out is for every wait for the server, not for the whole download.

    Args:
        url: of the file.
        path: of the new file.
        check: called with the path of the temporary file before it gets its name; raises an error if it is wrong.

    Raises:
        DataError: no connection, an HTTP error, fewer bytes than the server announced, or an error of `check`.
        DiskError: `path` cannot be written.
    """
    with _open(url) as response, atomic_path(path) as temporary:
        with open(temporary, "wb") as file:
            for chunk in _chunks(response, url):
                file.write(chunk)
        check(temporary)


def _open(url: str) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS)
    except (OSError, http.client.HTTPException) as error:
        raise _failed(url, error) from error


def _chunks(response: http.client.HTTPResponse, url: str) -> Iterator[bytes]:
    """The body of the response in pieces. An error here is an error of the network, never a DiskError."""
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
    return DataError(
        f"{url}: cannot be downloaded ({error}); download it in another way and name its folder with --data-dir"
    )
