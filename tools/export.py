"""Write a generator as a program that runs without this package: python tools/export.py RUN"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("export")
