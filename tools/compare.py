"""Compare objectives on equal footing: python tools/compare.py --loss gan lsgan wgan wgan-gp --seeds 3"""

import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.config.command_line import main, parse
from paddle_gan.config.options import CompareConfig


def command() -> None:
    config, _, _ = parse(
        CompareConfig, "Train several objectives with several seeds on equal footing, measure them, and report."
    )
    from paddle_gan.runs import experiment
    from paddle_gan.studies import comparison, report

    folder, results = comparison.compare(config)
    report.write(folder, results, shlex.join(["python", "tools/compare.py", *sys.argv[1:]]))
    print((folder / "report.md").read_text(encoding="utf-8"))
    print(f"  report      {folder / 'report.md'}, {folder / 'report.html'}")
    print(f"  curves      {experiment.tool_command('board', folder)}")


if __name__ == "__main__":
    main(command)
