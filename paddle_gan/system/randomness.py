"""Random numbers that depend on nothing but what they are for: a seed and its draws are one step.

Paddle has one random generator for each device of the process, and no other. So a block that seeds it and draws from
it holds a lock: two training runs, or samples for several people, in threads of one process do not disturb each other.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import paddle

_lock = threading.RLock()


@contextmanager
def seeded(purpose: str, *numbers: int) -> Iterator[None]:
    """Within this block, Paddle's draws are a function of the arguments, for example ("round", seed, step).

    The same arguments give the same stream; different ones give independent streams (`numpy.random.SeedSequence`), so
    that no two uses of one seed share their noise. Other threads wait at the start of such a block until this one
    ends. A block within another one of the same thread starts a stream of its own, which the outer block goes on with.
    """
    entropy = [int.from_bytes(purpose.encode(), "little"), *numbers]
    seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
    with _lock:
        paddle.seed(seed)
        yield
