"""The folders of the project and of its results."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# In the project's own work/ in a checkout; in the current folder when the package is installed.
RUNS = (PROJECT if (PROJECT / "work" / "ConvBN.py").exists() else Path.cwd()) / "work" / "runs"
