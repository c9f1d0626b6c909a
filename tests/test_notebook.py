"""The notebooks run from top to bottom, and again in the same kernel."""

import shutil

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

TUTORIAL_RUNS = {f"mnist-{loss}-tutorial" for loss in ("gan", "lsgan", "wgan", "wgan-gp")}
# How many pictures each one shows, what it says when it is run again, and the runs that it leaves.
NOTEBOOKS = {
    "gan_step_by_step": (4, "complete at step 4", TUTORIAL_RUNS),
    "why_gans_work": (5, "shift 1: value of the game -0.712633, 2 JS - 2 log 2 = -0.712633", set()),
}


def test_all_notebooks_are_tested():
    assert {path.stem for path in (ROOT / "work").glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_twice_in_one_kernel(name, tmp_path, monkeypatch):
    """In a copy of the project, so that its runs do not end up here."""
    monkeypatch.setenv("NOTEBOOK_STEPS", "4")
    shutil.copytree(ROOT / "paddle_gan", tmp_path / "paddle_gan", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "work").mkdir()
    for file in (ROOT / "work").glob("*.py"):
        shutil.copy(file, tmp_path / "work")
    pictures, said, runs = NOTEBOOKS[name]
    notebook = nbformat.read(ROOT / "work" / f"{name}.ipynb", as_version=4)
    cells = notebook.cells
    assert all(not cell.get("outputs") for cell in cells), "outputs are not kept in the repository"
    code = [cell for cell in cells if cell.cell_type == "code"]
    notebook.cells = [*cells, *(nbformat.v4.new_code_cell(cell.source) for cell in code)]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path / "work"}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2 * pictures
    text = "".join(
        output.get("text", "") for cell in notebook.cells[len(cells) :] for output in cell.get("outputs", [])
    )
    assert said in text and "Warning" not in text
    assert {path.name.rpartition("-")[0] for path in (tmp_path / "work").glob("runs/*")} == runs
