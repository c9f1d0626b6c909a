"""The file of results of a study of several seeds: what is finished, and the settings it was made with."""

import json
from pathlib import Path
from typing import Any

from paddle_gan.errors import UsageError
from paddle_gan.system.files import write_text


def read_results(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The finished seeds in the file `path`; none if there is no file.

    Raises:
        UsageError: they were run with other settings, or it is no file of results.
    """
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        theirs, seeds = content["settings"], content["seeds"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); remove it, or name another folder with --out") from error
    different = [f"{key} {theirs.get(key)} -> {value}" for key, value in settings.items() if theirs.get(key) != value]
    if different:
        raise UsageError(f"{path.parent} holds other results ({', '.join(different)}); name another folder with --out")
    return seeds


def write_results(path: Path, settings: dict[str, Any], seeds: list[dict[str, Any]], **more: Any) -> None:
    """Write the file that `read_results` reads, with further entries for people and programs."""
    write_text(path, json.dumps({"settings": settings, "seeds": seeds, **more}, indent=2) + "\n")
