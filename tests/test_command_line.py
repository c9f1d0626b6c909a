"""The command line as a user meets it: runs, run folders, help, and one line for everything that is wrong."""

import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
import safetensors.numpy
from conftest import ROOT, TINY, command_line, newest_manifest, refused_here, start, train, train_here, wait_for
from PIL import Image

from paddle_gan import __version__
from paddle_gan.commands import COMMANDS, Command
from paddle_gan.config.names import OBJECTIVES
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import UsageError
from paddle_gan.runs.building import build, objective_of
from paddle_gan.runs.experiment import run
from paddle_gan.runs.folder import run_name
from paddle_gan.runs.recipes import TUNED
from paddle_gan.runs.resolve import resolve


def test_run_folder_holds_what_the_readme_says(plain_run):
    assert sorted(path.name for path in plain_run.iterdir()) == [
        ".lock",
        "checkpoints",
        "config.json",
        "generator.pdparams",
        "metrics.jsonl",
        "samples",
        "samples.gif",
        "visualdl",
    ]
    grids = sorted(path.name for path in (plain_run / "samples").iterdir())
    assert grids == ["step-00000000.png", "step-00000006.png", "step-00000012.png"]
    assert Image.open(plain_run / "samples" / grids[-1]).size == (10 * 58 + 2, 8 * 58 + 2)
    assert Image.open(plain_run / "samples.gif").n_frames == 3
    assert [path.name for path in sorted((plain_run / "checkpoints").iterdir())] == ["step-00000010", "step-00000012"]
    lines = [json.loads(line) for line in (plain_run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 4, 8, 12]
    assert {
        "loss/discriminator",
        "loss/generator",
        "mean_logit/real",
        "mean_logit/fake",
        "speed/images_per_second",
    } <= set(lines[0])
    assert {
        "optimizer/gradient_norm_generator",
        "optimizer/gradient_norm_discriminator",
        "optimizer/learning_rate_generator",
    } <= set(lines[0])


def test_config_json_reproduces_the_run(plain_run, tmp_path):
    config = json.loads((plain_run / "config.json").read_text())
    assert config["learning_rate"] == 2e-4 and config["steps"] == 12
    done = command_line("train", "--config", plain_run / "config.json", "--out", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert newest_manifest(tmp_path / "again")["sha256"] == newest_manifest(plain_run)["sha256"]


def test_pdparams_are_in_paddles_own_form(plain_run):
    """And hold the average, not the weights as trained."""
    weights = paddle.load(str(plain_run / "generator.pdparams"))
    newest = sorted((plain_run / "checkpoints").iterdir())[-1]
    arrays = safetensors.numpy.load_file(newest / "state.safetensors")
    assert len(weights) == len([name for name in arrays if name.startswith("generator_average/")])
    for name, value in weights.items():
        np.testing.assert_array_equal(value.numpy(), arrays[f"generator_average/{name}"])


def test_same_command_again_says_that_it_is_complete(plain_run):
    done = train(plain_run, "--steps", 12, "--log-every", 4, "--sample-every", 6, "--checkpoint-every", 5)
    assert "complete at step 12" in done.stdout
    train(plain_run, "--steps", 5)
    assert json.loads((plain_run / "config.json").read_text())["steps"] == 12


def test_default_run_folder_is_named_after_the_options(tmp_path):
    name = lambda **options: run_name(resolve(TrainConfig(**options), "cpu")[0])  # noqa: E731
    assert re.fullmatch(r"mnist-lsgan-pixelshuffle-[0-9a-f]{6}", name())
    assert re.fullmatch(
        r"mnist-wgan-gp-mlp-conditional-[0-9a-f]{6}", name(loss="wgan_gp", generator="mlp", conditional=True)
    )
    assert name() == name(steps=7, device="cpu", loss="mse")
    assert len({name(), name(seed=1), name(width=8), name(batch_size=8), name(learning_rate=1e-3)}) == 5


def test_help_has_a_line_for_each_option():
    done = command_line("train", "--help")
    for loss in OBJECTIVES:
        assert loss in done.stdout
    for field in dataclasses.fields(TrainConfig):
        flag = "--" + field.name.replace("_", "-")
        assert len(re.findall(rf"^  {flag} .*\b", done.stdout, re.M)) == 1
    options, examples = done.stdout.split("\nexamples:\n")
    assert all(
        line.startswith(("  -", "usage", "Train")) or line.endswith(":") or not line for line in options.splitlines()
    )
    assert options.index("--loss ") < options.index("--workers ")
    assert [line for line in examples.splitlines() if "tools/train.py --loss lsgan" in line]


def test_every_command_has_examples_that_it_takes():
    for command in COMMANDS.values():
        for one in [command] if isinstance(command, Command) else command.commands.values():
            assert one.examples, one.name
            assert set(one.first) <= {field.name for field in dataclasses.fields(one.options)}
            for arguments in one.examples:
                one.parse(shlex.split(arguments.partition(" >> ")[0]))


def test_the_help_of_no_tool_imports_what_takes_long():
    """In one process: what one tool imports would show in all that follow."""
    code = (
        "import pathlib, runpy, sys\n"
        f"for tool in sorted(pathlib.Path({str(ROOT / 'tools')!r}).glob('*.py')):\n"
        "    sys.argv = [tool.name, '--help']\n"
        "    try: runpy.run_path(str(tool), run_name='__main__')\n"
        "    except SystemExit as end: assert not end.code, tool\n"
        "slow = {'paddle', 'numpy', 'matplotlib', 'PIL', 'scipy', 'visualdl', 'yaml', 'safetensors', 'tqdm', 'torch'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[-1] == "[]", done.stderr
    assert len([line for line in lines if line.startswith("usage: ")]) == len(COMMANDS)


def program(*arguments: str) -> subprocess.CompletedProcess:
    """The program as an installed package has it."""
    return subprocess.run([sys.executable, "-m", "paddle_gan", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_program_lists_its_commands_and_its_version():
    done = program("--help")
    assert done.returncode == 0 and program().stdout == done.stdout
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.description)}$", done.stdout, re.M)
        assert (ROOT / "tools" / f"{name}.py").exists()
    assert len(COMMANDS) == len(list((ROOT / "tools").glob("*.py")))
    assert program("--version").stdout == f"paddle-gan {__version__}\n"
    for command in (["train"], ["translate"], ["translate", "train"]):
        assert program(*command, "--version").stdout == f"paddle_gan {__version__}\n"
    done = program("trian")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: 'trian' is not a command; did you mean train?\n"
    assert program("xyz").stderr == "error: 'xyz' is not a command; paddle-gan --help lists them\n"


def test_a_command_of_the_program_is_the_tool():
    done = program("train", "--help")
    assert done.stdout.startswith("usage: paddle-gan train [options]\n")
    tool = command_line("train", "--help")
    assert tool.stdout.replace("python tools/train.py", "paddle-gan train") == done.stdout
    done = program("train", "--steps", "0")
    assert (done.returncode, done.stderr) == (2, "error: --steps 0: must be more than 0\n")


BAD = {
    "unknown option": (["--nope"], "unrecognized arguments: --nope"),
    "shortened option": (["--los", "gan"], "unrecognized arguments: --los gan; did you mean --loss?"),
    "not a number": (["--width", "abc"], "--width abc: must be a whole number"),
    "endless": (["--epochs", "inf"], "--epochs inf: must be a finite number"),
    "batch of one": (["--batch-size", "1"], "at least two samples"),
    "negative penalty": (["--loss", "wgan-gp", "--penalty-weight", "-1"], "must be at least 0"),
    "unknown loss": (["--loss", "foo"], "--loss foo: one of gan, gan-minimax, lsgan, "),
    "zero steps": (["--steps", "0"], "--steps 0: must be more than 0"),
    "negative seed": (["--seed", "-1"], "--seed -1: must be at least 0"),
    "two lengths": (["--steps", "1", "--epochs", "1"], "--epochs and --steps"),
    "too small": (["--image-size", "12"], "16 to 256"),
    "tutorial at another size": (["--generator", "tutorial", "--image-size", "64"], "made for 32x32"),
    "tutorial with another latent": (["--generator", "writeup", "--latent-dim", "64"], "100 noise values"),
    "clipping without wgan": (["--loss", "lsgan", "--weight-clip", "0.1"], "use --loss wgan"),
    "penalty without wgan-gp": (["--loss", "gan", "--penalty-weight", "1"], "use --loss wgan-gp"),
    "BatchNorm under the penalty": (["--loss", "wgan-gp", "--discriminator-norm", "batch"], "mixes the samples"),
    "smoothing without cross-entropy": (["--loss", "wgan", "--label-smoothing", "0.1"], "--label-smoothing"),
    "beta of rmsprop": (["--loss", "wgan", "--beta1", "0.5"], "--beta1 with rmsprop"),
    "no such data": (["--dataset", "mnits"], "neither a known set"),
    "no such device": (["--device", "tpu"], "--device tpu"),
    "no gpu here": (["--device", "gpu"], "--device gpu"),
    "no such file": (["--config", "/none.yaml"], "/none.yaml"),
    "not a run": (["--resume", "/tmp"], "no config.json"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name, capsys):
    arguments, expected = BAD[name]
    if name == "no gpu here" and paddle.is_compiled_with_cuda():
        pytest.skip("there is a GPU build")
    assert expected in refused_here("train", *arguments)
    assert capsys.readouterr().out == ""


# One that is found while the options are read, and one that is found later, with Paddle there.
@pytest.mark.parametrize("name", ["zero steps", "tutorial at another size"])
def test_bad_input_ends_with_status_2_and_nothing_on_standard_output(name):
    arguments, expected = BAD[name]
    done = command_line("train", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and expected in done.stderr


@pytest.mark.parametrize("arguments", [("evaluate",), ("train", "--steps", 1, "--out")])
def test_a_name_too_long_for_the_system_is_bad_input(arguments):
    done = command_line(*arguments, "x" * 300)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "longer than this system allows" in done.stderr


@pytest.mark.parametrize("options", [{"loss": "foo"}, {"conditional": "false"}, {"generator": "x"}, {"resume": "x"}])
def test_bad_options_in_a_notebook_are_the_same_error(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        run(TrainConfig(device="cpu", **options))


def resolved(device: str = "cpu", **options):
    return resolve(TrainConfig(**options), device)


def test_presets_follow_the_device_and_fit_the_data():
    small, notices = resolved()
    assert (small.generator, small.image_size, small.steps) == ("pixelshuffle", 28, 8000)
    assert len(notices) == 1 and "--preset full" in notices[0]
    folder, notices = resolved(dataset="pictures")
    assert (folder.batch_size, folder.discriminator_width, folder.steps) == (16, 48, 20_000)
    assert len(notices) == 1 and "folder preset" in notices[0]
    assert resolved(dataset="pictures", recipe="paper")[0].batch_size == small.batch_size == 64
    assert resolved(dataset="pictures", discriminator="residual")[0].discriminator_width == 16  # its own
    assert resolved(dataset="pictures", batch_size=32, discriminator_width=8)[0].steps == 10_000
    full, notices = resolved("gpu:0")
    assert (full.generator, full.discriminator, full.image_size, full.width) == ("tutorial", "tutorial", 32, 128)
    assert (full.steps, notices) == (93750, [])  # a hundred epochs
    for options in ({"dataset": "pictures"}, {"image_size": 64}, {"latent_dim": 64}):
        config, notices = resolved("gpu:0", **options)
        assert config.generator == "pixelshuffle" and len(notices) == 1
    assert resolved(loss="wgan-gp", recipe="paper")[0].steps == 1600  # five discriminator steps each
    assert resolved(epochs=2.0)[0].steps is None


def test_r1_of_a_tuned_recipe_is_in_proportion_to_pixels_and_to_one_by_batch_size():
    assert resolved().config.r1 == 0.2
    assert resolved(batch_size=16).config.r1 == 0.8
    assert resolved(loss="hinge").config.r1 == 0.05
    assert resolved(dataset="pictures", image_size=56, batch_size=64).config.r1 == 0.8
    assert resolved(dataset="pictures", image_size="64x48").config.r1 == 3.13  # batches of 16
    assert resolved(loss="gan-r1", batch_size=128).config.penalty_weight == 0.025
    assert resolved(loss="wgan-gp", batch_size=128).config.penalty_weight == 10
    assert resolved(r1=0.3, batch_size=16).config.r1 == 0.3
    assert resolved(loss="gan-r1", recipe="paper", batch_size=16).config.penalty_weight == 5


def test_recipes_are_the_papers_but_for_convolutional_discriminators():
    def rates(**options):
        config, _ = resolved(**options)
        return [config.learning_rate, config.beta1, config.beta2, config.rho]

    assert rates() == rates(loss="gan") == rates(generator="pixelshuffle") == [4e-4, 0.5, 0.99, None]
    for options in (
        {"preset": "full"},
        {"device": "gpu:0"},
        {"generator": "tutorial"},
        {"generator": "mlp", "loss": "gan"},
        {"recipe": "paper"},
    ):
        assert rates(**options) == [2e-4, 0.5, 0.999, None]
        config, _ = resolved(**options)
        assert (config.clusters, config.r1, config.penalty_every, config.schedule) == (0, 0, 1, "constant")
        assert config.discriminator_init == config.init
    assert rates(loss="wgan", recipe="paper") == [5e-5, None, None, 0.99]
    assert rates(loss="wgan-gp", recipe="paper") == [1e-4, 0.0, 0.9, None]
    assert resolved(generator="mlp", recipe="tuned")[0].clusters is None  # by the number of images
    assert rates(learning_rate=1e-3, beta2=0.9) == [1e-3, 0.5, 0.9, None]


def test_wrong_by_theory_is_made_right_with_a_notice_or_said():
    config, notices = resolved(loss="wgan-gp", recipe="paper")
    assert config.discriminator_norm == "none" and any("BatchNorm" in notice for notice in notices)
    assert resolved(loss="wgan-gp", discriminator_norm="layer")[0].discriminator_norm == "layer"
    assert any("momentum" in notice for notice in resolved(loss="wgan", optimizer="adam")[1])


def test_a_penalty_of_weight_0_is_none_and_not_the_recipes():
    assert resolved(loss="wgan-gp")[0].penalty_weight == 10
    config, _ = resolved(loss="wgan-gp", penalty_weight=0)
    assert config.penalty_weight == 0 and resolved(**vars(config))[0] == config


def test_a_filled_configuration_still_takes_another_learning_rate():
    filled, _ = resolved()
    assert resolved(**vars(filled) | {"learning_rate": 1e-5})[0].learning_rate == 1e-5
    assert resolved(**vars(filled))[0] == filled


def test_debug_shows_the_traceback():
    """As an option, not as a word that stands somewhere in the arguments."""
    done = command_line("train", "--loss", "wgan", "--label-smoothing", "0.1", "--debug")
    assert done.returncode == 2 and "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    done = command_line("train", "--loss", "wgan", "--label-smoothing", "0.1", "--out=--debug")
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_unknown_key_in_the_options_file(tmp_path):
    (tmp_path / "c.yaml").write_text("widht: 3\n")
    done = command_line("train", "--config", tmp_path / "c.yaml")
    assert done.returncode == 2 and "widht" in done.stderr and done.stderr.count("\n") == 1


def test_another_run_in_the_folder_is_refused_with_the_difference(plain_run):
    done = train(plain_run, "--steps", 12, "--seed", 5, expect=2)
    assert "seed 0 -> 5" in done.stderr and done.stderr.count("\n") == 1


def test_nan_ends_with_status_4_and_keeps_the_last_good_checkpoint(tmp_path):
    """Whether it is met in a logged value or, between those, when the state is saved."""
    train_here(tmp_path / "good", "--steps", 1, "--discriminator-norm", "none")
    for log_every, expected in ((1, "--gradient-clip"), (1000, "not saved")):
        run = tmp_path / str(log_every)
        options = ("--learning-rate", 1e6, "--steps", 3000, "--log-every", log_every, "--checkpoint-every", 1)
        done = command_line("train", "--resume", tmp_path / "good", "--out", run, *options)
        assert done.returncode == 4, done.stderr
        assert re.match(r"error: step \d+: ", done.stderr) and done.stderr.count("\n") == 1
        assert expected in done.stderr
        for checkpoint in (run / "checkpoints").iterdir():
            arrays = safetensors.numpy.load_file(checkpoint / "state.safetensors")
            assert all(np.isfinite(array).all() for array in arrays.values())
        assert list((run / "checkpoints").iterdir())


def test_output_that_cannot_be_written_is_status_5(tmp_path):
    done = train(Path("/proc/none/run"), "--steps", 2, expect=5)
    assert "/proc/none" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_in_the_place_of_the_run_folder_is_refused_before_the_data_is_read(tmp_path, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file is a file; name a folder"):
        run(TrainConfig(dataset=str(tmp_path / "none"), out=str(tmp_path / "file" / below), device="cpu"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_end_with_the_shells_status(tmp_path, number, status):
    process = start(tmp_path, "--steps", 100000, "--log-every", 1)
    wait_for_first_log(tmp_path)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in stderr and re.search(r"stopped at step \d+", stderr)
    step = int(re.search(r"stopped at step (\d+)", stderr)[1])
    assert newest_manifest(tmp_path)["step"] == step


def test_two_processes_in_one_folder(tmp_path):
    """The second is refused; a lock that a killed process left behind is none."""
    process = start(tmp_path, "--steps", 100000, "--log-every", 1)
    wait_for_first_log(tmp_path)
    done = train(tmp_path, "--steps", 100000, "--log-every", 1, expect=2)
    assert "another process" in done.stderr and done.stderr.count("\n") == 1
    process.kill()
    process.communicate()
    train(tmp_path, "--steps", 1, "--log-every", 1)


def wait_for_first_log(run: Path) -> None:
    wait_for(lambda: (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text())


def test_conditional_samples_by_label(conditional_run, tmp_path):
    done = command_line(
        "sample",
        conditional_run,
        "--num",
        23,
        "--label",
        7,
        "--npz",
        tmp_path / "a.npz",
        "--png-dir",
        tmp_path / "pngs",
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "a.npz") as archive:
        images, labels = archive["images"], archive["labels"]
    assert images.shape == (23, 28, 28, 1) and images.dtype == np.uint8
    assert labels.dtype == np.int64 and (labels == 7).all()
    pngs = sorted((tmp_path / "pngs").iterdir())
    assert [path.name for path in pngs][:2] == ["000000-7.png", "000001-7.png"] and len(pngs) == 23
    np.testing.assert_array_equal(np.asarray(Image.open(pngs[5])), images[5, ..., 0])


def test_samples_depend_on_seed_and_number_only(plain_run, tmp_path):
    arrays = {}
    for name, arguments in {
        "few": ("--num", 10),
        "many": ("--num", 600),
        "other": ("--num", 10, "--seed", 1),
        "raw": ("--num", 10, "--raw"),
    }.items():
        done = command_line(
            "sample", plain_run, *arguments, "--npz", tmp_path / name, "--grid", tmp_path / f"{name}.png"
        )
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / name) as archive:
            assert archive.files == ["images"]
            arrays[name] = archive["images"]
    assert arrays["many"].shape == (600, 28, 28, 1)
    np.testing.assert_array_equal(arrays["few"], arrays["many"][:10])
    assert (arrays["other"] != arrays["few"]).any() and (arrays["raw"] != arrays["few"]).any()
    assert Image.open(tmp_path / "few.png").size == (582, 60)


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["--num", "5"], 2, "--npz FILE"),
        (["--num", "0", "--grid", "x.png"], 2, "--num 0"),
        (["--label", "3", "--grid", "x.png"], 2, "without --conditional"),
        (["--seed", "-1", "--grid", "x.png"], 2, "--seed -1: must be at least 0"),
    ],
)
def test_bad_sampling_is_one_line(plain_run, arguments, status, expected):
    done = command_line("sample", plain_run, *arguments)
    assert done.returncode == status and expected in done.stderr and done.stderr.count("\n") == 1


def test_sampling_where_there_is_no_run_or_no_checkpoint(tmp_path, plain_run):
    assert command_line("sample", tmp_path, "--grid", tmp_path / "x.png").returncode == 2
    (tmp_path / "config.json").write_text((plain_run / "config.json").read_text())
    done = command_line("sample", tmp_path, "--grid", tmp_path / "x.png")
    assert done.returncode == 3 and "no usable checkpoint" in done.stderr


def test_training_on_a_folder_of_colour_images(tmp_path):
    """64x64 by default, sub-folders as classes."""
    data = tmp_path / "data"
    generator = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (data / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(generator.integers(0, 256, (80, 70, 3)).astype(np.uint8)).save(data / name / f"{i}.png")
    done = train(
        tmp_path / "run", "--dataset", data, "--steps", 2, "--conditional", "--recipe", "paper", "--loss", "wgan-gp"
    )
    assert "12 images of data in 2 classes, 64x64x3" in done.stdout
    assert "the discriminator has no BatchNorm" in done.stdout
    done = command_line("sample", tmp_path / "run", "--num", 4, "--label", 1, "--npz", tmp_path / "s.npz")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "s.npz") as archive:
        assert archive["images"].shape == (4, 64, 64, 3)


def test_a_set_of_many_classes_and_few_images_has_a_whole_grid(tmp_path):
    """40 classes of one image each; the batch is larger than the set."""
    for i in range(40):
        (tmp_path / "data" / f"{i:02d}").mkdir(parents=True)
        Image.new("RGB", (40, 40), (6 * i, 0, 0)).save(tmp_path / "data" / f"{i:02d}" / "x.png")
    train(
        tmp_path / "run",
        "--dataset",
        tmp_path / "data",
        "--steps",
        1,
        "--conditional",
        "--image-size",
        28,
        "--batch-size",
        64,
    )
    assert Image.open(tmp_path / "run" / "samples" / "step-00000001.png").size == (10 * 58 + 2, 8 * 58 + 2)


def test_paths_with_spaces_and_printed_commands_work(tmp_path):
    """As seen from the folder where the run was started."""
    done = command_line("train", "--out", "a run", "--steps", 1, *TINY, cwd=tmp_path)
    command = re.search(r"more +(.*)", done.stdout)[1]
    sampled = subprocess.run(shlex.split(command), cwd=tmp_path, capture_output=True, text=True)
    assert sampled.returncode == 0, sampled.stderr
    assert (tmp_path / "samples.npz").exists()


def test_options_that_change_numbers_reach_the_networks_and_optimisers():
    options = {
        "loss": "gan",
        "label_smoothing": 0.1,
        "gradient_clip": 0.01,
        "generator_learning_rate": 1e-3,
        "learning_rate": 5e-4,
        "beta1": 0.3,
        "ema_decay": 0.5,
        "discriminator_steps": 3,
        "init": "dcgan",
        "width": 4,
        "latent_dim": 17,
        "discriminator_norm": "none",
    }
    config, _ = resolve(TrainConfig(**options), "cpu")
    task = build(config, classes=10)
    generator, discriminator = task.generator, task.discriminator
    assert (generator.optimizer.get_lr(), discriminator.optimizer.get_lr()) == (1e-3, 5e-4)
    assert generator.optimizer._grad_clip.clip_norm == 0.01
    assert generator.optimizer._beta1 == 0.3
    assert task.objective.discriminator_steps == 3 and generator.average_decay == 0.5
    assert generator.network.latent_dim == 17 and generator.network.project.linear.weight.shape[0] == 17
    zero = paddle.zeros([4])
    # With logit 0 both targets cost the same; elsewhere the smoothed target shows.
    assert task.objective.discriminator_loss(zero + 3, zero).item() == pytest.approx(
        np.log1p(np.exp(-3)) + 0.3 + np.log(2), rel=1e-5
    )
    assert not any("BN" in name for name in discriminator.network.state_dict())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are no UTF-8")
def test_folders_may_have_names_in_any_bytes(tmp_path):
    """As a zip file from a Chinese Windows brings them: of the data, and of the run, which goes on."""
    name = os.fsdecode(b"\xb9\xb7")
    (tmp_path / name).mkdir()
    for i, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (12, 28, 28)).astype(np.uint8)):
        Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    run = tmp_path / f"{name}.run"
    options = ("--dataset", tmp_path / name, "--image-size", 28, "--channels", 1, "--log-every", 1)
    train(run, *options, "--steps", 2)
    assert "going on from step 2" in train(run, *options, "--steps", 3).stdout
    assert newest_manifest(run)["step"] == 3 and list((run / "visualdl").iterdir())


def test_every_objective_has_a_tuned_recipe_that_its_penalties_allow():
    assert set(TUNED) == set(OBJECTIVES)
    for loss in OBJECTIVES:
        config, notices = resolved(loss=loss)
        bare = ("none", "he") if loss != "wgan" else ("batch", "dcgan")
        assert (config.recipe, config.discriminator_norm, config.discriminator_init) == ("tuned", *bare), loss
        assert config.clusters is None and not any("BatchNorm" in notice for notice in notices)
        penalties = objective_of(config).penalties
        assert [penalty.every for penalty in penalties] == [config.penalty_every] * len(penalties)


def test_r1_is_added_to_any_loss_but_not_twice_and_not_with_batch_norm():
    assert [penalty.weight for penalty in objective_of(resolved(r1=0.3).config).penalties] == [0.3]
    both = objective_of(resolved(loss="wgan-gp", r1=0.3, penalty_weight=2.0).config).penalties
    assert [(penalty.weight, penalty.centre) for penalty in both] == [(2.0, 1.0), (0.3, 0.0)]
    assert resolved(discriminator_norm="batch").config.r1 == 0
    for options, message in (
        ({"loss": "gan-r1", "r1": 0.1}, "has that penalty already"),
        ({"loss": "wgan", "r1": 0.1}, "clipped already"),
        ({"r1": 0.1, "discriminator_norm": "batch"}, "mixes the samples"),
        ({"r1": 0.0, "penalty_every": 4}, "no gradient penalty"),
    ):
        with pytest.raises(UsageError, match=message):
            resolved(**options)
