"""Train a classifier that samples are measured with: python tools/train_classifier.py mnist --out mnist.safetensors"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.config.command_line import main, parse
from paddle_gan.config.options import ClassifierConfig
from paddle_gan.errors import UsageError

# Digits lose their class in a mirror, clothes do not.
_RECIPES = {"mnist": (12, False), "fashion-mnist": (20, True)}


def command() -> None:
    config, positional, _ = parse(
        ClassifierConfig,
        "Train the classifier whose features samples are measured in, as those that ship with paddle_gan were.",
        {"dataset": f"one of {', '.join(_RECIPES)}"},
    )
    name = positional["dataset"]
    if name not in _RECIPES:
        raise UsageError(f"{name}: one of {', '.join(_RECIPES)}")
    from paddle_gan import datasets
    from paddle_gan.features import classifier
    from paddle_gan.system.runtime import select_device

    select_device(config.device)
    epochs, mirror = _RECIPES[name]
    sets = [datasets.load_dataset(name, classifier.SIZE, 1, split=split) for split in ("train", "test")]
    trained = classifier.train_classifier(sets[0], config.epochs or epochs, mirror, config.seed, print)
    digest = classifier.save_classifier(trained, Path(config.out).expanduser())
    _, probabilities = classifier.classify(trained, sets[1].images[:, 0])
    accuracy = (probabilities.argmax(1) == sets[1].labels).mean()
    print(f"{config.out}: {accuracy:.2%} of the {len(sets[1]):,} test images right; SHA-256 {digest}")


if __name__ == "__main__":
    main(command)
