"""The theory of GAN and WGAN in numbers: python tools/theory.py"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.config.command_line import main, parse
from paddle_gan.config.options import TheoryConfig


def command() -> None:
    config, _, _ = parse(TheoryConfig, "Show in closed form and by training why GANs stall and what WGAN changes.")
    from paddle_gan.runs import experiment
    from paddle_gan.studies import theory_figure
    from paddle_gan.system import files, runtime

    runtime.select_device("cpu")  # the networks are tiny
    folder = files.make_folder(Path(config.out).expanduser() if config.out else experiment.RUNS / "theory")
    numbers = theory_figure.measure(config.steps, config.seed)
    files.write_text(
        folder / "theory.json", json.dumps(theory_figure.finite(numbers), indent=2, allow_nan=False) + "\n"
    )
    theory_figure.draw(numbers, folder / "theory.png")
    print(theory_figure.table(numbers))
    print(f"{folder / 'theory.png'}, {folder / 'theory.json'}")


if __name__ == "__main__":
    main(command)
