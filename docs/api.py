"""The reference of functions and classes, as web pages that pdoc makes from their docstrings.

    pip install ".[docs]"
    python docs/api.py            writes work/api/index.html
    python docs/api.py FOLDER

The pages need no network. What a package lists in `__all__` is on its page.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import paddle_gan

# The front door, and what is used or extended beside it.
MODULES = (
    "paddle_gan",
    "paddle_gan.errors",
    "paddle_gan.datasets.check",
    "paddle_gan.metrics",
    "paddle_gan.networks.generators",
    "paddle_gan.networks.discriminators",
    "paddle_gan.objectives.objective",
    "paddle_gan.objectives.penalties",
    "paddle_gan.objectives.optimizers",
    "paddle_gan.training.task",
    "paddle_gan.training.loop",
    "paddle_gan.inference.images",
    "paddle_gan.inference.animations",
    "paddle_gan.inference.walks",
    "paddle_gan.inference.steering",
    "paddle_gan.inference.projection",
    "paddle_gan.evaluation.records",
)


def build(folder: Path) -> None:
    """Write the pages into a folder."""
    import pdoc

    for name in paddle_gan.__all__:  # pdoc sees what is loaded already
        setattr(paddle_gan, name, getattr(paddle_gan, name))
    pdoc.render.configure(docformat="google", footer_text=f"paddle_gan {paddle_gan.__version__}")
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "work" / "api"
    build(target)
    print(target / "index.html")
