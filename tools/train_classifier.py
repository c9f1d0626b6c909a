"""Train a classifier that samples are measured with: python tools/train_classifier.py mnist --out mnist.safetensors"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("train_classifier")
