"""Executing the notebooks of work/, for the tests; and as a script, saving the outputs that they are shown with.

    python tests/notebooks.py                   every notebook
    python tests/notebooks.py measuring         these

They run in full length in a copy of the project, one after another, so that a run that several of them use is trained
once. This takes some minutes for each.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "work"
# In this order: the first of those that share a run trains it.
NAMES = (
    "gan_step_by_step",
    "why_gans_work",
    "four_objectives",
    "make_me_a_seven",
    "your_own_images",
    "measuring",
    "images_to_images",
    "latent_space",
)


def read(name: str) -> nbformat.NotebookNode:
    """A notebook of work/, without its saved outputs."""
    notebook = nbformat.read(WORK / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def copy_project(to: Path) -> Path:
    """What the notebooks need of the project, without runs; the folder that they run in."""
    for folder in ("paddle_gan", "tools"):
        shutil.copytree(ROOT / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (to / "work").mkdir()
    for file in WORK.glob("*.py"):
        shutil.copy(file, to / "work")
    return to / "work"


def execute(notebook: nbformat.NotebookNode, folder: Path, timeout: float = 300) -> None:
    """Run all cells in the folder of a copy of the project; the outputs are kept in the notebook."""
    NotebookClient(notebook, timeout=timeout, coalesce_streams=True, resources={"metadata": {"path": folder}}).execute()


def save(names: list[str]) -> None:
    """Run notebooks in full length and save them with their outputs."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = copy_project(Path(temporary))
        for name in names:
            notebook = read(name)
            execute(notebook, folder, timeout=3600)
            _tidy(notebook)
            path = WORK / f"{name}.ipynb"
            path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
            print(f"{path.name}: {os.path.getsize(path) // 1024} KiB", flush=True)


def _tidy(notebook: nbformat.NotebookNode) -> None:
    """Take out when each cell ran, and the second form of each picture."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data.pop("image/jpeg", None)


if __name__ == "__main__":
    save(sys.argv[1:] or list(NAMES))
