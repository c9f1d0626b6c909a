"""The worker of this project: its training, the parts of it, and the matrix product."""

import itertools
import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from turns import Work, resident, serve, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import paddle_gan  # before paddle
from paddle_gan.config.names import FROM_NOISE
from paddle_gan.config.train import TrainConfig
from paddle_gan.config.translate import TranslateConfig

_PRODUCT_SIZE = {"cpu": 2048, "gpu": 8192}
# Rounds before the first measurement: libraries choose and compile code in the first ones.
_WARM_UP = 2
# Batch feeds stay open as long as the process.
_open_feeds = ExitStack()


@dataclass(frozen=True)
class Prepared:
    """What differs between images from noise and translations.

    Attributes:
        rounds: the training, see `bench.rounds`.
        actions: beside those of every task.
        operations: by action, as far as they are counted.
        multiple: so many rounds have every lazy penalty as often as it should be.
    """

    rounds: Any
    actions: dict[str, Callable[[], object]]
    operations: dict[str, int]
    multiple: int


def prepare(case: dict[str, Any]) -> Work:
    """Networks, optimisers and images of one case.

    Args:
        case: "task", see `names.MEASURED_TASKS`; "options" of a TrainConfig or a TranslateConfig; "images", the number
            of images of noise, which are used instead of a data set, or None for the data set; for images from noise
            also "classes", the number of labels or 0, and "samples", the number of samples that the action "sampling"
            generates.
    """
    import numpy as np
    import paddle

    from paddle_gan.bench.profiling import profile
    from paddle_gan.datasets.pairs import CHANNELS
    from paddle_gan.system.device import select_device, wait_for_device

    device = select_device(case["options"].get("device", "auto"))
    device_peak = None if device == "cpu" else paddle.device.cuda.max_memory_allocated
    prepared = (_from_noise if case["task"] == FROM_NOISE else _translation)(case, device)
    rounds, built = prepared.rounds, device_peak() if device_peak else resident()
    side = _PRODUCT_SIZE[device.partition(":")[0]]
    numbers = itertools.count()

    @cache
    def factors() -> paddle.Tensor:
        return paddle.randn([2, side, side])

    def play(source: Callable[[int], Any]) -> None:
        rounds.task.round(source, rounds.config.seed)

    actions = {
        "round": rounds.play,
        **prepared.actions,
        "batch": lambda: rounds.batches(next(numbers)),
        "product": lambda: paddle.matmul(*factors()),
    }
    for _ in range(_WARM_UP):
        actions["round"]()
    about = {
        "task": case["task"],
        "options": {"channels": CHANNELS, **asdict(rounds.config)},
        "classes": case.get("classes", 0),
        "data": rounds.data.name,
        "device": device,
        "device_name": paddle.device.cuda.get_device_name() if device != "cpu" else None,
        "operations": prepared.operations | {"product": 2 * side**3},
        "versions": {
            "paddle_gan": paddle_gan.__version__,
            "paddle": paddle.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "environment": settings(),
        "built_bytes": built,
    }
    reports = {"profile": partial(profile, play, rounds.batches, prepared.multiple, wait=wait_for_device)}
    return Work(about, actions, wait_for_device, reports, device_peak)


def _from_noise(case: dict[str, Any], device: str) -> Prepared:
    import paddle

    from paddle_gan.bench.counting import operations
    from paddle_gan.bench.rounds import rounds_of
    from paddle_gan.inference.sampling import generate
    from paddle_gan.training.noise_to_image import discriminator_step, generator_step

    given, classes = TrainConfig(**case["options"]), case["classes"]
    rounds = _open_feeds.enter_context(rounds_of(given, device, case["images"], classes))
    config, task = rounds.config, rounds.task
    real, labels = rounds.batches(0)
    latents = paddle.randn([config.batch_size, task.generator.network.latent_dim])
    actions = {
        "discriminator step": lambda: discriminator_step(task, real, labels, latents),
        "generator step": lambda: generator_step(task, labels, latents, real),
        "sampling": lambda: list(generate(task.sampler, case["samples"], config.seed, classes)),
    }
    counts = operations(task, config.batch_size, tuple(real.shape[1:]))
    return Prepared(rounds, actions, counts, config.penalty_every)


def _translation(case: dict[str, Any], device: str) -> Prepared:
    from paddle_gan.bench.rounds import translation_rounds_of
    from paddle_gan.inference.translation import translate_batch
    from paddle_gan.objectives.penalties import Role

    given = TranslateConfig(**case["options"])
    rounds = _open_feeds.enter_context(translation_rounds_of(given, device, case["images"]))
    task, inputs = rounds.task, rounds.batches(0)[0].numpy()
    penalties = task.objective.penalties_of(Role.DISCRIMINATOR)
    actions: dict[str, Callable[[], object]] = {"translation": lambda: translate_batch(task.sampler, inputs)}
    return Prepared(rounds, actions, {}, max((penalty.every for penalty in penalties), default=1))


if __name__ == "__main__":
    serve(prepare)
