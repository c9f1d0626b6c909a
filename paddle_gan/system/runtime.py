"""What must be settled before Paddle is imported: its threads, its matrix library, its memory, and one signal.

Not about training: nothing here knows what a network is. Not about the device either: see `device`.

Paddle loads MKL and a second OpenMP runtime. With their default settings both spin on the same cores, and on an AMD
processor this MKL takes its slowest path. Paddle reads the variables that change both only once, when it is imported. A
value that the user has set is always kept.
"""

import os
import platform
import signal
import sys
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

# The environment as the user gave it, before `prepare` adds to it: for processes that set themselves up.
ENVIRONMENT: Mapping[str, str] = MappingProxyType(dict(os.environ))

# Paddle warns of these at its import or in every forward pass in training; neither is about the user's program.
_NOISE = ("No ccache found", "When training, we now always track global mean and variance")


def cpu_count() -> int:
    """Number of cores that this process may use.

    These are the cores of its affinity, or fewer where a container limits them; one of several processes of a training
    run has its share of them.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup, or "max": no limit
        pass
    return max(1, cores // int(os.environ.get("PADDLE_LOCAL_SIZE", 1)))  # set by Paddle's launcher


def cpu_environment(cores: int, cpuinfo: str) -> dict[str, str]:
    """The environment in which Paddle is fastest on a CPU.

    Args:
        cores: threads for MKL.
        cpuinfo: text of `/proc/cpuinfo`, or "" where there is none.

    Returns:
        Variables to set before Paddle is imported.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return {}  # no MKL there
    variables = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": str(cores)}
    fields = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    if fields.get("vendor_id") == "AuthenticAMD":
        flags = fields.get("flags", "").split()
        if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(flags):
            variables["MKL_DEBUG_CPU_TYPE"] = "7"
        elif "avx2" in flags:
            variables["MKL_DEBUG_CPU_TYPE"] = "5"
    return variables


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next allocation instead of returning it to the system.

    A training step allocates and frees the same megabytes for every feature map. If they are returned, they come back
    as new pages each time, which takes a quarter of the time of a small network's step. Blocks of more than 32 MiB, the
    most that the library allows, are still returned.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    import ctypes

    trim_threshold, mmap_threshold = -1, -3  # of mallopt(3)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 2**31 - 1)


@cache
def prepare() -> tuple[str, ...]:
    """Set the process up for Paddle, once; what the user has set is kept.

    Returns:
        Names of the variables that could not be set, because Paddle was imported before this package.
    """
    for message in _NOISE:
        warnings.filterwarnings("ignore", message=message)
    keep_freed_memory()
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        cpuinfo = ""
    missing = {name: value for name, value in cpu_environment(cpu_count(), cpuinfo).items() if name not in os.environ}
    if "paddle" in sys.modules:
        return tuple(missing)
    os.environ.update(missing)
    os.environ.setdefault("GLOG_minloglevel", "2")  # Paddle's log: errors, not notes about its inner workings
    return ()


def hold_sigterm() -> None:
    """Hold SIGTERM back until `accept_sigterm`.

    Paddle's import sets a handler of its own for this signal, in which the process may hang for ever.
    """
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def accept_sigterm() -> None:
    """Let SIGTERM end the process again, also one that came meanwhile."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
