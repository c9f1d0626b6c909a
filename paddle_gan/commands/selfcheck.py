"""Say what works on this machine."""

import json
import sys

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.selfcheck import SelfcheckConfig
from paddle_gan.errors import SelfcheckError


def run(parsed: Parsed[SelfcheckConfig]) -> None:
    from paddle_gan.selfcheck.about import about
    from paddle_gan.selfcheck.checks import checks, results
    from paddle_gan.selfcheck.page import page, verdict
    from paddle_gan.system.device import select_device

    def say(line: str) -> None:
        tell(line, sys.stderr)

    device = select_device(parsed.options.device)
    result = {"about": about(device), "checks": list(results(checks(device), say))}
    passed = all(check["passed"] for check in result["checks"])
    if parsed.options.json:
        print(json.dumps(result | {"passed": passed}, indent=2))
    else:
        print("\n".join(page(result)), flush=True)
    if not passed:
        raise SelfcheckError(verdict(result["checks"]))


SELFCHECK = Command(
    name="selfcheck",
    description="Say in about a minute what works on this machine, and how fast; a page that can be sent.",
    options=SelfcheckConfig,
    run=run,
    examples={
        "": "a page to read, or to send with a question",
    },
)
