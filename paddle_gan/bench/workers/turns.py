"""The common part of all workers: wait for a request, time one action, answer with the time, and sleep again.

Requests and answers are lines of JSON. This module does not import the package paddle_gan, because that sets Paddle's
threads: each worker sets up its library in its own way.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Variables with these prefixes decide on threads, code paths and memory of the libraries.
_PREFIXES = (
    *("OMP_", "GOMP_", "KMP_", "MKL_", "DNNL_", "ONEDNN_", "ATEN_"),
    *("MALLOC_", "FLAGS_", "PADDLE_GAN_ONEDNN"),
)
# The use of the processor is measured over this time.
_QUIET_SECONDS = 0.03
# Most seconds to wait until the threads sleep.
_REST_SECONDS = 3.0


@dataclass
class Work:
    """The actions that a worker can time.

    Attributes:
        about: a description for the asking process, for JSON.
        actions: by name; each call is one whole action.
        synchronise: waits until the device has finished its work.
        reports: by name; each takes seconds and returns a description of its work, for JSON.
        device_peak: the most bytes of device memory that were in use so far; None if the device is the CPU.
    """

    about: dict[str, Any]
    actions: dict[str, Callable[[], object]]
    synchronise: Callable[[], object] = lambda: None
    reports: dict[str, Callable[[float], dict[str, Any]]] = field(default_factory=dict)
    device_peak: Callable[[], int] | None = field(default=None)


def serve(prepare: Callable[[dict[str, Any]], Work]) -> None:
    """Answer the requests on stdin, on stdout, until the asking process ends.

    The requests are {"prepare": case}, {"time": action, "seconds": s}, {"report": name, "seconds": s}, {"peak": true}
    and {"rest": true}. An answer is an object; after an error it is {"error": name of the class, "message": text}.
    """
    # Ctrl-C reaches all processes; the asking process ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # so that lines that libraries print do not look like answers
    work: Work | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "prepare" in request:
                work = None  # the old one is freed first: two would take twice the memory
                work = prepare(request["prepare"])
                answer = work.about
            elif "rest" in request:
                answer = {"quiet": rest()}
            elif work is None:
                raise ValueError("nothing is prepared")
            elif "time" in request:
                answer = {"seconds": seconds_of(work.actions[request["time"]], work.synchronise, request["seconds"])}
            elif "report" in request:
                answer = work.reports[request["report"]](request["seconds"])
            else:
                answer = {"bytes": work.device_peak() if work.device_peak else resident_peak()}
        except Exception as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        try:
            print(json.dumps(answer), file=answers, flush=True)
        except BrokenPipeError:  # the asking process was killed
            break
    os._exit(0)  # there is nothing to save, and libraries need long for their ends


def settings() -> dict[str, str]:
    """The environment's variables that decide on threads, code paths and memory."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(_PREFIXES)}


def seconds_of(action: Callable[[], object], synchronise: Callable[[], object], seconds: float) -> float:
    """Seconds of one call: the mean of the calls in `seconds`, after one call that wakes threads that sleep."""
    action()
    synchronise()
    calls, start = 0, time.perf_counter()
    while not calls or time.perf_counter() - start < seconds:
        action()
        calls += 1
    synchronise()
    return (time.perf_counter() - start) / calls


def rest(most_seconds: float = _REST_SECONDS) -> bool:
    """Wait until the threads of this process use no processor time any more.

    Threads of OpenMP wait in a loop for more work before they sleep (Intel's for 0.2 s). Until then they would take a
    core from the process that measures next.

    Returns:
        Whether this happened within `most_seconds`.
    """
    end = time.monotonic() + most_seconds
    while time.monotonic() < end:
        before = time.process_time()
        time.sleep(_QUIET_SECONDS)
        if time.process_time() - before < 0.1 * _QUIET_SECONDS:
            return True
    return False


def resident() -> int | None:
    """The bytes of memory that this process has resident; None if the system does not say."""
    return _of_status("VmRSS")


def resident_peak() -> int | None:
    """The most bytes of memory that this process had resident so far; None if the system does not say."""
    peak = _of_status("VmHWM")
    if peak is not None:  # on Linux, where the next one counts the memory of the process that started this one
        return peak
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _of_status(name: str) -> int | None:
    """A number of bytes that Linux tells of this process."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith(f"{name}:"))
    except (OSError, StopIteration):
        return None
