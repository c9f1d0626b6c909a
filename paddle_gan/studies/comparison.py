"""Objectives side by side under equal conditions: the same data, networks and budget, several seeds, one measure.

The training runs are ordinary ones, in `runs/LOSS-SEED/` of the folder of the comparison. They run one after another,
and each is measured at its end. If a comparison was interrupted, it goes on from there. Not about how the results are
shown: see `report`.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from paddle_gan.config.language import tell
from paddle_gan.config.paths import RUNS
from paddle_gan.config.results import EvaluateConfig
from paddle_gan.config.studies import CompareConfig
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import UsageError
from paddle_gan.evaluation.records import read_record
from paddle_gan.runs import experiment, scoring
from paddle_gan.runs.resolve import resolve
from paddle_gan.system.device import select_device
from paddle_gan.system.files import locked, make_folder, write_text
from paddle_gan.training.log import read_metrics

COMPARISONS = RUNS.parent / "comparisons"
_PLAN = "comparison.json"
# Options that may differ when a comparison goes on.
_FREE = ("device", "out", "data_dir", "download", "seeds", "loss")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """One finished training run.

    Attributes:
        loss: name of the objective.
        seed: of the run.
        folder: of the run.
        record: of its evaluation, see `evaluation.records`.
        metrics: the lines of its log.
    """

    loss: str
    seed: int
    folder: Path
    record: dict[str, Any]
    metrics: list[dict[str, Any]]

    def figure(self, name: str) -> float:
        """A figure of the samples, by its name in the record."""
        return self.record["figures"][name]["samples"]

    @property
    def seconds(self) -> float:
        """Time that the training took, including measures and checkpoints."""
        return self.metrics[-1]["seconds"]

    @property
    def steps(self) -> int:
        """Generator steps."""
        return self.record["subject"]["step"]


class Comparison(NamedTuple):
    """A finished comparison.

    Attributes:
        folder: in which it is.
        results: in the order of the objectives in the options, and of the seeds.
    """

    folder: Path
    results: list[Result]


def compare(config: CompareConfig, say: Say = tell) -> Comparison:
    """Train and measure every objective with every seed.

    Args:
        config: the options.
        say: takes one line for the user at a time.

    Raises:
        UsageError: the folder holds another comparison.
        GanError: a training run has failed.
    """
    device = select_device(config.device)
    folder = Path(config.out) if config.out else COMPARISONS / _name(config)
    make_folder(folder)
    with locked(folder):
        steps = _plan(config, folder, device)
        baselines: scoring.Baselines = {}
        results = {}
        runs = [(loss, seed) for seed in range(config.seeds) for loss in config.loss]
        for number, (loss, seed) in enumerate(runs, 1):
            length = {"steps": steps[loss]} if loss in steps else {"minutes": config.minutes}
            training = replace(_training(config, loss), seed=seed, **length)
            heading = f"[{number}/{len(runs)}] {loss}, seed {seed}: "
            result = _result(config, training, folder, baselines, _with_heading(heading, say))
            results[loss, seed] = result
            if loss not in steps:
                steps[loss] = result.steps
                _write_plan(config, folder, steps)
        return Comparison(folder, [results[loss, seed] for loss in config.loss for seed in range(config.seeds)])


def _with_heading(heading: str, say: Say) -> Say:
    return lambda line: say(heading + line)


def _result(
    config: CompareConfig, training: TrainConfig, folder: Path, baselines: scoring.Baselines, say: Say
) -> Result:
    """The result of one training run, which is trained and measured unless this was done before."""
    name = f"{training.loss}-{training.seed}"
    run, record = folder / "runs" / name, folder / "runs" / f"{name}.json"
    if not record.exists():
        experiment.run(replace(training, out=str(run)), say)
        say("measuring its samples")
        options = EvaluateConfig(
            num=config.num, inception=config.inception, data_dir=config.data_dir, download=config.download
        )
        scored = scoring.score(run, options, say, baselines)
        write_text(record, json.dumps(scored.record, indent=2) + "\n")
        say(f"Fréchet distance {scored.record['figures']['frechet_distance']['samples']:.4g}")
    return Result(
        loss=training.loss,
        seed=training.seed,
        folder=run,
        record=read_record(record),
        metrics=read_metrics(run / "metrics.jsonl"),
    )


def _training(config: CompareConfig, loss: str) -> TrainConfig:
    """The options of training that the comparison has too, with one objective."""
    shared = {field.name for field in fields(CompareConfig)} & {field.name for field in fields(TrainConfig)}
    options: dict[str, Any] = {name: getattr(config, name) for name in shared - {"out", "minutes"}}
    options["loss"] = loss
    return TrainConfig(**options)


def _plan(config: CompareConfig, folder: Path, device: str) -> dict[str, int]:
    """The steps of each objective, as comparison.json has them, or by the budget.

    Where the budget are minutes, those of an objective are known after its first run: all its seeds have its length.

    Raises:
        UsageError: the folder is of another comparison.
    """
    steps = _read_plan(folder / _PLAN, _identity(config))
    if not config.minutes:
        for loss in config.loss:
            if loss not in steps:
                filled = resolve(replace(_training(config, loss), steps=config.steps), device).config
                assert filled.steps is not None
                steps[loss] = filled.steps
    _write_plan(config, folder, steps)
    return steps


def _write_plan(config: CompareConfig, folder: Path, steps: dict[str, int]) -> None:
    write_text(folder / _PLAN, json.dumps({"options": _identity(config), "steps": steps}, indent=2) + "\n")


def _identity(config: CompareConfig) -> dict[str, Any]:
    """The options that may not differ when a comparison goes on."""
    return {name: value for name, value in asdict(config).items() if name not in _FREE}


def _read_plan(path: Path, identity: dict[str, Any]) -> dict[str, int]:
    """The steps in a comparison.json; none if there is no file.

    Raises:
        UsageError: the file cannot be read, or is of a comparison with other options.
    """
    if not path.exists():
        return {}
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        different = sorted(name for name in identity if plan["options"].get(name) != identity[name])
        steps = dict(plan["steps"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); remove it or name another folder with --out") from error
    if different:
        raise UsageError(
            f"{path.parent} holds a comparison with other options ({', '.join(different)}); "
            "name another folder with --out"
        )
    return steps


def _name(config: CompareConfig) -> str:
    budget = f"{config.steps}-steps" if config.steps else f"{config.minutes:g}-minutes" if config.minutes else "preset"
    conditional = "-conditional" if config.conditional else ""
    return f"{Path(config.dataset).name}-{config.generator or 'default'}{conditional}-{budget}"
