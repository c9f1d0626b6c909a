"""Walk through the latents of a trained generator: python tools/walk.py RUN --between 3 8 14 --out walk.gif"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("walk")
