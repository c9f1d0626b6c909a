"""How fast training is: on its own, against others in the same minute, and as its sizes grow.

Whatever is timed runs in a process of its own (`workers/`), which this one asks in turn; so nothing here imports
Paddle, one library's threads do not disturb another's, and each case has its own peak of memory.
"""

from paddle_gan.bench.cases import run

__all__ = ["run"]
