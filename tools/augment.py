"""Study whether samples of a GAN help a classifier that has few images: python tools/augment.py --per-class 20"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("augment")
