"""The notebook runs from top to bottom, and again in the same kernel."""

import shutil
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

NOTEBOOKS = sorted((ROOT / "work").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_twice_in_one_kernel(path, tmp_path, monkeypatch):
    """In a copy of the project, so that its runs do not end up here."""
    monkeypatch.setenv("NOTEBOOK_STEPS", "4")
    shutil.copytree(ROOT / "paddle_gan", tmp_path / "paddle_gan", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "work").mkdir()
    for file in (ROOT / "work").glob("*.py"):
        shutil.copy(file, tmp_path / "work")
    notebook = nbformat.read(path, as_version=4)
    cells = notebook.cells
    assert all(not cell.get("outputs") for cell in cells), "outputs are not kept in the repository"
    code = [cell for cell in cells if cell.cell_type == "code"]
    notebook.cells = [*cells, *(nbformat.v4.new_code_cell(cell.source) for cell in code)]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path / "work"}}).execute()
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2 * 4
    text = "".join(
        output.get("text", "") for cell in notebook.cells[len(cells) :] for output in cell.get("outputs", [])
    )
    assert "complete at step 4" in text and "Warning" not in text
    assert list(Path(tmp_path / "work" / "runs").glob("mnist-wgan-gp-writeup-*"))
