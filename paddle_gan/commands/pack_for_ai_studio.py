"""Pack a checkout as AI Studio takes it: a zip file that is unpacked in the home folder there.

It holds what is needed to train and to read, MNIST among it, and nothing of what was trained here. The same files give
the same zip file, byte by byte.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.commands.outputs import output_file
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.pack import PackConfig
from paddle_gan.config.paths import PROJECT
from paddle_gan.errors import UsageError
from paddle_gan.system.files import atomic_path

_NAME = "paddle_gan_for_ai_studio.zip"
# Patterns of what is packed, from the folder of the project.
_PACKED = (
    "README*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "CITATION.cff",
    "pyproject.toml",
    "requirements*.txt",
    "paddle_gan/**/*",
    "tools/*.py",
    "work/*.py",
    "work/*.ipynb",
    "docs/**/*",
)
# Folders of what programs leave behind.
_LEFT_OUT = {"__pycache__", ".ipynb_checkpoints"}
# The least date that a zip file can hold.
_DATE = (1980, 1, 1, 0, 0, 0)


def run(parsed: Parsed[PackConfig]) -> None:
    if not (PROJECT / "work" / "ConvBN.py").exists():
        raise UsageError("the notebooks are not here: an installed package cannot be packed, take the project's folder")
    out = output_file("--out", Path(parsed.options.out or _NAME), ".zip")
    count = pack(PROJECT, out)
    tell(f"{count} files in {out}, {out.stat().st_size / 2**20:.1f} MiB")
    tell("on AI Studio upload it, then in a terminal:")
    tell(f"  unzip -o {out.name} -d ~ && pip install -r ~/requirements-common.txt")


def pack(project: Path, out: Path) -> int:
    """Write the zip file and return the number of files in it."""
    files = sorted(packed(project))
    with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(project).as_posix(), _DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return len(files)


def packed(project: Path) -> Iterator[Path]:
    """The files that are packed."""
    for pattern in _PACKED:
        for path in project.glob(pattern):
            if path.is_file() and not _LEFT_OUT & set(path.relative_to(project).parts):
                yield path


PACK_FOR_AI_STUDIO = Command(
    name="pack_for_ai_studio",
    description="Pack the project with its notebooks as a zip file for AI Studio.",
    options=PackConfig,
    run=run,
    needs_paddle=False,
    examples={
        "": "a zip file to upload",
    },
)
