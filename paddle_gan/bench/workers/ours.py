"""This project's training, its parts and the matrix product, to be timed."""

import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from turns import Work, serve, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import paddle_gan  # before paddle
from paddle_gan.config.options import TrainConfig

_PRODUCT_SIZE = {"cpu": 2048, "gpu": 8192}
# Enough calls for whatever is chosen or compiled when something is run first.
_WARM_UP = 2
# For as long as the process.
_open = ExitStack()


def prepare(case: dict[str, Any]) -> Work:
    """Networks, optimisers and images of one case.

    Args:
        case: "options" of a TrainConfig; "images", the number of images of noise in place of a data set, or None.
    """
    import numpy as np
    import paddle
    from paddle.utils import unique_name

    from paddle_gan.bench.counting import operations
    from paddle_gan.datasets import ImageSet, load_dataset
    from paddle_gan.inference.sampling import generate
    from paddle_gan.runs import experiment
    from paddle_gan.runs.resolve import resolve
    from paddle_gan.system.runtime import select_device
    from paddle_gan.training import loop as training

    given = TrainConfig(**case["options"])
    device = select_device(given.device)
    config, _ = resolve(given, device)
    if case["images"]:
        shape = (case["images"], config.channels, config.image_size, config.image_size)
        data = ImageSet("noise", np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    else:
        data = load_dataset(config.dataset, config.image_size, config.channels)
    with unique_name.guard():
        state = experiment.build(config, classes=0)
    state.generator.train()
    state.discriminator.train()
    batches = _open.enter_context(experiment.batch_source(config, data, state.generator.value_range))
    real, _ = batches(0)
    latents = paddle.randn([config.batch_size, state.generator.latent_dim])
    factors = paddle.randn([2, *[_PRODUCT_SIZE[device.partition(":")[0]]] * 2])
    number = 0

    def load_batch() -> None:
        nonlocal number
        batches(number)
        number += 1

    def step(one: Callable[..., object], *given: object) -> Callable[[], None]:
        def alone() -> None:
            with state.precision.around_round():
                one(state, *given)

        return alone

    actions = {
        "round": lambda: training.train_round(state, batches, config.seed),
        "discriminator step": step(training.discriminator_step, real, None, latents),
        "generator step": step(training.generator_step, None, latents),
        "sampling": lambda: list(generate(state.average, case["samples"], config.seed)),
        "batch": load_batch,
        "product": lambda: paddle.matmul(factors[0], factors[1]),
    }
    for _ in range(_WARM_UP):
        actions["round"]()
    about = {
        "options": asdict(config),
        "data": data.name,
        "device": device,
        "device_name": paddle.device.cuda.get_device_name() if device != "cpu" else None,
        "operations": operations(state, config.batch_size, (config.channels, config.image_size, config.image_size))
        | {"product": 2 * factors.shape[1] ** 3},
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
    return Work(about, actions, paddle.device.synchronize, paddle.device.cuda.max_memory_allocated)


if __name__ == "__main__":
    serve(prepare)
