"""Check a folder of images before training on it."""

import json
import sys
from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.commands.outputs import output_file
from paddle_gan.config import shared
from paddle_gan.config.check import CheckConfig
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.paths import RUNS, legal_name
from paddle_gan.errors import DiskError, UsageError


def run(parsed: Parsed[CheckConfig]) -> None:
    from paddle_gan.datasets import FOLDER_SIZE
    from paddle_gan.datasets.check import check_folder
    from paddle_gan.datasets.folder import FolderOptions
    from paddle_gan.inference.contact_sheet import contact_sheet
    from paddle_gan.inference.images import save_png

    config, path = parsed.options, Path(parsed.positional["data"])
    name = legal_name(path.resolve().name or "data")
    sheet = Path(config.sheet) if config.sheet else RUNS.parent / "checks" / f"{name}.png"
    if sheet.resolve().is_relative_to(path.resolve()):
        raise UsageError(f"{sheet}: lies among the images, and would become one; name another place with --sheet")
    if config.sheet:
        sheet = output_file("--sheet", sheet, ".png")
    options = FolderOptions(
        fit=config.fit,
        labels=Path(config.labels) if config.labels else None,
        skip_unreadable=shared.most_unreadable(config.skip_unreadable),
    )
    checked = check_folder(path, config.image_size or FOLDER_SIZE, config.channels, options, with_images=True)
    for line in [] if config.json else checked.lines:
        tell(line)
    written = None
    try:  # after the report, which does not depend on it
        if checked.sections:
            save_png(sheet, contact_sheet(checked.sections))
            written = str(sheet)
    except DiskError as error:
        tell(f"notice: there is no sheet of the images: {error}", sys.stderr)
    if config.json:
        print(json.dumps(checked.said | {"sheet": written}, indent=2))
    elif written:
        tell(f"images as the network sees them: {written}")
    if checked.refusal:
        raise checked.refusal


CHECK_DATA = Command(
    name="check_data",
    description="Check a folder or zip file of images before training on it.",
    options=CheckConfig,
    run=run,
    positional={"data": "folder or zip file of images"},
    needs_paddle=False,
    examples={
        "pictures --image-size 64": "what training will see of a folder, and what is wrong in it",
        "pictures.zip --json": "the same of a zip file, for a program",
        "pictures --labels classes.csv --fit pad": "with the classes of a CSV file, whole pictures on white",
    },
)
