"""More data for a classifier: does a GAN that was trained on few labelled images help one that has only these images?

For each seed, few images of each class are drawn. A conditional GAN is trained on them, and its samples are filtered by
a classifier that saw nothing else. The same small classifier is then trained on four kinds of data, with equally many
steps and equally large batches, and tested on real images. The test images are used for nothing else: not for the
filter, and not to choose a checkpoint or a number.

A folder of a study holds

    results.json       the settings that the numbers depend on, the accuracies of all seeds, and the tests
    results.md         the table
    seed-S/few/        the real images of a seed
    seed-S/gan/        its run, as of tools/train.py
    seed-S/kept/       the samples that were kept, in the form of a data set
    seed-S/samples.png  real images, samples that were kept and samples that were rejected
    seed-S/*.safetensors  the classifiers

Each finished classifier is kept. A study that was interrupted goes on with the first one that is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddle_gan.config.language import tell
from paddle_gan.config.paths import RUNS
from paddle_gan.config.studies import AugmentConfig
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import DATASETS
from paddle_gan.datasets.image_set import fingerprint
from paddle_gan.errors import UsageError
from paddle_gan.features.classifier import SIZE, Classifier, classify, fit, save_classifier
from paddle_gan.inference.contact_sheet import contact_sheet
from paddle_gan.inference.images import save_png
from paddle_gan.inference.sampling import generate
from paddle_gan.runs import experiment
from paddle_gan.runs.generators import load_generator
from paddle_gan.studies.labelled import ANGLE, SHIFT, Labelled, Sides, batches, draw, load_sides, write_folders
from paddle_gan.studies.more_data_report import compared, table
from paddle_gan.studies.results import read_results, write_results
from paddle_gan.system.device import select_device
from paddle_gan.system.files import locked, make_folder, write_text
from paddle_gan.training.weights import load_weights, read_weights

STUDIES = RUNS.parent / "augment"
# Candidates for each sample that is wanted.
_CANDIDATES = 4
# Images of each section of the sheet.
_SHOWN = 40

Say = Callable[[str], None]


@dataclass(frozen=True)
class Arm:
    """What a classifier is trained on beside the real images.

    Attributes:
        samples: half of each batch are samples.
        moved: all images of a batch are moved and turned.
    """

    samples: bool
    moved: bool


# In the order of training: the second one is the filter.
ARMS = {
    "real": Arm(samples=False, moved=False),
    "augmentation": Arm(samples=False, moved=True),
    "samples": Arm(samples=True, moved=False),
    "both": Arm(samples=True, moved=True),
}
_FILTER = "augmentation"


def study(config: AugmentConfig, say: Say = tell) -> Path:
    """Run the seeds of a study that are not finished, and write and print the table.

    Args:
        config: the options.
        say: takes text for the user.

    Returns:
        The folder of the study.

    Raises:
        UsageError: the folder holds results of other settings. DataError: the data cannot be used.
    """
    device = select_device(config.device)
    folder = make_folder(Path(config.out) if config.out else STUDIES / f"{_name(config)}-{config.per_class}")
    channels = config.channels or (1 if config.dataset in DATASETS else 3)
    sides = load_sides(config.dataset, channels, config.data_dir, config.download)
    settings = _settings(config, sides, channels)
    path = folder / "results.json"
    with locked(folder):
        if not path.exists() and next(folder.glob("seed-*"), None):
            raise UsageError(f"{folder} holds seeds of a study, but no results.json; name another folder with --out")
        seeds = read_results(path, settings)

        def finished() -> None:
            write_results(path, settings, seeds, tests=compared(seeds))

        for seed in range(config.seeds):
            if seed == len(seeds):
                seeds.append({"seed": seed, "accuracy": {}})
            finished()  # so that all that follows belongs to these settings
            own = folder / f"seed-{seed}"
            _run_seed(config, sides, seeds[seed], own, device, finished, _with_heading(f"[seed {seed}] ", say))
            write_text(folder / "results.md", table(settings, seeds))
    say(table(settings, seeds))
    say(f"results: {folder}")
    return folder


def _with_heading(heading: str, say: Say) -> Say:
    return lambda line: say(heading + line)


def _name(config: AugmentConfig) -> str:
    return Path(config.dataset).name


def _settings(config: AugmentConfig, sides: Sides, channels: int) -> dict[str, Any]:
    """Everything that the numbers depend on except the seed and the machine."""
    names = ("per_class", "loss", "steps", "samples", "confidence", "classifier_steps", "mirror")
    return {
        "dataset": _name(config),
        "channels": channels,
        "pool": len(sides.pool),
        "test": len(sides.test),
        "data": fingerprint(sides.pool),
        "shift": SHIFT,
        "angle": ANGLE,
        **{name: getattr(config, name) for name in names},
    }


def _run_seed(
    config: AugmentConfig,
    sides: Sides,
    entry: dict[str, Any],
    folder: Path,
    device: str,
    finished: Callable[[], None],
    say: Say,
) -> None:
    """Train and test the classifiers of a seed that are missing in its entry, and add their accuracies to it."""
    missing = [name for name in ARMS if name not in entry["accuracy"]]
    if not missing:
        return
    few = draw(sides.pool, config.per_class, entry["seed"])
    kept: Labelled | None = None
    for name in missing:
        if ARMS[name].samples and kept is None:
            kept = _samples(config, few, sides.pool.classes, entry, folder, device, say)
        parts = [few, kept] if kept is not None and ARMS[name].samples and len(kept.labels) else [few]
        classifier = _trained(config, name, parts, len(sides.pool.classes), entry["seed"], folder)
        entry["accuracy"][name] = accuracy(classifier, sides.test.images[:], sides.test.labels)
        finished()
        say(f"{name}: {entry['accuracy'][name]:.2%} of {len(sides.test):,} test images")


def accuracy(classifier: Classifier, images: np.ndarray, labels: np.ndarray | None) -> float:
    """The share of images, uint8 [N, C, 28, 28], whose most probable class is their label, [N]."""
    probabilities = classify(classifier, images).probabilities
    assert probabilities is not None and labels is not None
    return float(np.mean(probabilities.argmax(1) == labels))


def _trained(
    config: AugmentConfig, name: str, parts: list[Labelled], classes: int, seed: int, folder: Path
) -> Classifier:
    """A classifier, from its file in the folder of the seed if it was trained before."""
    path, channels = folder / f"{name}.safetensors", parts[0].images.shape[1]
    if path.exists():
        classifier = Classifier(classes, channels)
        load_weights(classifier, read_weights(path), path)
        classifier.eval()
        return classifier
    source = batches(parts, config.classifier_steps, seed, moved=ARMS[name].moved, mirror=config.mirror)
    classifier = fit(source, classes=classes, channels=channels, steps=config.classifier_steps, seed=seed)
    make_folder(folder)
    save_classifier(classifier, path)
    return classifier


def _samples(
    config: AugmentConfig,
    few: Labelled,
    classes: tuple[str, ...],
    entry: dict[str, Any],
    folder: Path,
    device: str,
    say: Say,
) -> Labelled:
    """The samples of a GAN of the few images that pass the filter; it is trained unless this was done before."""
    write_folders(few, _folders(len(classes)), folder / "few")
    options = TrainConfig(
        dataset=str(folder / "few"),
        conditional=True,
        image_size=SIZE,
        channels=few.images.shape[1],
        loss=config.loss,
        steps=config.steps,
        seed=entry["seed"],
        evaluate_every=0,
        device=device,
        out=str(folder / "gan"),
    )
    experiment.run(options, say)
    network = load_generator(folder / "gan", say).network
    count = _CANDIDATES * config.samples * len(classes)
    made = list(generate(network, count, entry["seed"], len(classes)))
    images = np.concatenate([batch.images for batch in made]).transpose(0, 3, 1, 2)
    labels = np.arange(count) % len(classes)
    judge = _trained(config, _FILTER, [few], len(classes), entry["seed"], folder)
    probabilities = classify(judge, images).probabilities
    assert probabilities is not None
    passed = passes(probabilities, labels, config.confidence)
    chosen = first_of_each(passed, labels, config.samples)
    entry["candidates"], entry["passed"] = count, int(passed.sum())
    entry["kept"] = np.bincount(labels[chosen], minlength=len(classes)).tolist()
    say(f"{passed.mean():.1%} of {count:,} samples pass the filter; {chosen.sum():,} are kept")
    kept = Labelled(images[chosen], labels[chosen])
    write_folders(kept, _folders(len(classes)), folder / "kept")
    save_png(folder / "samples.png", _sheet(few, kept, Labelled(images[~passed], labels[~passed])))
    return kept


def _folders(classes: int) -> list[str]:
    """Names of sub-folders whose natural order is that of the labels, whatever the classes are called."""
    return [f"{label:03d}" for label in range(classes)]


def passes(probabilities: np.ndarray, labels: np.ndarray, confidence: float) -> np.ndarray:
    """Which samples pass the filter: its most probable class is the label, with at least this probability.

    Args:
        probabilities: of the classes, [N, K].
        labels: that the samples were made with, [N].
        confidence: the least probability.

    Returns:
        bool [N].
    """
    return (probabilities.argmax(1) == labels) & (probabilities.max(1) >= confidence)


def first_of_each(passed: np.ndarray, labels: np.ndarray, most: int) -> np.ndarray:
    """The first `most` samples of each label among those that passed, bool [N]: so no class outweighs the others."""
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        chosen[np.flatnonzero(passed & (labels == label))[:most]] = True
    return chosen


def _sheet(few: Labelled, kept: Labelled, rejected: Labelled) -> np.ndarray:
    """Some images of each kind with as many of each class as possible, uint8 [height, width, 3]."""
    sections = [("real images", few), ("samples that were kept", kept), ("samples that were rejected", rejected)]
    return contact_sheet([(title, _shown(data)) for title, data in sections if len(data.labels)])


def _shown(data: Labelled) -> np.ndarray:
    """Images in equal distances in the order of their labels, uint8 [n, 28, 28, C]."""
    order = np.argsort(data.labels, kind="stable")
    places = np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().astype(np.int64)
    return data.images[order[places]].transpose(0, 2, 3, 1)
