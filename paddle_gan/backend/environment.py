"""What the last bits of a result depend on beside the program: versions, device, threads, kernels."""

import os
import platform

import numpy as np
import paddle

from paddle_gan.backend import kernels
from paddle_gan.system import parallel
from paddle_gan.system.runtime import cpu_count


def environment() -> dict[str, str | int]:
    """Name and value of each; a checkpoint and an exported program record them."""
    return {
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "device": paddle.get_device(),
        "processor": platform.machine(),
        "threads": cpu_count(),
        "processes": parallel.world_size(),
        "convolutions": kernels.implementation(),
        **{name: os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MKL_DEBUG_CPU_TYPE")},
    }
