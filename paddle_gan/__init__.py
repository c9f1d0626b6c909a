"""paddle_gan: train, compare and ship generative adversarial networks on PaddlePaddle.

Importing this package prepares the process for Paddle (threads and the matrix library, see
`paddle_gan.runtime`) but does not import Paddle itself, so that a command line that only prints its
help stays quick. Import it before `paddle`.

"The write-up", here and in the modules, is the AI Studio project 1668279 on four classic GAN papers.
"""

from paddle_gan.system import runtime

__version__ = "0.1.0"

runtime.prepare()
