"""Walk through the latents of a trained generator, as an animation."""

from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.results import WalkConfig
from paddle_gan.errors import UsageError


def run(parsed: Parsed[WalkConfig]) -> None:
    config, folder = parsed.options, Path(parsed.positional["run"])
    out = Path(config.out) if config.out else folder / "walk.gif"
    from paddle_gan.inference import animations, export, images, latents, walks
    from paddle_gan.runs.generators import check_label, chosen_generator
    from paddle_gan.system.device import select_device

    animations.check_format(out)
    select_device(config.device)
    if export.is_exported(folder):
        raise UsageError(f"{folder}: an exported program gives images only; take the folder of the run that it is from")
    trained = chosen_generator(folder, config.weights, raw=config.raw, best=config.best, say=tell)
    classes = len(trained.classes)
    for label in config.labels:
        check_label(label, trained.classes, "--labels")
    seeded = not config.projections or bool({"between", "labels"} & parsed.named)
    keyframes = max(len(config.between), len(config.labels)) if seeded else 0
    if keyframes + len(config.projections) < 2:
        raise UsageError(
            "a walk needs two keyframes: two seeds with --between, two classes with --labels, or --projections"
        )
    seeds = [config.between[k % len(config.between)] for k in range(keyframes)]
    labels = walks.keyframe_labels(config.labels, keyframes, config.num, classes)
    found = [latents.read_latent(Path(path), trained.network) for path in config.projections]
    found += latents.samples(trained.network, seeds, labels, config.num)
    frames = latents.walk_through(trained.network, found, config.frames, not config.open, config.truncation)
    columns = images.grid_columns(0 if config.labels else classes)
    count = animations.save_animation(out, (images.grid(frame, columns) for frame in frames), config.fps)
    tell(f"{count} frames in {out}")


WALK = Command(
    name="walk",
    description="Walk through the latents of a run's generator from sample to sample, as GIF, APNG or MP4.",
    options=WalkConfig,
    run=run,
    positional={"run": "folder of the run"},
    first=("between", "labels", "num", "frames", "out"),
    examples={
        "RUN": "a GIF in the folder of the run",
        "RUN --between 3 8 14 --out walk.mp4": "between the samples of three seeds, as a film",
        "RUN --between 5 --labels 3 8 1 7 --out morph.apng": "one latent while the class changes; conditional",
        "RUN --num 30 --truncation 0.7": "thirty walks in one sheet, with fewer odd samples",
    },
)
