"""Starting a worker, and asking it. See `workers/turns.py` for what it answers."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paddle_gan import errors

# Keyword arguments are the request; the answer is an object.
Ask = Callable[..., dict[str, Any]]
_WORKERS = Path(__file__).resolve().parent / "workers"


@contextmanager
def worker(name: str, environment: Mapping[str, str]) -> Iterator[Ask]:
    """A process of `workers/NAME.py` in the given environment; it ends with the block.

    Asking it raises what it raised where that is one of the errors for users, and UsageError where it ended.
    """
    process = subprocess.Popen(
        [sys.executable, _WORKERS / f"{name}.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=dict(environment),
    )

    def ask(**request: Any) -> dict[str, Any]:
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise errors.UsageError(
                f"the process that runs {name} ended with status {process.wait()}; if memory was short, try a smaller --batch-size"
            )
        answer = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer["error"], None)
            raise kind(answer["message"]) if kind else RuntimeError(f"{name}: {answer['error']}: {answer['message']}")
        return answer

    try:
        yield ask
    finally:
        process.kill()  # at once, also in the middle of a measurement; it has nothing to save
        process.communicate()
