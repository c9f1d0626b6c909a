"""Print what makes a shell complete commands and options: source <(python tools/completion.py bash)"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("completion")
