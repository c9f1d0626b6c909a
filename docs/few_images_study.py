"""Training on 200 images: what is copied, and what the samples are worth, with augmentation and without.

Run it with: python docs/few_images_study.py [STEPS] [FOLDER]

It takes 200 training digits of MNIST as a folder of images, trains small networks on them in several ways, and
prints a row for each: the share of near-copies of the 200 among the samples, and the distance of the samples from
MNIST's test images, which no run has seen. Runs and images go to FOLDER (work/few-images); finished runs are not
trained again. A run of 4,000 steps takes about two minutes of one core.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import paddle_gan  # before Paddle

IMAGES, SAMPLES = 200, 2500
# Half the default widths and batch, so that a run takes minutes.
SMALL = {"width": 16, "discriminator_width": 16, "batch_size": 32}
SETTINGS: dict[str, dict] = {
    "none": {"augment": ("none",)},
    "adaptive (the default)": {},
    "fixed at 0.5": {"augment_strength": 0.5},
    "none, LeCam 0.1": {"augment": ("none",), "lecam": 0.1},
}


def main(steps: int, folder: Path) -> None:
    import numpy as np
    from PIL import Image

    from paddle_gan import metrics
    from paddle_gan.datasets import load_dataset
    from paddle_gan.evaluation.score import copy_blocks, extract
    from paddle_gan.features.extractors import classifier_extractor
    from paddle_gan.inference.sampling import generate
    from paddle_gan.runs.generators import load_generator
    from paddle_gan.training.log import read_metrics

    digits, unseen = load_dataset("mnist", 28, 1), load_dataset("mnist", 28, 1, split="test")
    chosen = np.random.default_rng(0).permutation(len(digits))[:IMAGES]
    images = digits.images[chosen].transpose(0, 2, 3, 1)
    data = folder / "digits"
    data.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(data / f"{i:03d}.png")

    extractor, training = classifier_extractor("mnist"), copy_blocks(images)
    real = unseen.images[:].transpose(0, 2, 3, 1)
    reference = extract(real, extractor)
    moments = metrics.Moments().add(reference.features)

    def row(name: str, samples: np.ndarray, strength: str) -> None:
        features = extract(samples, extractor).features
        distance = metrics.frechet_distance(metrics.Moments().add(features), moments)
        coverage = metrics.density_coverage(reference.features[:SAMPLES], features).coverage
        copies = metrics.near_copies(copy_blocks(samples), training)
        print(f"| {name} | {strength} | {copies.share:.1%} | {distance:.0f} | {coverage:.2f} |", flush=True)

    print(
        "| augmentation | probability at the end | near-copies | Fréchet distance | coverage |\n|---|---|---|---|---|"
    )
    row("2,500 unseen test images", real[:SAMPLES], "")
    row("the 200 images themselves", images, "")
    for name, options in SETTINGS.items():
        out = folder / "".join(letter if letter.isalnum() else "-" for letter in name)
        config = {
            "dataset": str(data),
            "image_size": 28,
            "channels": 1,
            "device": "cpu",
            "steps": steps,
            **SMALL,
            **options,
        }
        paddle_gan.train(paddle_gan.TrainConfig(**config, out=str(out)), say=lambda line: None)
        network = load_generator(out, lambda line: None).network
        samples = np.concatenate([batch.images for batch in generate(network, SAMPLES, seed=1)])
        probability = read_metrics(out / "metrics.jsonl")[-1].get(
            "augmentation/probability", options.get("augment_strength")
        )
        row(name, samples, "" if probability is None else f"{probability:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000, Path(sys.argv[2] if len(sys.argv) > 2 else "work/few-images"))
