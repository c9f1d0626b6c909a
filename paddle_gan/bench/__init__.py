"""How fast training is: alone, compared with others in the same minute, and with growing sizes.

Everything that is timed runs in its own process (`workers/`). This process asks the workers one after another. So
nothing here imports Paddle, the threads of one library do not disturb another library, and each case has its own peak
of memory.
"""

from paddle_gan.bench.cases import run

__all__ = ["run"]
