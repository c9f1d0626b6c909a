"""The notebooks run from top to bottom, and again in the same kernel; their saved outputs are those of such a run."""

import os
import re

import nbformat
import notebooks
import pytest
from conftest import ROOT
from jupyter_client.manager import start_new_kernel

LESSON_RUNS = {f"mnist-{loss}-pixelshuffle" for loss in ("gan", "lsgan", "wgan", "wgan-gp")}
# How many pictures each of these shows, what it says when it is run again, and the runs that it leaves.
LESSONS = {
    "gan_step_by_step": (4, "complete at step 4", LESSON_RUNS),
    "why_gans_work": (5, "shift 1: value of the game -0.712633, 2 JS - 2 log 2 = -0.712633", set()),
}
# The pictures that each of these shows, and some of what it says in a short run.
GUIDES = {
    "four_objectives": (3, r"| real images |"),
    "make_me_a_seven": (5, "(16, 28, 28, 1) uint8"),
    "your_own_images": (4, "a branch of runs/shapes-4 at step 4: learning_rate 0.0004 -> 0.0001"),
    "measuring": (3, "these figures cannot be compared, they differ in: floor 100 and 12"),
    "images_to_images": (3, "inputs as they are"),
    "latent_space": (8, "at the start"),
}
# Those whose cells are run a second time; in the others this would measure everything once more.
AGAIN = ("make_me_a_seven", "your_own_images", "images_to_images", "latent_space")


def outputs_of(cells: list) -> list:
    return [output for cell in cells for output in cell.get("outputs", [])]


def pictures_in(cells: list) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs_of(cells))


def text_of(cells: list) -> str:
    """What the cells print, and the tables that they show."""
    return "".join(
        output.get("text", "") + output.get("data", {}).get("text/markdown", "") for output in outputs_of(cells)
    )


def code_of(notebook: nbformat.NotebookNode) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_all_notebooks_are_tested():
    there = {path.stem for path in (ROOT / "work").glob("*.ipynb")}
    assert there == {*LESSONS, *GUIDES} == set(notebooks.NAMES)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_twice_in_one_kernel(name, tmp_path, monkeypatch):
    """In a copy of the project, so that its runs do not end up here."""
    monkeypatch.setenv("NOTEBOOK_STEPS", "4")
    folder = notebooks.copy_project(tmp_path)
    pictures, said, runs = LESSONS[name]
    notebook = notebooks.read(name)
    first = code_of(notebook)
    again = [nbformat.v4.new_code_cell(cell.source) for cell in first]
    notebook.cells = [*notebook.cells, *again]
    notebooks.execute(notebook, folder)
    assert pictures_in(first) == pictures_in(again) == pictures
    assert said in text_of(again) and "Warning" not in text_of(again)
    assert {path.name.rpartition("-")[0] for path in folder.glob("runs/*")} == runs


def test_guides_run_in_one_kernel(tmp_path, monkeypatch):
    """Short runs of all of them, in a kernel that imports Paddle once; then the cells of some once more.

    No notebook sees the names of the one before it.
    """
    monkeypatch.setenv("NOTEBOOK_STEPS", "4")
    sessions = [(name, code_of(notebooks.read(name))) for name in GUIDES]
    sessions += [(name, code_of(notebooks.read(name))) for name in AGAIN]
    together = notebooks.read(next(iter(GUIDES)))
    forget = "%reset -f"
    together.cells = [cell for _, cells in sessions for cell in (nbformat.v4.new_code_cell(forget), *cells)]
    notebooks.execute(together, notebooks.copy_project(tmp_path))
    for place, (name, cells) in enumerate(sessions):
        pictures, said = GUIDES[name]
        text = text_of(cells)
        assert pictures_in(cells) == pictures, name
        assert said in text or place >= len(GUIDES), name
        assert "Warning" not in text, name
        # A line that changes in its place, instead of one line after another.
        assert not re.search(r"^step \d+/\d+ ", text, re.M), name
    shown = [output.data["text/plain"] for output in outputs_of(sessions[1][1]) if "data" in output]
    assert any(line.startswith("100%|") and "4/4" in line for line in shown)
    copier = re.search(r"^copier +.* (\S+)$", text_of(sessions[3][1]), re.M)
    assert copier and float(copier[1]) == 1.0


@pytest.mark.slow
def test_a_second_interrupt_ends_the_cell_and_not_the_kernel():
    """While a step takes its time; the variables of the notebook are still there."""
    # In a test of pytest, a kernel would not show what a signal handler writes.
    outside = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    manager, client = start_new_kernel(cwd=ROOT, env=outside)
    try:
        wait = "with stop_on_signal():\n  print('under way', flush=True)\n  while True: time.sleep(0.01)"
        imports = "import time; from paddle_gan.system.signals import stop_on_signal"
        client.execute(f"{imports}\nprecious = 42\n{wait}", stop_on_error=False)
        said = ""
        for words in ("under way", "press again to end at once", "KeyboardInterrupt"):
            while words not in said:
                content = client.get_iopub_msg(timeout=60)["content"]
                said += content.get("text", "") + content.get("ename", "")
            if words != "KeyboardInterrupt":
                manager.interrupt_kernel()
        client.execute("print(precious)")
        while "42" not in said:
            said += client.get_iopub_msg(timeout=60)["content"].get("text", "")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
def test_all_notebooks_run_in_full_length(tmp_path):
    """One after another, as their outputs are saved."""
    folder = notebooks.copy_project(tmp_path)
    for name in notebooks.NAMES:
        notebook = notebooks.read(name)
        notebooks.execute(notebook, folder, timeout=3600)
        assert pictures_in(notebook.cells) == (LESSONS | GUIDES)[name][0], name


@pytest.mark.parametrize("name", notebooks.NAMES)
def test_saved_outputs_are_whole_and_of_no_particular_machine(name):
    path = ROOT / "work" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    code = code_of(notebook)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(output.output_type != "error" for output in outputs_of(code))
    assert pictures_in(code) == (LESSONS | GUIDES)[name][0]
    assert path.stat().st_size < 2**20
    assert not re.search(r"/(tmp|home|root|usr)/", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", notebooks.NAMES)
def test_each_explanation_is_in_both_languages(name):
    for cell in notebooks.read(name).cells:
        prose = re.sub(r"`[^`]*`|\$[^$]*\$|\|.*\|", "", cell.source)
        if cell.cell_type == "markdown" and len(prose) > 60:
            assert re.search(r"[\u4e00-\u9fff]", prose) and re.search(r"[a-z]{3}", prose), cell.source
