"""Train a translation from images to images, and apply it to pictures."""

from pathlib import Path

from paddle_gan.commands.command import Command, Group
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.translate import ApplyConfig, TranslateConfig
from paddle_gan.errors import DataError, UsageError


def train(parsed: Parsed[TranslateConfig]) -> None:
    from paddle_gan.runs import translation
    from paddle_gan.runs.folder import translation_summary
    from paddle_gan.system import parallel

    config = parsed.options
    if config.resume:
        config = translation.resumed_translation(Path(config.resume), config, parsed.named)
    folder = translation.run_translation(config, tell)
    if parallel.rank() == 0:
        for line in translation_summary(folder):
            tell(line)


def apply(parsed: Parsed[ApplyConfig]) -> None:
    config, folder = parsed.options, Path(parsed.positional["run"])
    sources = [Path(source) for source in parsed.positional["picture"]]
    if not sources:
        raise UsageError("name the pictures, or folders of pictures, after the run")
    from paddle_gan.runs.translators import load_translator, translate_files
    from paddle_gan.system.device import select_device

    select_device(config.device)
    weights = Path(config.weights) if config.weights else None
    translator = load_translator(
        folder, tell, raw=config.raw, best=config.best, reverse=config.reverse, weights=weights
    )
    written, failed = translate_files(translator, sources, config, tell)
    tell(f"{written} picture(s) in {config.out}")
    if failed:
        raise DataError(f"{failed} of {written + failed} pictures were passed over, see above")


TRANSLATE = Group(
    name="translate",
    description="Translate images into images: train on pairs or on two sets, apply to pictures.",
    commands={
        "train": Command(
            name="train",
            description="Train a translation: on pairs, on two sets without pairs, from grey to colour, from outlines, "
            "to larger pictures, to filled holes.",
            options=TranslateConfig,
            run=train,
            first=("task", "pairs", "unpaired", "images", "image_size", "minutes", "out", "resume"),
            examples={
                "--pairs inputs targets": "from each picture of a folder to the one of the same name in another",
                "--unpaired horses zebras --method fastcut": "from one set of pictures to another, without pairs",
                "--task colorize --images photographs": "from grey to colour",
                "--task super-resolution --images photographs --scale 4": "four times larger",
                "--task inpaint --images mnist --image-size 32 --no-mirror": "fill holes in digits",
            },
        ),
        "apply": Command(
            name="apply",
            description="Translate pictures of any size with a trained run.",
            options=ApplyConfig,
            run=apply,
            positional={"run": "folder of the run", "picture": "pictures, or folders of pictures"},
            several="picture",
            examples={
                "RUN old.jpg scans --out results": "a picture and a folder of pictures, of any size",
                "RUN photo.jpg --mask mask.png --out filled": "fill what is white in the mask, with a run of inpaint",
                "RUN photo.jpg --tile 256 --out results": "in smaller tiles, with less memory",
            },
        ),
    },
)
