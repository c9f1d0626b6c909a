"""What must be settled before Paddle is imported, the device, and the random seeds.

Not about training: nothing here knows what a network is.

Paddle loads MKL and a second OpenMP runtime. Left alone, both spin on the same cores, and on an AMD
processor this MKL takes its slowest path. The variables that change both are read once, when Paddle
is loaded; a value that the user has set is always kept.
"""

import os
import platform
import signal
import sys
import warnings
from pathlib import Path

# Paddle warns of these at import or in every training forward; neither is about the user's program.
_NOISE = ("No ccache found", "When training, we now always track global mean and variance")


def cpu_count() -> int:
    """Number of cores this process may use: its affinity, or less where a container limits it; its share if it is one of several."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup, or "max": no limit
        pass
    return max(1, cores // int(os.environ.get("PADDLE_LOCAL_SIZE", 1)))  # set by Paddle's launcher


# Where nothing can be found out of it.
_UNKNOWN_MEMORY = 4 << 30
# Limit, use, and the name in memory.stat of what is only a cache of files; cgroup version 2 and version 1.
_CGROUP_MEMORY = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def available_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that can be had at the moment: of the machine, or less where a container limits it."""
    try:
        available = 1024 * _numbers(meminfo)["MemAvailable:"]
    except (OSError, ValueError, KeyError):
        available = _UNKNOWN_MEMORY
    for limit, used, statistics, cache in _CGROUP_MEMORY:
        try:
            free = int((cgroup / limit).read_text()) - int((cgroup / used).read_text())
            available = min(available, max(0, free + _numbers(cgroup / statistics)[cache]))
        except (OSError, ValueError, KeyError):  # no such cgroup, or "max": no limit
            pass
    return available


def _numbers(path: Path) -> dict[str, int]:
    """The first number of each line by the word before it."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return {words[0]: int(words[1]) for words in lines if len(words) > 1}


def cpu_environment(cores: int, cpuinfo: str) -> dict[str, str]:
    """The environment in which Paddle is quickest on a CPU.

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
    """Let the C library keep what is freed for the next allocation instead of giving it back to the system.

    A training step allocates and frees the same megabytes for every feature map. Given back, they come
    as new pages each time, which takes a quarter of the time of a small network's step. What lies in one
    piece of more than 32 MiB, the most that the library allows, is given back as before.
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


# Whether Paddle was there before this package, so that the environment could not be set.
too_late = False


def prepare() -> None:
    """Set the process up for Paddle; without effect on what the user has set."""
    global too_late
    for message in _NOISE:
        warnings.filterwarnings("ignore", message=message)
    keep_freed_memory()
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()
    except OSError:
        cpuinfo = ""
    variables = cpu_environment(cpu_count(), cpuinfo)
    if "paddle" in sys.modules:
        too_late = any(name not in os.environ for name in variables)
        return
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def accept_sigterm() -> None:
    """Let SIGTERM end the process again, which `cli.main` holds back while Paddle may be imported."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def select_device(name: str) -> str:
    """Make `name` Paddle's device.

    Args:
        name: "auto" (a GPU where there is one), "cpu", "gpu" or "gpu:N". Of several processes each has a GPU of
            its own, which the launcher chooses.

    Returns:
        The device chosen: "cpu" or "gpu:N".

    Raises:
        UsageError: no such device here, or this build of Paddle cannot use it.
    """
    import paddle

    from paddle_gan.errors import UsageError

    # Paddle's own handlers print a C++ trace for a mere SIGTERM.
    paddle.disable_signal_handler()
    accept_sigterm()
    # Asked first: set_device("gpu") without a GPU ends the process, and cannot be caught.
    gpus = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    kind, _, index = name.partition(":")
    launched = paddle.distributed.ParallelEnv()
    if launched.world_size > 1 and index:
        raise UsageError(
            f"--device {name}: each process takes a GPU of its own; choose them with the launcher's --devices"
        )
    if name in ("auto", "gpu") and gpus:
        name = f"gpu:{launched.device_id}"
    elif name == "auto":
        name = "cpu"
    elif kind == "gpu" and (index.isdecimal() or not index):
        if not paddle.is_compiled_with_cuda():
            raise UsageError(
                f"--device {name}: this Paddle is built for the CPU; "
                "install requirements-gpu.txt in a fresh environment, or use --device cpu"
            )
        if int(index or 0) >= gpus:
            raise UsageError(f"--device {name}: Paddle sees {gpus} GPU(s) here; use --device cpu, or check the driver")
        name = f"gpu:{index or 0}"
    elif name != "cpu":
        raise UsageError(f"--device {name}: expected auto, cpu, gpu or gpu:N")
    paddle.set_device(name)
    if name != "cpu":
        _search_convolutions()
    return name


def _search_convolutions() -> None:
    """Let cuDNN find the quickest convolution of each shape by trying all, once, unless the user has settled it.

    What is asked to be deterministic cannot be searched for: Paddle refuses both together.
    """
    import paddle

    search, deterministic = "FLAGS_cudnn_exhaustive_search", "FLAGS_cudnn_deterministic"
    if search not in os.environ and not paddle.get_flags([deterministic])[deterministic]:
        paddle.set_flags({search: True})


def seed_all(purpose: str, *numbers: int) -> None:
    """Seed Paddle's random generators from a purpose and some integers, for example ("round", seed, step).

    The same arguments give the same stream, different ones give independent streams
    (`numpy.random.SeedSequence`), so that no two uses of one seed share their noise.
    """
    import numpy as np
    import paddle

    entropy = [int.from_bytes(purpose.encode(), "little"), *numbers]
    paddle.seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1))
