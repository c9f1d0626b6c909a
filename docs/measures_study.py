"""The measures of real images that were spoiled, and of fewer real images: the tables in measures.md.

Run it with: python docs/measures_study.py. It takes some minutes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from paddle_gan.datasets import ImageSet, load_dataset
from paddle_gan.evaluation.real_images import real_images
from paddle_gan.evaluation.records import FIGURES
from paddle_gan.evaluation.score import baseline, evaluate
from paddle_gan.features.extractors import classifier_extractor

COUNT = 10_000


def spoiled(images: np.ndarray, labels: np.ndarray, training: np.ndarray) -> dict[str, np.ndarray]:
    """Sets of at most 10,000 images, made from real ones, uint8 [N, 28, 28, 1], by the name of the change."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 40, (COUNT, *images.shape[1:]))
    return {
        "nothing": images[:COUNT],
        "no digit 4": images[labels != 4][:COUNT],
        "noise, σ = 40 of 255": (images[:COUNT] + noise).clip(0, 255).astype(np.uint8),
        "500 training images, 20 times": np.tile(training[:500], (20, 1, 1, 1)),
        "one image, always": np.repeat(images[:1], COUNT, axis=0),
    }


def table(heading: str, columns: dict[str, dict[str, float]]) -> str:
    """A table in Markdown: a row for each figure, a column for each set."""
    lines = [f"| {heading} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, figure in FIGURES.items():
        lines.append(f"| {figure.label} | {' | '.join(f'{figures[name]:.4g}' for figures in columns.values())} |")
    return "\n".join(lines)


def main() -> None:
    train, test = (load_dataset("mnist", 28, 1, split=split) for split in ("train", "test"))
    extractor = classifier_extractor("mnist")
    floors = {}
    for count in (250, 1000, 2500, COUNT):
        against = baseline(real_images(train, test, count, 0), extractor)
        floors[f"{count:,}"] = against.figures
        print(f"floor of {count}", file=sys.stderr)
    # One half is spoiled; copies are searched for in the other half.
    images, count = train.images.transpose(0, 2, 3, 1), len(train) // 2
    training = ImageSet("mnist", train.images[count:], train.labels[count:], train.classes)
    against = baseline(real_images(training, test, COUNT, 0), extractor)
    rows = {}
    for name, samples in spoiled(images[:count], train.labels[:count], images[count:]).items():
        record = evaluate(samples, against, {}, {"name": name}).record
        rows[name] = {figure: values["samples"] for figure, values in record["figures"].items()}
        print(name, file=sys.stderr)
    print(table("what was done", rows), table("real images", floors), sep="\n\n")


if __name__ == "__main__":
    main()
