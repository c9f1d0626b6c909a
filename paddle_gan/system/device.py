"""The device that Paddle computes on: a CPU or a GPU. Not about threads: see `runtime`."""

import os

from paddle_gan.errors import UsageError
from paddle_gan.system.runtime import accept_sigterm


def select_device(name: str) -> str:
    """Make `name` Paddle's device.

    Args:
        name: "auto" (a GPU if there is one), "cpu", "gpu" or "gpu:N". If several processes train together, each has a
            GPU of its own, which the launcher chooses.

    Returns:
        The chosen device: "cpu" or "gpu:N".

    Raises:
        UsageError: there is no such device, or this build of Paddle cannot use it.
    """
    import paddle

    # Paddle's own handlers print a C++ trace at a plain SIGTERM.
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


def on_gpu() -> bool:
    """Whether Paddle computes on a GPU."""
    import paddle

    return paddle.get_device().startswith("gpu")


def wait_for_device() -> None:
    """Wait until a GPU has done what it was given; a CPU has."""
    import paddle

    if on_gpu():
        paddle.device.synchronize()


def _search_convolutions() -> None:
    """Let cuDNN try all its algorithms once for each shape of convolution, unless the user has decided about this.

    Paddle refuses this search together with the deterministic algorithms.
    """
    import paddle

    search, deterministic = "FLAGS_cudnn_exhaustive_search", "FLAGS_cudnn_deterministic"
    if search not in os.environ and not paddle.get_flags([deterministic])[deterministic]:
        paddle.set_flags({search: True})
