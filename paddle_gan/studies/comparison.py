"""Objectives side by side on equal footing: the same data, networks and budget, several seeds, one measure.

The runs are ordinary runs in `runs/LOSS-SEED/` of the comparison's folder, made in turn and each measured at its end;
a comparison that was interrupted goes on where it was. Not about how the results are shown: see `report`.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from paddle_gan.config.options import LOSS_ALIASES, CompareConfig, EvaluateConfig, TrainConfig
from paddle_gan.errors import UsageError
from paddle_gan.evaluation.records import read_record
from paddle_gan.runs import experiment, scoring
from paddle_gan.runs.resolve import resolve
from paddle_gan.system.files import locked, make_folder, write_text
from paddle_gan.system.runtime import select_device
from paddle_gan.training import callbacks

COMPARISONS = experiment.RUNS.parent / "comparisons"
# Two runs of this many rounds time a round without what a start costs.
_TRIAL_STEPS = (5, 25)
_FREE = ("device", "out", "data_dir", "download", "seeds", "loss")


@dataclass(frozen=True)
class Result:
    """One finished run.

    Attributes:
        loss: objective.
        seed: of the run.
        folder: the run's.
        record: of its evaluation, see `evaluation.Evaluation`.
        metrics: the lines of its log.
    """

    loss: str
    seed: int
    folder: Path
    record: dict[str, Any]
    metrics: list[dict[str, Any]]

    def figure(self, name: str) -> float:
        """A figure of the samples."""
        return self.record["figures"][name]["samples"]

    @property
    def seconds(self) -> float:
        """Time that training took, measures and checkpoints included."""
        return self.metrics[-1]["seconds"]

    @property
    def steps(self) -> int:
        """Generator steps."""
        return self.record["subject"]["step"]


def compare(config: CompareConfig, say: Callable[[str], None] = print) -> tuple[Path, list[Result]]:
    """Train and measure every objective with every seed.

    Args:
        config: what is compared.
        say: takes one line for the user at a time.

    Returns:
        The folder, and the results in the order of `config.loss` and the seeds.

    Raises:
        UsageError: the folder holds another comparison. GanError: of a run.
    """
    device = select_device(config.device)
    losses = [LOSS_ALIASES.get(loss, loss) for loss in config.loss]
    folder = Path(config.out).expanduser() if config.out else COMPARISONS / _name(config)
    make_folder(folder)
    with locked(folder):
        steps = _plan(config, losses, folder, device, say)
        known: scoring.Baselines = {}
        results = {}
        runs = [(loss, seed) for seed in range(config.seeds) for loss in losses]
        for number, (loss, seed) in enumerate(runs, 1):
            heading = f"[{number}/{len(runs)}] {loss}, seed {seed}"
            results[loss, seed] = _one(
                config, loss, seed, steps[loss], folder, known, lambda line: say(f"{heading}: {line}")
            )
        return folder, [results[loss, seed] for loss in losses for seed in range(config.seeds)]


def _one(
    config: CompareConfig,
    loss: str,
    seed: int,
    steps: int,
    folder: Path,
    known: scoring.Baselines,
    say: Callable[[str], None],
) -> Result:
    run, record = folder / "runs" / f"{loss}-{seed}", folder / "runs" / f"{loss}-{seed}.json"
    if not record.exists():
        experiment.run(replace(_training(config, loss), seed=seed, steps=steps, out=str(run)), say)
        say("measuring its samples")
        options = EvaluateConfig(
            num=config.num, inception=config.inception, data_dir=config.data_dir, download=config.download
        )
        scored = scoring.score(run, options, say, known)
        write_text(record, json.dumps(scored.record, indent=2) + "\n")
        say(f"Fréchet distance {scored.record['figures']['frechet_distance']['samples']:.4g}")
    return Result(loss, seed, run, read_record(record), callbacks.read_metrics(run / "metrics.jsonl"))


def _training(config: CompareConfig, loss: str) -> TrainConfig:
    shared = {
        name: getattr(config, name)
        for name in (
            *("dataset", "image_size", "channels", "data_dir", "download", "generator", "conditional"),
            *("batch_size", "device", "inception"),
        )
    }
    return TrainConfig(loss=loss, **shared)


def _plan(
    config: CompareConfig, losses: list[str], folder: Path, device: str, say: Callable[[str], None]
) -> dict[str, int]:
    """Steps of each objective: as written in the folder, for those that are not there by the budget.

    Raises:
        UsageError: the folder is of another comparison.
    """
    path = folder / "comparison.json"
    identity = {name: value for name, value in asdict(config).items() if name not in _FREE}
    plan: dict[str, Any] = {"options": identity, "steps": {}}
    if path.exists():
        try:
            plan = json.loads(path.read_text(encoding="utf-8"))
            different = sorted(name for name in identity if plan["options"].get(name) != identity[name])
            dict(plan["steps"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path}: cannot be read ({error}); remove it or name another folder with --out"
            ) from error
        if different:
            raise UsageError(
                f"{folder} holds a comparison with other options ({', '.join(different)}); name another folder with --out"
            )
    for loss in losses:
        if loss not in plan["steps"]:
            if config.minutes:
                plan["steps"][loss] = _steps_in(config, loss, folder, say)
            else:
                plan["steps"][loss] = resolve(replace(_training(config, loss), steps=config.steps), device)[0].steps
    write_text(path, json.dumps(plan, indent=2) + "\n")
    return plan["steps"]


def _steps_in(config: CompareConfig, loss: str, folder: Path, say: Callable[[str], None]) -> int:
    """Steps that fit into the minutes, by a short trial."""
    seconds = []
    for steps in _TRIAL_STEPS:
        begin = time.perf_counter()
        trial = replace(_training(config, loss), steps=steps, out=str(folder / "trials" / f"{loss}-{steps}"))
        experiment.run(trial, lambda line: None)
        seconds.append(time.perf_counter() - begin)
    each = (seconds[1] - seconds[0]) / (_TRIAL_STEPS[1] - _TRIAL_STEPS[0])
    steps = max(1, math.floor(config.minutes * 60 / each))
    say(f"{loss}: {each * 1000:.0f} ms a step, so {steps} steps in {config.minutes:g} minutes")
    return steps


def _name(config: CompareConfig) -> str:
    budget = f"{config.steps}-steps" if config.steps else f"{config.minutes:g}-minutes" if config.minutes else "preset"
    conditional = "-conditional" if config.conditional else ""
    return f"{Path(config.dataset).name}-{config.generator or 'default'}{conditional}-{budget}"
