"""Show the theory of GAN and WGAN in numbers."""

import json
from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.paths import RUNS
from paddle_gan.config.studies import TheoryConfig


def run(parsed: Parsed[TheoryConfig]) -> None:
    from paddle_gan.system import files
    from paddle_gan.system.device import select_device

    with files.writable_home():  # Matplotlib keeps a cache there
        from paddle_gan.studies import theory_figure

    config = parsed.options
    select_device("cpu")  # the networks are tiny
    folder = files.make_folder(Path(config.out) if config.out else RUNS / "theory")
    numbers = theory_figure.measure(config.steps, config.seed)
    text = json.dumps(theory_figure.finite(numbers), indent=2, allow_nan=False) + "\n"
    files.write_text(folder / "theory.json", text)
    theory_figure.draw(numbers, folder / "theory.png")
    print(theory_figure.table(numbers))
    print(f"{folder / 'theory.png'}, {folder / 'theory.json'}")


THEORY = Command(
    name="theory",
    description="Show in closed form and by training why GANs stall and what WGAN changes.",
    options=TheoryConfig,
    run=run,
    examples={
        "": "figures in work/runs/theory",
    },
)
