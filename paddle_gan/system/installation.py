"""Whether the Paddle that is installed can be used, found out without importing it."""

import re
from collections.abc import Callable

from paddle_gan.errors import UsageError

_DISTRIBUTIONS = ("paddlepaddle", "paddlepaddle-gpu")
_OLDEST = 3
_HOW = "pip install paddlepaddle==3.3.1 for a CPU, requirements-gpu.txt for a GPU"


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    from importlib import metadata  # takes longer than --help should

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def importable() -> bool:
    """Whether there is a package `paddle`, whichever distribution it comes from."""
    from importlib.util import find_spec

    return find_spec("paddle") is not None


def check_paddle(
    version_of: Callable[[str], str | None] = installed_version, is_importable: Callable[[], bool] = importable
) -> None:
    """Refuse an environment without Paddle 3.

    Builds for other devices have other names of distributions, and their versions are not looked at.

    Args:
        version_of: version of an installed distribution, or None if it is not installed.
        is_importable: whether there is a package `paddle`.

    Raises:
        UsageError: Paddle is missing, is older than 3, or is installed twice.
    """
    found = {name: version for name in _DISTRIBUTIONS if (version := version_of(name))}
    if len(found) > 1:
        both = " and ".join(f"{name} {version}" for name, version in found.items())
        raise UsageError(
            f"{both} are both installed, and each overwrites the files of the other; "
            "make a fresh environment with one of them"
        )
    for name, version in found.items():
        if 0 < _major(version) < _OLDEST:  # 0.0.0 is a build from the development branch
            raise UsageError(f"paddle_gan needs Paddle 3, and {name} {version} is installed; {_HOW}")
    if not found and not is_importable():
        raise UsageError(f"paddle_gan needs Paddle 3, and no Paddle is installed; {_HOW}")


def _major(version: str) -> int:
    number = re.match(r"\d+", version)
    return int(number[0]) if number else _OLDEST
