"""Take samples from a trained generator: python tools/sample.py RUN --num 100 --grid samples.png"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("sample")
