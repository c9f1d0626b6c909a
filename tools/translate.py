"""Translate images into images: python tools/translate.py train --pairs INPUTS TARGETS"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("translate")
