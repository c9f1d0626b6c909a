"""The machine, on which figures of speed depend: the processor, and how much of it this process may use."""

import os
import platform
from pathlib import Path
from typing import Any

from paddle_gan.system.runtime import cpu_count

_CPUS = Path("/sys/devices/system/cpu")


def machine() -> dict[str, Any]:
    """Processor, cores, system, and the load of the last minute: on a busy machine, figures of speed mean little."""
    return {
        "processor": processor(),
        "cores": cpu_count(),
        "physical_cores": physical_cores(),
        "system": platform.platform(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def processor() -> str:
    """The name of the processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def physical_cores() -> int:
    """Number of cores that this process may use; the two threads of one core count as one."""
    try:
        cpus = os.sched_getaffinity(0)
        siblings = [_CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list" for cpu in cpus]
        cores = {path.read_text(encoding="utf-8") for path in siblings}
    except (AttributeError, OSError):  # not Linux
        return cpu_count()
    return min(len(cores), cpu_count())
