"""Distances of runs on MNIST in the features of a classifier that took no part in any choice: recipes.md.

Run it with: python docs/other_classifier_study.py RUN [RUN ...]. It trains a classifier of another seed first, which
takes some minutes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import paddle_gan  # noqa: F401  (before Paddle)
from paddle_gan import metrics
from paddle_gan.datasets import load_dataset
from paddle_gan.features.classifier import classify, train_classifier
from paddle_gan.inference.sampling import generate
from paddle_gan.runs.generators import load_generator

COUNT = 10_000
SEED = 1234


def main(runs: list[Path]) -> None:
    training, test = (load_dataset("mnist", 28, 1, split=split) for split in ("train", "test"))
    classifier = train_classifier(training, epochs=4, mirror=False, seed=SEED, say=print)

    def moments(images: np.ndarray) -> metrics.Moments:
        return metrics.Moments().add(classify(classifier, images).features)

    real = moments(test.images[:][:, 0])
    print(f"real images: {metrics.frechet_distance(moments(training.images[:COUNT][:, 0]), real):.2f}")
    for run in runs:
        generator = load_generator(run)
        batches = generate(generator.network, COUNT, seed=1, classes=len(generator.classes))
        images = np.concatenate([batch.images for batch in batches])[..., 0]
        sure = (classify(classifier, images).probabilities.max(1) > 0.95).mean()
        print(f"{run.name}: {metrics.frechet_distance(moments(images), real):.2f}, sure of {sure:.0%}")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
