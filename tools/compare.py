"""Compare objectives under equal conditions: python tools/compare.py --loss gan lsgan wgan wgan-gp --seeds 3"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("compare")
