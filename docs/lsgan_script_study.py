"""What the networks and settings of a well-known LSGAN script reach on MNIST in some minutes of PyTorch: recipes.md.

Run it with: python docs/lsgan_script_study.py MINUTES [SEED]. PyTorch must be installed. The settings are those of
`lsgan.py` in https://github.com/eriklindernoren/PyTorch-GAN: images of 32×32 pixels, batches of 64, Adam of rate
2e-4 and β = (0.5, 0.999), weights N(0, 0.02²). Only the way to 32×32 differs: a black frame, which is cut off before
the measure, since enlarging and reducing the images would blur them and be measured too.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch import nn

import paddle_gan  # noqa: F401  (before Paddle)
from paddle_gan import metrics
from paddle_gan.datasets import load_dataset
from paddle_gan.features.extractors import classifier_extractor

SIZE, LATENT, BATCH, COUNT = 32, 100, 64, 10_000
FRAME = (SIZE - 28) // 2


def generator() -> nn.Module:
    start = SIZE // 4
    return nn.Sequential(
        nn.Linear(LATENT, 128 * start**2),
        nn.Unflatten(1, (128, start, start)),
        nn.Upsample(scale_factor=2),
        *(nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128, 0.8), nn.LeakyReLU(0.2)),
        nn.Upsample(scale_factor=2),
        *(nn.Conv2d(128, 64, 3, padding=1), nn.BatchNorm2d(64, 0.8), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(64, 1, 3, padding=1), nn.Tanh()),
    )


def discriminator() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((1, 16), (16, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2), nn.Dropout2d(0.25)]
        if before > 1:
            layers.append(nn.BatchNorm2d(after, 0.8))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (SIZE // 16) ** 2, 1))


def initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, 0, 0.02)
    if isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1, 0.02)
        nn.init.zeros_(layer.bias)


def train(images: np.ndarray, minutes: float) -> tuple[nn.Module, int]:
    """The generator after so many minutes of steps, and their number.

    Args:
        images: uint8 [N, 32, 32].
        minutes: of training.
    """
    data = torch.from_numpy(images).float().div(127.5).sub(1)[:, None]
    made, judge, mean_square = generator().apply(initialise), discriminator().apply(initialise), nn.MSELoss()
    optimisers = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in (made, judge)]
    end, steps, ones, zeros = time.monotonic() + 60 * minutes, 0, torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    while True:
        for chosen in torch.randperm(len(data)).split(BATCH):
            if len(chosen) < BATCH:
                continue
            fake = made(torch.randn(BATCH, LATENT))
            optimisers[0].zero_grad()
            mean_square(judge(fake), ones).backward()
            optimisers[0].step()
            optimisers[1].zero_grad()
            loss = (mean_square(judge(data[chosen]), ones) + mean_square(judge(fake.detach()), zeros)) / 2
            loss.backward()
            optimisers[1].step()
            steps += 1
            if time.monotonic() > end:
                return made, steps


def main(minutes: float, seed: int) -> None:
    torch.manual_seed(seed)
    training, test = (load_dataset("mnist", 28, 1, split=split) for split in ("train", "test"))
    extract = classifier_extractor("mnist")

    def moments(images: np.ndarray) -> metrics.Moments:
        return metrics.Moments().add(extract(images[..., None]).features)

    real = moments(test.images[:][:, 0])
    floor = metrics.frechet_distance(moments(training.images[:COUNT][:, 0]), real)
    framed = np.pad(training.images[:][:, 0], [(0, 0), (FRAME, FRAME), (FRAME, FRAME)])
    network, steps = train(framed, minutes)
    with torch.no_grad():  # in training mode, as the script makes its samples
        samples = [network(torch.randn(BATCH, LATENT)) for _ in range(-(-COUNT // BATCH))]
    images = torch.cat(samples)[:COUNT, 0].add(1).mul(127.5).round().to(torch.uint8).numpy()
    distance = metrics.frechet_distance(moments(images[:, FRAME:-FRAME, FRAME:-FRAME]), real)
    print(f"{steps} steps in {minutes:g} minutes: distance {distance:.1f}; real images {floor:.2f}")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
