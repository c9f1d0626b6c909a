"""The worker of this project: its training, the parts of it, and the matrix product."""

import itertools
import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

from turns import Work, resident, serve, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import paddle_gan  # before paddle
from paddle_gan.config.train import TrainConfig

_PRODUCT_SIZE = {"cpu": 2048, "gpu": 8192}
# Rounds before the first measurement: libraries choose and compile code in the first ones.
_WARM_UP = 2
# Batch feeds stay open as long as the process.
_open_feeds = ExitStack()


def prepare(case: dict[str, Any]) -> Work:
    """Networks, optimisers and images of one case.

    Args:
        case: "options" of a TrainConfig; "images", the number of images of noise, which are used instead of a data set,
            or None for the data set; "samples", the number of samples that the action "sampling" generates.
    """
    import numpy as np
    import paddle

    from paddle_gan.bench.counting import operations
    from paddle_gan.bench.profiling import profile
    from paddle_gan.bench.rounds import rounds_of
    from paddle_gan.inference.sampling import generate
    from paddle_gan.system.device import select_device, wait_for_device
    from paddle_gan.training.noise_to_image import discriminator_step, generator_step

    given = TrainConfig(**case["options"])
    device = select_device(given.device)
    rounds = _open_feeds.enter_context(rounds_of(given, device, case["images"]))
    config, task, batches = rounds.config, rounds.task, rounds.batches
    device_peak = None if device == "cpu" else paddle.device.cuda.max_memory_allocated
    built = device_peak() if device_peak else resident()
    real = batches(0).images
    latents = paddle.randn([config.batch_size, task.generator.network.latent_dim])
    side = _PRODUCT_SIZE[device.partition(":")[0]]
    numbers = itertools.count()

    @cache
    def factors() -> paddle.Tensor:
        return paddle.randn([2, side, side])

    def play(source: Callable[[int], Any]) -> None:
        task.round(source, config.seed)

    actions = {
        "round": rounds.play,
        "discriminator step": lambda: discriminator_step(task, real, None, latents),
        "generator step": lambda: generator_step(task, None, latents, real),
        "sampling": lambda: list(generate(task.sampler, case["samples"], config.seed)),
        "batch": lambda: batches(next(numbers)),
        "product": lambda: paddle.matmul(*factors()),
    }
    for _ in range(_WARM_UP):
        actions["round"]()
    about = {
        "options": asdict(config),
        "data": rounds.data.name,
        "device": device,
        "device_name": paddle.device.cuda.get_device_name() if device != "cpu" else None,
        "operations": operations(task, config.batch_size, tuple(real.shape[1:])) | {"product": 2 * side**3},
        "versions": {
            "paddle_gan": paddle_gan.__version__,
            "paddle": paddle.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "environment": settings(),
        "built_bytes": built,
    }
    reports = {"profile": partial(profile, play, batches, config.penalty_every, wait=wait_for_device)}
    return Work(about, actions, wait_for_device, reports, device_peak)


if __name__ == "__main__":
    serve(prepare)
