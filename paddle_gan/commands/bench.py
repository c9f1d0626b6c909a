"""Measure how fast training is."""

import json
import sys
from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.commands.outputs import output_file
from paddle_gan.config.bench import BenchConfig
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.system.runtime import ENVIRONMENT


def run(parsed: Parsed[BenchConfig]) -> None:
    from paddle_gan import bench
    from paddle_gan.bench.tables import tables
    from paddle_gan.system.files import write_text

    config = parsed.options
    first = ENVIRONMENT.get("PADDLE_TRAINER_ID", "0") == "0"  # of the processes of paddle.distributed.launch
    path = output_file("--json", Path(config.json), ".json") if config.json else None

    def say(line: str) -> None:
        if first:
            tell(line, sys.stderr)

    result = {"command": parsed.command, **bench.run(config, ENVIRONMENT, say)}
    if first:
        print("\n".join(tables(result)))
        if path:
            write_text(path, json.dumps(result, indent=2) + "\n")


BENCH = Command(
    name="bench",
    description="Measure how fast training is: alone, against others, or as its sizes grow.",
    options=BenchConfig,
    run=run,
    first=("task", "loss", "generator", "against", "grow", "profile", "memory"),
    examples={
        "--loss lsgan wgan-gp": "milliseconds a step, and the share of the machine's rate",
        "--against torch": "in turn with the same networks in PyTorch",
        "--task pairs super-resolution --against torch": "the same for tasks from images to images",
        "--profile --image-size 64 --channels 3": "where the time of a step goes",
    },
)
