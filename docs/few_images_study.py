"""Training on 200 images: how many samples are copies, and what they are worth, with augmentation and without.

Run it with: python docs/few_images_study.py [STEPS] [FOLDER]

It takes 200 training digits of MNIST as a folder of images of 16×16 pixels, trains small networks on them with and
without augmentation, and prints a row for each: the share of near-copies of the 200 among the samples, and the distance
of the samples from MNIST's test images, which no run has seen. The runs are made to learn by heart within minutes: a
large learning rate, and 40 clusters as labels, so that a label has five images. Runs and images go to FOLDER
(work/few-images); finished runs are not trained again. A run of 4,000 steps takes about a minute of one core.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import paddle_gan  # before Paddle

IMAGES, SIZE, SAMPLES = 200, 16, 2500
COMMON = {
    **{"image_size": SIZE, "channels": 1, "device": "cpu", "width": 16, "discriminator_width": 24, "batch_size": 32},
    **{"loss": "rpgan-r1-r2", "recipe": "tuned", "clusters": 40, "learning_rate": 2e-3, "schedule": "constant"},
}
SETTINGS = {"none": ("none",), "auto": ("auto",)}


def main(steps: int, folder: Path) -> None:
    import numpy as np
    from PIL import Image

    from paddle_gan import metrics
    from paddle_gan.datasets import load_dataset
    from paddle_gan.datasets.folder import open_folder
    from paddle_gan.evaluation.score import copy_blocks, copy_blocks_of, extract
    from paddle_gan.features.extractors import classifier_extractor
    from paddle_gan.inference.sampling import generate
    from paddle_gan.runs.generators import load_generator
    from paddle_gan.training.log import read_metrics

    digits = load_dataset("mnist", 28, 1)
    data = folder / "digits"
    data.mkdir(parents=True, exist_ok=True)
    for i, number in enumerate(np.random.default_rng(0).permutation(len(digits))[:IMAGES]):
        Image.fromarray(digits.images[number][0]).save(data / f"{i:03d}.png")

    chosen = open_folder(data, SIZE, 1)
    training = copy_blocks_of(chosen)
    unseen = load_dataset("mnist", SIZE, 1, split="test").images[:].transpose(0, 2, 3, 1)
    extractor = classifier_extractor("mnist")
    reference = extract(unseen, extractor).features
    moments = metrics.Moments().add(reference)

    def row(name: str, samples: np.ndarray) -> None:
        features = extract(samples, extractor).features
        distance = metrics.frechet_distance(metrics.Moments().add(features), moments)
        coverage = metrics.density_coverage(reference[:SAMPLES], features).coverage
        copies = metrics.near_copies(copy_blocks(samples), training)
        print(f"| {name} | {copies.share:.1%} | {distance:.0f} | {coverage:.2f} |", flush=True)

    print("| samples | near-copies | Fréchet distance | coverage |\n|---|---|---|---|")
    row("2,500 test images", unseen[-SAMPLES:])
    row("the 200 images themselves", chosen.images[:].transpose(0, 2, 3, 1))
    for name, augment in SETTINGS.items():
        out = folder / name
        given = paddle_gan.TrainConfig(**COMMON, dataset=str(data), augment=augment, steps=steps, out=str(out))
        paddle_gan.train(given, say=lambda line: None)
        network = load_generator(out, lambda line: None).network
        row(f"`--augment {name}`", np.concatenate([batch.images for batch in generate(network, SAMPLES, seed=1)]))
        lines = [line for line in read_metrics(out / "metrics.jsonl") if "evaluation/near_copies" in line]
        print("  during training:", {line["step"]: line["evaluation/near_copies"] for line in lines})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000, Path(sys.argv[2] if len(sys.argv) > 2 else "work/few-images"))
