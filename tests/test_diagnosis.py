"""Each fault is reported once in a training run that was made to fail in that way, and in no other."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import command_line, train
from PIL import Image
from visualdl import LogReader

from paddle_gan.objectives import OBJECTIVES
from paddle_gan.training.diagnosis import FAULTS, diagnosis, guessing_loss, least_loss

# Options that make a tiny run fail in one way.
FAILING = {
    "discriminator_saturated": (
        "--loss gan --discriminator-learning-rate 2e-3 --generator-learning-rate 1e-6 --steps 280"
    ),
    "generator_winning": "--loss gan --discriminator-learning-rate 1e-8 --steps 320",
    "losses_oscillate": "--loss gan --learning-rate 0.05 --beta1 0.9 --steps 420",
    "samples_alike": (
        "--loss gan --generator mlp-plain --generator-learning-rate 0.01 --ema-decay 0 --steps 300 --evaluate-every 20"
    ),
    "weights_at_bound": "--loss wgan --weight-clip 1e-4 --steps 260",
    "penalised_norm_off": "--loss wgan-gp --penalty-weight 1e-4 --learning-rate 2e-3 --steps 260",
    "samples_copied": (
        "--loss gan-r1 --dataset TWELVE --image-size 16 --channels 1 --conditional --batch-size 24 --width 8 "
        "--discriminator-width 8 --learning-rate 2e-3 --ema-decay 0.9 --steps 210 --evaluate-every 200"
    ),
}


def told(run: Path) -> dict[str, list[tuple[int, str]]]:
    """Steps and sentences of each fault in the log of a run."""
    found: dict[str, list[tuple[int, str]]] = {}
    for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        for name, value in line.items():
            if name.startswith("diagnosis/"):
                found.setdefault(name.removeprefix("diagnosis/"), []).append((line["step"], value))
    return found


@pytest.fixture(scope="module")
def twelve(tmp_path_factory) -> Path:
    """A folder of twelve classes with one small image each."""
    folder, random = tmp_path_factory.mktemp("twelve"), np.random.default_rng(0)
    for i in range(12):
        rough = Image.fromarray(random.integers(0, 256, (3, 3), dtype=np.uint8))
        (folder / f"{i:02d}").mkdir()
        rough.resize((16, 16), Image.Resampling.BICUBIC).save(folder / f"{i:02d}" / "one.png")
    return folder


@pytest.mark.parametrize("fault", FAULTS)
def test_fires_on_a_run_that_fails_so(tmp_path, twelve, fault):
    options = FAILING[fault].replace("TWELVE", str(twelve)).split()
    if "--evaluate-every" not in options:
        options += ["--evaluate-every", "0"]
    done = train(tmp_path, "--log-every", 5, *options)
    found = told(tmp_path)
    assert len(found[fault]) == 1, done.stdout
    step, sentence = found[fault][0]
    assert sentence == f"{FAULTS[fault].sentence}; {FAULTS[fault].advice}" and step >= 200
    assert done.stdout.count(f"notice: step {step}: {sentence}") == 1
    reader = LogReader(file_path=str(next((tmp_path / "visualdl").glob("vdlrecords*"))))
    assert [record.text.encoded_text_string for record in reader.get_data("text", f"diagnosis/{fault}")] == [sentence]


def lines(count: int, **values) -> list[dict]:
    """Logged values of `count` rounds, beginning at step 250."""
    return [{"step": 250 + i, **{name: value(i) for name, value in values.items()}} for i in range(count)]


def run_through(objective: str, history: list[dict], earlier: list[dict] = ()) -> list[str]:
    """The faults that are reported while `history` is logged."""
    callback, found = diagnosis(OBJECTIVES[objective], earlier), []
    for line in history:
        values = {name.replace("__", "/"): value for name, value in line.items() if name != "step"}
        callback(SimpleNamespace(step=line["step"]), values)
        found += [name for name in values if name.startswith("diagnosis/")]
    return found


def healthy(i: int) -> float:
    return 0.4 + 0.2 * np.sin(i)


def test_a_healthy_run_is_not_accused():
    values = {"loss__discriminator": healthy, "mean_logit__real": lambda i: 1.0, "mean_logit__fake": lambda i: -1.0}
    values["evaluation__diversity"] = lambda i: min(0.95, 0.5 + 0.01 * i)
    assert run_through("gan", lines(100, **values)) == []


def test_each_cause_is_told_once_also_after_a_resume():
    history = lines(60, loss__discriminator=lambda i: 0.001)
    assert run_through("gan", history) == ["diagnosis/discriminator_saturated"]
    assert run_through("gan", history, [{"step": 240, "diagnosis/discriminator_saturated": "x"}]) == []


def test_the_window_goes_on_through_a_resume():
    earlier = [{"step": 240 + i, "loss/discriminator": 0.001} for i in range(9)]
    assert run_through("gan", lines(1, loss__discriminator=lambda i: 0.001), earlier) != []
    assert run_through("gan", lines(1, loss__discriminator=lambda i: 0.001), earlier[1:]) == []


def test_the_first_rounds_are_not_judged():
    early = [{**line, "step": line["step"] - 200} for line in lines(100, loss__discriminator=lambda i: 0.001)]
    assert run_through("gan", early) == []


def test_a_fall_of_diversity():
    rising, falling = lambda i: 0.2 * (i + 1), lambda i: (0.3, 0.7, 0.5, 0.34, 0.3)[i]
    assert run_through("gan", lines(5, evaluation__diversity=rising)) == []
    assert run_through("gan", lines(5, evaluation__diversity=falling)) == ["diagnosis/samples_alike"]


def test_copies_are_compared_with_those_by_chance():
    """Two measures in sequence above 0.1 and three times the share in real images."""

    def reported(shares: list[float], chance: float) -> bool:
        values = {
            "evaluation__near_copies": lambda i: shares[i],
            "evaluation__near_copies_by_chance": lambda i: chance,
        }
        return run_through("gan", lines(len(shares), **values)) == ["diagnosis/samples_copied"]

    assert reported([0.0, 0.12, 0.11], 0.0) and reported([0.5, 0.5], 0.1)
    assert not reported([0.12], 0.0) and not reported([0.12, 0.09, 0.12], 0.0) and not reported([0.5, 0.5], 0.2)


def test_what_guessing_and_knowing_cost():
    assert guessing_loss(OBJECTIVES["gan"]) == pytest.approx(2 * np.log(2), rel=1e-5)
    assert guessing_loss(OBJECTIVES["lsgan"]) == pytest.approx(0.25, rel=1e-5)
    assert guessing_loss(OBJECTIVES["wgan"]) == pytest.approx(0, abs=1e-6)
    assert least_loss(OBJECTIVES["gan"]) == pytest.approx(0, abs=1e-4)
    assert least_loss(OBJECTIVES["lsgan"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["gan", "lsgan", "wgan", "wgan-gp"])
def test_no_false_alarm_on_default_runs(tmp_path, loss):
    done = command_line("train", "--loss", loss, "--out", tmp_path, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert told(tmp_path) == {}
