"""The folders of the project and of its results, and names for them that every system allows."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# In the project's own work/ in a checkout; in the current folder when the package is installed.
RUNS = (PROJECT if (PROJECT / "work" / "ConvBN.py").exists() else Path.cwd()) / "work" / "runs"
_MOST_BYTES = 200
# Windows takes these for devices, also with an extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?=\.|$)", re.IGNORECASE)


def legal_name(text: str) -> str:
    """`text` as the name of a file or folder that Linux, macOS and Windows allow; most names stay as they are.

    Windows allows none of `< > : " / \\ | ? *`, no control characters, no dot or space at the end, and no names of
    devices such as `con`. Systems allow 255 bytes; a longer name is cut, so that something can follow it.
    """
    name = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", text)
    while len(name.encode(errors="replace")) > _MOST_BYTES:
        name = name[:-1]
    name = name.rstrip(". ")
    return _RESERVED.sub(r"\1_", name, count=1) if _RESERVED.match(name) else name or "_"
