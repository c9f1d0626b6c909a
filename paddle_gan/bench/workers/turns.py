"""What every worker does: wait for its turn, time one thing, say how long it took, and sleep again.

Requests and answers are lines of JSON. Free of this project's package, whose import sets Paddle's threads: a worker
takes its library as it needs it.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# What begins so decides on threads and code paths of the libraries.
_PREFIXES = ("OMP_", "GOMP_", "KMP_", "MKL_", "DNNL_", "ONEDNN_", "FLAGS_")
_QUIET_SECONDS = 0.03
_LONGEST_REST = 3.0


@dataclass
class Work:
    """What a worker can time.

    Attributes:
        about: whatever the asking process should know of it, fit for JSON.
        actions: by name; each call does a whole one.
        synchronise: waits until the device has done what it was given.
        device_peak: bytes of device memory at most in use so far; None where that is the host's memory.
    """

    about: dict[str, Any]
    actions: dict[str, Callable[[], object]]
    synchronise: Callable[[], object] = lambda: None
    device_peak: Callable[[], int] | None = field(default=None)


def serve(prepare: Callable[[dict[str, Any]], Work]) -> None:
    """Answer requests from stdin on stdout until the asking process has gone.

    Requests: {"prepare": case}, {"time": action, "seconds": s}, {"peak": true}, {"rest": true}. An answer is an
    object; {"error": class name, "message": text} where something was raised.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the asking process ends this one
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    work = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "prepare" in request:
                work = None  # what is here goes first, two would take twice the memory
                work = prepare(request["prepare"])
                answer = work.about
            elif "time" in request:
                answer = {"seconds": seconds_of(work.actions[request["time"]], work.synchronise, request["seconds"])}
            elif "peak" in request:
                answer = {"bytes": work.device_peak() if work.device_peak else resident_peak()}
            else:
                answer = {"quiet": rest()}
        except Exception as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        try:
            print(json.dumps(answer), file=answers, flush=True)
        except BrokenPipeError:  # the asking process was killed
            break
    os._exit(0)  # nothing is left to be saved, and libraries take their time over their ends


def settings() -> dict[str, str]:
    """The environment's variables that decide on threads and code paths."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(_PREFIXES)}


def seconds_of(action: Callable[[], object], synchronise: Callable[[], object], seconds: float) -> float:
    """Seconds of one call, the mean of as many as fit into `seconds`, after one that wakes what sleeps."""
    action()
    synchronise()
    calls, start = 0, time.perf_counter()
    while not calls or time.perf_counter() - start < seconds:
        action()
        calls += 1
    synchronise()
    return (time.perf_counter() - start) / calls


def rest() -> bool:
    """Sleep until this process uses no processor time any more, and say whether that came about.

    Threads of OpenMP wait for more work in a loop (Intel's for 0.2 s) before they sleep; until then they would take
    a core from the process whose turn is next.
    """
    end = time.monotonic() + _LONGEST_REST
    while time.monotonic() < end:
        before = time.process_time()
        time.sleep(_QUIET_SECONDS)
        if time.process_time() - before < 0.1 * _QUIET_SECONDS:
            return True
    return False


def resident_peak() -> int | None:
    """Most bytes of memory that this process has had resident so far; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
