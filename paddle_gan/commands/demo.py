"""Show a page where a trained run can be played with."""

from importlib.util import find_spec
from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.results import DemoConfig
from paddle_gan.errors import UsageError


def run(parsed: Parsed[DemoConfig]) -> None:
    if find_spec("gradio") is None:
        raise UsageError("the page is made with Gradio, which is not here; pip install 'gradio>=6.31,<7'")
    from paddle_gan.runs import demo
    from paddle_gan.system.device import select_device

    select_device(parsed.options.device)
    demo.serve(Path(parsed.positional["run"]), parsed.options, tell)


DEMO = Command(
    name="demo",
    description="Show a page in a browser where a run makes samples, or translates pictures, with Gradio.",
    options=DemoConfig,
    run=run,
    positional={"run": "folder of the run"},
    examples={
        "RUN": "a page on this machine; its address is printed",
        "RUN --port 0": "at any free port",
        "RUN --share": "also at a public address of Gradio, for a week",
    },
)
