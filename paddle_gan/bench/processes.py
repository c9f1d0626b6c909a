"""Starting a worker process, and asking it. `workers/turns.py` describes the requests and answers."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paddle_gan import errors

# The keyword arguments are the request; the result is the answer, an object.
Ask = Callable[..., dict[str, Any]]
_WORKERS = Path(__file__).resolve().parent / "workers"


@contextmanager
def worker(name: str, environment: Mapping[str, str]) -> Iterator[Ask]:
    """A process that runs `workers/NAME.py`; it ends with the block.

    Args:
        name: of the script.
        environment: of the process.

    Yields:
        A function that sends a request and returns the answer. It raises the worker's error if that is one of `errors`,
        UsageError if the process has ended, and RuntimeError for other errors.
    """
    process = subprocess.Popen(
        [sys.executable, _WORKERS / f"{name}.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=dict(environment),
    )

    requests, answers = process.stdin, process.stdout
    assert requests is not None and answers is not None

    def ask(**request: Any) -> dict[str, Any]:
        try:
            requests.write(json.dumps(request) + "\n")
            requests.flush()
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise errors.UsageError(
                f"the process that runs {name} ended with status {process.wait()}; "
                "if there was not enough memory, try a smaller --batch-size"
            )
        answer = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer["error"], None)
            raise kind(answer["message"]) if kind else RuntimeError(f"{name}: {answer['error']}: {answer['message']}")
        return answer

    try:
        yield ask
    finally:
        process.kill()  # at once, also during a measurement: it has nothing to save
        process.communicate()
