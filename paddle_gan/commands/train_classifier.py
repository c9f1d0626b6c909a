"""Train a classifier that samples are measured with."""

from pathlib import Path
from typing import NamedTuple

from paddle_gan.commands.command import Command
from paddle_gan.commands.outputs import output_file
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.studies import ClassifierConfig
from paddle_gan.errors import UsageError


class Recipe(NamedTuple):
    """How the classifier of a data set that ships was trained."""

    epochs: int
    mirror: bool


# A digit loses its class in a mirror, a piece of clothing does not.
RECIPES = {"mnist": Recipe(epochs=12, mirror=False), "fashion-mnist": Recipe(epochs=20, mirror=True)}


def run(parsed: Parsed[ClassifierConfig]) -> None:
    config, name = parsed.options, parsed.positional["dataset"]
    if name not in RECIPES:
        raise UsageError(f"{name}: one of {', '.join(RECIPES)}")
    out = output_file("--out", Path(config.out), ".safetensors")
    import numpy as np

    from paddle_gan import datasets
    from paddle_gan.features import classifier
    from paddle_gan.system.device import select_device

    select_device(config.device)
    recipe = RECIPES[name]
    training, test = (datasets.load_dataset(name, classifier.SIZE, 1, split=split) for split in ("train", "test"))
    trained = classifier.train_classifier(
        training, epochs=config.epochs or recipe.epochs, mirror=recipe.mirror, seed=config.seed, say=tell
    )
    digest = classifier.save_classifier(trained, out)
    probabilities = classifier.classify(trained, test.images[:][:, 0]).probabilities
    assert probabilities is not None, "the classifier knows classes"
    accuracy = np.mean(probabilities.argmax(1) == test.labels)
    tell(f"{config.out}: {accuracy:.2%} of the {len(test):,} test images are classified correctly; SHA-256 {digest}")


TRAIN_CLASSIFIER = Command(
    name="train_classifier",
    description="Train the classifier whose features samples are measured in, as those that ship with paddle_gan were.",
    options=ClassifierConfig,
    run=run,
    positional={"dataset": f"one of {', '.join(RECIPES)}"},
    examples={
        "mnist --out other.safetensors --seed 1": "another classifier, to check measures with",
    },
)
