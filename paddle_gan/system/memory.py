"""How much memory is free, and how much was used; Python's collector of garbage. Not about the memory of a GPU."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Taken where the system does not tell.
_UNKNOWN_MEMORY = 4 << 30
# Files of the limit and of the use, and the name in memory.stat of what is only a cache of files; cgroup version 2 and
# version 1.
_CGROUP_MEMORY = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def available_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that are free at the moment: on the machine, or fewer where a container limits them."""
    try:
        available = 1024 * _numbers(meminfo)["MemAvailable:"]
    except (OSError, ValueError, KeyError):
        available = _UNKNOWN_MEMORY
    for limit, used, statistics, cache in _CGROUP_MEMORY:
        try:
            free = _number(cgroup / limit) - _number(cgroup / used)
            available = min(available, max(0, free + _numbers(cgroup / statistics)[cache]))
        except (OSError, ValueError, KeyError):  # no such cgroup, or "max": no limit
            pass
    return available


def peak_memory(status: Path = Path("/proc/self/status")) -> int | None:
    """The most bytes of memory that this process has held at once; None where the system does not tell."""
    try:
        return 1024 * _numbers(status)["VmHWM:"]
    except (OSError, ValueError, KeyError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _numbers(path: Path) -> dict[str, int]:
    """The first number of each line that has one, by the word before it."""
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}


def _number(path: Path) -> int:
    return int(path.read_text(encoding="utf-8"))


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause the collector of garbage in cycles, while very many objects are made that stay.

    It would look at all of them again and again, which takes a fifth of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
