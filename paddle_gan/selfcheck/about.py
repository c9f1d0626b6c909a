"""What stands at the top of the page: versions, processor, device, threads, and which kernels compute."""

import os
import platform
from importlib import metadata
from typing import Any

import paddle

import paddle_gan
from paddle_gan.backend import dnnl, kernels
from paddle_gan.backend.precision import can_round
from paddle_gan.bench.machine import machine
from paddle_gan.selfcheck.exactness import uses_winograd
from paddle_gan.system.memory import available_memory

_DISTRIBUTIONS = ("numpy", "pillow", "scipy", "matplotlib", "safetensors", "visualdl")
# Settings that decide which code computes, and with how many threads.
_SETTINGS = ("PADDLE_GAN_ONEDNN", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MKL_DEBUG_CPU_TYPE")


def about(device: str) -> dict[str, Any]:
    """Versions, machine, device and kernels, for JSON."""
    is_cpu = device == "cpu"
    found = dnnl.available()
    return {
        "versions": {
            "paddle_gan": paddle_gan.__version__,
            "python": platform.python_version(),
            "paddle": paddle.__version__,
            **{name: _version(name) for name in _DISTRIBUTIONS},
        },
        "machine": machine() | {"free_memory": available_memory()},
        "device": device,
        "device_name": None if is_cpu else paddle.device.cuda.get_device_name(),
        "settings": {name: os.environ[name] for name in _SETTINGS if name in os.environ},
        "onednn": {
            "found": found,
            "version": dnnl.version() if found else None,
            "instructions": dnnl.instruction_set() if found else None,
            "used": is_cpu and kernels.available(),
        },
        "winograd": is_cpu and kernels.available() and uses_winograd(),
        "bfloat16": can_round() if is_cpu else paddle.amp.is_bfloat16_supported(),
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
