"""Count the modes that a GAN covers."""

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.names import BENCHMARKS
from paddle_gan.config.studies import ModesConfig
from paddle_gan.errors import UsageError


def run(parsed: Parsed[ModesConfig]) -> None:
    benchmark = parsed.positional["benchmark"]
    if benchmark not in BENCHMARKS:
        raise UsageError(f"{benchmark}: the benchmarks are {', '.join(BENCHMARKS)}")
    from paddle_gan.studies import modes

    modes.run(benchmark, parsed.options, tell)


MODES = Command(
    name="modes",
    description="Count the modes that a GAN covers, beside the published figures.",
    options=ModesConfig,
    run=run,
    positional={"benchmark": f"one of {', '.join(BENCHMARKS)}"},
    first=("loss", "seeds", "steps", "out"),
    examples={
        "grid25 --loss lsgan": "how many of 25 points a GAN reaches",
        "stacked-mnist --seeds 1": "how many of 1,000 triples of digits",
        "ring8 --loss wgan-gp --seeds 3": "how many of eight points, mean of three seeds",
        "stacked-mnist --recipe tuned": "the same by the tuned recipe, without clusters",
    },
)
