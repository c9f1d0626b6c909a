"""The worker of this project: its training, the parts of it, and the matrix product."""

import itertools
import platform
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from turns import Work, serve, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import paddle_gan  # before paddle
from paddle_gan.config.sizes import sides
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
    from paddle_gan.datasets import ImageSet, load_dataset
    from paddle_gan.inference.sampling import generate
    from paddle_gan.runs.building import batch_feed, build
    from paddle_gan.runs.resolve import resolve
    from paddle_gan.system.device import select_device
    from paddle_gan.training.noise_to_image import discriminator_step, generator_step

    given = TrainConfig(**case["options"])
    device = select_device(given.device)
    config = resolve(given, device).config
    height, width = sides(config.image_size)
    image_shape = (config.channels, height, width)
    if case["images"]:
        shape = (case["images"], *image_shape)
        data = ImageSet("noise", np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    else:
        data = load_dataset(config.dataset, config.image_size, config.channels)
    task = build(config, classes=0)
    for player in task.players.values():
        player.network.train()
    batches = _open_feeds.enter_context(batch_feed(config, data, task))
    real = batches(0).images
    latents = paddle.randn([config.batch_size, task.generator.network.latent_dim])
    side = _PRODUCT_SIZE[device.partition(":")[0]]
    factors = paddle.randn([2, side, side])
    numbers = itertools.count()
    actions = {
        "round": lambda: task.round(batches, config.seed),
        "discriminator step": lambda: discriminator_step(task, real, None, latents),
        "generator step": lambda: generator_step(task, None, latents, real),
        "sampling": lambda: list(generate(task.sampler, case["samples"], config.seed)),
        "batch": lambda: batches(next(numbers)),
        "product": lambda: paddle.matmul(factors[0], factors[1]),
    }
    for _ in range(_WARM_UP):
        actions["round"]()
    about = {
        "options": asdict(config),
        "data": data.name,
        "device": device,
        "device_name": paddle.device.cuda.get_device_name() if device != "cpu" else None,
        "operations": operations(task, config.batch_size, image_shape) | {"product": 2 * factors.shape[1] ** 3},
        "versions": {
            "paddle_gan": paddle_gan.__version__,
            "paddle": paddle.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "environment": settings(),
    }
    if device == "cpu":
        return Work(about, actions)
    return Work(
        about, actions, synchronise=paddle.device.synchronize, device_peak=paddle.device.cuda.max_memory_allocated
    )


if __name__ == "__main__":
    serve(prepare)
