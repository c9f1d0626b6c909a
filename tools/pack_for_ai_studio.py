"""Pack the project as AI Studio takes it: python tools/pack_for_ai_studio.py --out paddle_gan.zip"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.commands import tool

if __name__ == "__main__":
    tool("pack_for_ai_studio")
