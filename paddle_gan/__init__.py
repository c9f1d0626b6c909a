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
    from paddle_gan.config.translate import TranslateConfig
    from paddle_gan.evaluation.score import Evaluation
    from paddle_gan.runs.experiment import resume
    from paddle_gan.runs.experiment import run as train
    from paddle_gan.runs.run import Run, load
    from paddle_gan.runs.scoring import score as evaluate
    from paddle_gan.runs.translation import run_translation as train_translation
    from paddle_gan.runs.translation_scoring import TranslationEvaluation
    from paddle_gan.runs.translation_scoring import score_translation as evaluate_translation
    from paddle_gan.runs.translators import Translator, load_translator
    from paddle_gan.studies.report import Report, compare

__version__ = "0.2.0"

__all__ = [
    "CompareConfig",
    "EvaluateConfig",
    "Evaluation",
    "Report",
    "Run",
    "TrainConfig",
    "TranslateConfig",
    "TranslationEvaluation",
    "Translator",
    "__version__",
    "compare",
    "evaluate",
    "evaluate_translation",
    "load",
    "load_translator",
    "resume",
    "train",
    "train_translation",
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
    return _of_paddle(name)


def _options(name: str) -> Any:
    from paddle_gan.config.results import EvaluateConfig
    from paddle_gan.config.studies import CompareConfig
    from paddle_gan.config.train import TrainConfig
    from paddle_gan.config.translate import TranslateConfig

    known = (CompareConfig, EvaluateConfig, TrainConfig, TranslateConfig)
    return next(kind for kind in known if kind.__name__ == name)


def _of_paddle(name: str) -> Any:
    if name in ("Report", "compare"):
        from paddle_gan.system.files import writable_home

        with writable_home():  # Matplotlib keeps a cache there
            from paddle_gan.studies import report
        return getattr(report, name)
    from paddle_gan.evaluation import score
    from paddle_gan.runs import experiment, run, scoring, translation, translation_scoring, translators

    return {
        "Evaluation": score.Evaluation,
        "Run": run.Run,
        "TranslationEvaluation": translation_scoring.TranslationEvaluation,
        "Translator": translators.Translator,
        "evaluate": scoring.score,
        "evaluate_translation": translation_scoring.score_translation,
        "load": run.load,
        "load_translator": translators.load_translator,
        "resume": experiment.resume,
        "train": experiment.run,
        "train_translation": translation.run_translation,
    }[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
