"""paddle_gan: train, compare and ship generative adversarial networks on PaddlePaddle.

The front door. The names in `__all__` are what a program or a notebook needs:

    import paddle_gan

    run = paddle_gan.load(paddle_gan.train(paddle_gan.TrainConfig(loss="lsgan")))
    run.grid(64).save("samples.png")

Importing this package prepares the process for Paddle (threads and the matrix library, see `paddle_gan.system.runtime`)
but does not import Paddle: each name is loaded when it is first used. Import this package before `paddle`.

"The tutorial", here and in the modules, is the AI Studio project 1668279 on four classic GAN papers.
"""

from typing import TYPE_CHECKING, Any

from paddle_gan.system import runtime

if TYPE_CHECKING:
    from paddle_gan.config.results import EvaluateConfig
    from paddle_gan.config.studies import CompareConfig
    from paddle_gan.config.train import TrainConfig
    from paddle_gan.runs.experiment import run as train
    from paddle_gan.runs.run import load
    from paddle_gan.runs.scoring import score as evaluate
    from paddle_gan.studies.comparison import compare

__version__ = "0.2.0"

__all__ = [
    "CompareConfig",
    "EvaluateConfig",
    "TrainConfig",
    "__version__",
    "compare",
    "evaluate",
    "load",
    "train",
]

runtime.prepare()


def __getattr__(name: str) -> Any:
    """A name of the front door, loaded now.

    Raises:
        UsageError: it needs Paddle 3, which is not installed here.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.endswith("Config"):
        return _options(name)
    from paddle_gan.system.installation import check_paddle

    check_paddle()
    return _function(name)


def _options(name: str) -> Any:
    from paddle_gan.config.results import EvaluateConfig
    from paddle_gan.config.studies import CompareConfig
    from paddle_gan.config.train import TrainConfig

    return {"CompareConfig": CompareConfig, "EvaluateConfig": EvaluateConfig, "TrainConfig": TrainConfig}[name]


def _function(name: str) -> Any:
    from paddle_gan.runs import experiment, run, scoring
    from paddle_gan.studies import comparison

    return {
        "compare": comparison.compare,
        "evaluate": scoring.score,
        "load": run.load,
        "train": experiment.run,
    }[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
