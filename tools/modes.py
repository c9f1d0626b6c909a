"""Count the modes that a GAN covers: python tools/modes.py ring8 | grid25 | stacked-mnist"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("modes")
