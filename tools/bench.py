"""Measure how fast training is: python tools/bench.py --loss lsgan --against torch"""

import os
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

ENVIRONMENT = dict(os.environ)  # before paddle_gan, which sets Paddle's threads in it

from paddle_gan.config.command_line import main, parse  # noqa: E402
from paddle_gan.config.options import BenchConfig  # noqa: E402


def command() -> None:
    config, _, _ = parse(BenchConfig, "Measure how fast training is: alone, against others, or as its sizes grow.")
    import json

    from paddle_gan import bench
    from paddle_gan.bench.tables import tables
    from paddle_gan.errors import UsageError
    from paddle_gan.system.files import make_folder, write_text

    first = os.environ.get("PADDLE_TRAINER_ID", "0") == "0"  # of the processes of paddle.distributed.launch
    path = Path(config.json).expanduser() if config.json else None
    if path:  # what cannot be written is better known before
        if path.is_dir():
            raise UsageError(f"--json {path}: is a folder; name a file")
        make_folder(path.parent)

    def say(line: str) -> None:
        if first:
            print(line, file=sys.stderr, flush=True)

    result = {"command": shlex.join(["python", "tools/bench.py", *sys.argv[1:]])}
    result |= bench.run(config, ENVIRONMENT, say)
    if first:
        print("\n".join(tables(result)))
        if path:
            write_text(path, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(command)
