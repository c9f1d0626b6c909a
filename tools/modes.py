"""Count the modes that a GAN covers: python tools/modes.py ring8 | grid25 | stacked-mnist"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.config.command_line import main, parse
from paddle_gan.config.options import BENCHMARKS, ModesConfig
from paddle_gan.errors import UsageError


def command() -> None:
    config, positional, _ = parse(
        ModesConfig,
        "Count the modes that a GAN covers, beside the published figures.",
        {"benchmark": f"one of {', '.join(BENCHMARKS)}"},
    )
    if positional["benchmark"] not in BENCHMARKS:
        raise UsageError(f"{positional['benchmark']}: the benchmarks are {', '.join(BENCHMARKS)}")
    from paddle_gan.studies import modes

    modes.run(positional["benchmark"], config)


if __name__ == "__main__":
    main(command)
