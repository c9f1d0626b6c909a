"""Compare objectives under equal conditions."""

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.studies import CompareConfig


def run(parsed: Parsed[CompareConfig]) -> None:
    from paddle_gan.runs.folder import tool_command
    from paddle_gan.studies import comparison
    from paddle_gan.system.files import writable_home

    with writable_home():  # Matplotlib keeps a cache there
        from paddle_gan.studies import report

    folder, results = comparison.compare(parsed.options, tell)
    report.write(folder, results, parsed.command)
    print((folder / "report.md").read_text(encoding="utf-8"))
    tell(f"  report      {folder / 'report.md'}, {folder / 'report.html'}")
    tell(f"  curves      {tool_command('board', folder)}")


COMPARE = Command(
    name="compare",
    description="Train several objectives with several seeds under equal conditions, measure them, and write a report.",
    options=CompareConfig,
    run=run,
    first=("loss", "seeds", "minutes", "dataset", "out"),
    examples={
        "--loss gan lsgan wgan wgan-gp --minutes 10": "the four classic objectives, ten minutes each, three seeds",
    },
)
