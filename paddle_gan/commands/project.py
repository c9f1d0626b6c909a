"""Find the latent of an image in a trained generator."""

from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.commands.outputs import output_file
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.results import ProjectConfig


def run(parsed: Parsed[ProjectConfig]) -> None:
    config, given = parsed.options, Path(parsed.positional["image"])
    out = Path(config.out) if config.out else given.with_name(f"{given.stem}-projected.png")
    picture = output_file("--out", out, ".png")
    latent = output_file("--out", out.with_suffix(".npz"), ".npz")
    import numpy as np

    from paddle_gan.inference.images import grid, save_png
    from paddle_gan.inference.latents import write_latent
    from paddle_gan.runs.run import load
    from paddle_gan.system.device import select_device

    select_device(config.device)
    trained = load(Path(parsed.positional["run"]), raw=config.raw, best=config.best, say=tell)
    image = trained.fitted(given)
    found = trained.project(image, config.seed, config.starts, config.steps)
    save_png(picture, grid(np.stack([image, found.image]), 2))
    write_latent(latent, found.latent, found.image[None])
    tell(f"distance {found.start:.4g} at the nearest start, {found.end:.4g} after {config.steps} steps")
    tell(f"the image and its projection in {picture}, the latent in {latent}")


PROJECT = Command(
    name="project",
    description="Find the latent from which a run's generator makes an image that is nearest to a given one.",
    options=ProjectConfig,
    run=run,
    positional={"image": "picture of any size", "run": "folder of the run"},
    examples={
        "face.png RUN": "what the generator makes that is most like this picture",
        "face.png RUN --starts 16 --steps 1000": "a longer search",
    },
)
