"""ConvBN where the tutorial's notebooks look for it: `from work.ConvBN import ConvBN`.

The definition is in the library; there is one only.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.networks.activations import mish
from paddle_gan.networks.blocks import ConvBN

__all__ = ["ConvBN", "mish"]
