"""Train a GAN: python tools/train.py --loss lsgan"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("train")
