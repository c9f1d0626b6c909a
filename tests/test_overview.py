"""The list of runs: tools/runs.py."""

import csv
import json
import shutil

import pytest
from conftest import command_here, command_line

from paddle_gan.errors import UsageError


@pytest.fixture
def runs(plain_run, conditional_run, tmp_path):
    """Copies of two runs in one folder, beside a folder that is no run."""
    for run in (plain_run, conditional_run):
        shutil.copytree(run, tmp_path / "runs" / run.name)
    (tmp_path / "runs" / "other").mkdir()
    return tmp_path / "runs"


def test_a_line_for_each_run_and_a_column_for_each_in_the_differences(runs):
    done = command_line("runs", runs)
    header, first, second = done.stdout.splitlines()
    assert header.split() == ["run", "data", "objective", "steps", "best", "minutes", "MiB", "options"]
    assert first.split()[:4] == [str(runs / "conditional"), "mnist", "lsgan", "4/4"]
    assert second.split()[:4] == [str(runs / "plain"), "mnist", "lsgan", "12/12"]
    assert (first.split()[-1], second.split()[-1]) == ("conditional=True", "conditional=False")
    done = command_line("runs", runs, "--diff")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows == [
        ["conditional", "plain"],
        ["conditional", "True", "False"],
        ["steps", "4", "12"],
        ["step", "4", "12"],
        ["least", "distance"],
    ]


def test_the_differences_of_a_branch_say_where_it_begins(runs):
    branch = runs.parent / "branch"
    done = command_line("train", "--resume", runs / "plain", "--out", branch, "--steps", 13, "--learning-rate", 1e-4)
    assert done.returncode == 0, done.stderr
    done = command_line("runs", runs / "plain", branch, "--diff")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["branch", "plain"] and ["begun", "from", "plain", "at", "step", "12"] in rows
    assert "sha256" not in done.stdout


def test_a_translation_is_listed_with_its_task_and_its_folders(tmp_path):
    for name, given in (("a", {"pairs": ["x/left", "y/right"]}), ("b", {"images": "photographs/", "pairs": None})):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "config.json").write_text(json.dumps({"task": "pairs", "loss": "lsgan", "steps": 9} | given))
    rows = [line.split() for line in command_line("runs", tmp_path).stdout.splitlines()[1:]]
    assert [row[1:4] for row in rows] == [["left-right", "pairs", "lsgan"], ["photographs", "pairs", "lsgan"]]


def fake_run(folder, log=(), **options):
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"dataset": "mnist", "loss": "lsgan", "steps": 9} | options))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))


def test_each_line_names_what_is_unusual_and_the_best_of_the_measure_that_chooses(tmp_path, capsys):
    for name, r1 in (("a", 0.1), ("b", 0.1), ("c", 0.5)):
        log = [{"step": step, "seconds": 60.0, "evaluation/frechet_distance": 9.0 - step} for step in (1, 2)]
        fake_run(tmp_path / name, log, r1=r1, out=f"x/{name}", width=32)
    pairs = {"task": "pairs", "dataset": None, "pairs": ["/data/left", "/data/right"], "width": 16}
    log = [{"step": 1, "seconds": 1.0, "evaluation/l1": value, "evaluation/psnr": 9.0} for value in (0.5, 0.25)]
    fake_run(tmp_path / "d", log, **pairs, r1=0.1)
    fake_run(tmp_path / "e")
    (tmp_path / "e" / "config.json").write_text("{")
    command_here("runs", tmp_path)
    shown = capsys.readouterr()
    header, *rows = (line.split() for line in shown.out.splitlines() if not line.startswith("notice"))
    assert header[4] == "best" and [row[4] for row in rows[:3]] == ["7"] * 3 and rows[3][5:7] == ["L1", "0.25"]
    assert [row[7:] for row in rows[:3]] == [[], [], ["r1=0.5"]] and rows[3][-2:] == ["0.0", "0"]
    assert "config.json" in shown.out + shown.err and len(rows) == 4
    command_here("runs", tmp_path / "a", tmp_path / "d", "--diff")
    assert ["pairs", "None", "left,right"] in [line.split() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(("answer", "stays"), [("y", False), ("n", True), ("", True)])
def test_a_question_is_asked_before_a_run_is_removed(tmp_path, monkeypatch, answer, stays):
    fake_run(tmp_path / "a")
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    command_here("runs", tmp_path, "--remove")
    assert len(asked) == 1 and "Remove 1 run(s) for good?" in asked[0]
    assert (tmp_path / "a").exists() == stays


def test_the_log_as_a_table(runs, tmp_path):
    assert command_line("runs", runs / "plain", "--csv", tmp_path / "new" / "log.csv").returncode == 0
    with open(tmp_path / "new" / "log.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (runs / "plain" / "metrics.jsonl").read_text().splitlines()]
    assert [{name: float(value) for name, value in row.items() if value} for row in rows] == lines


def test_runs_are_removed_only_when_that_is_meant(runs, capsys):
    with pytest.raises(UsageError, match="add --yes"):
        command_here("runs", runs / "plain", "--remove")
    with pytest.raises(UsageError, match="--remove: name the folders of the runs to remove"):
        command_here("runs", "--remove", "--yes")
    assert (runs / "plain").exists()
    command_here("runs", runs / "plain", "--remove", "--yes")
    assert capsys.readouterr().out.endswith("removed 1 run(s)\n") and not (runs / "plain").exists()
    assert (runs / "conditional").exists() and (runs / "other").exists()


def test_what_cannot_be_listed(runs, tmp_path):
    for arguments, message in (
        ((tmp_path / "none",), "no such folder"),
        ((runs / "other",), "no runs there"),
        ((runs, "--csv", "x.csv"), "no metrics.jsonl with values in it"),
        ((runs, "--diff", "--csv", "x.csv"), "do one after the other"),
        ((runs, "--yes"), "there is no question to answer"),
    ):
        with pytest.raises(UsageError, match=message):
            command_here("runs", *arguments)
