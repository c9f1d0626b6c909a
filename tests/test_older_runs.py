"""Run folders that version 0.1.0 wrote still sample, measure and go on; `data/run-0.1.0` is one, two steps long."""

import shutil

import numpy as np
import pytest
from conftest import ROOT, command_line, newest_manifest

from paddle_gan.inference.sampling import generate
from paddle_gan.runs.folder import read_config
from paddle_gan.runs.generators import generator_with, load_generator


@pytest.fixture
def older_run(tmp_path):
    return shutil.copytree(ROOT / "tests" / "data" / "run-0.1.0", tmp_path / "run")


def test_its_network_has_its_name_of_today(older_run):
    config = read_config(older_run)
    assert (config.generator, config.discriminator) == ("tutorial", "tutorial")


def test_its_average_is_loaded_and_samples(older_run):
    trained, from_file = load_generator(older_run), generator_with(older_run, older_run / "generator.pdparams")
    assert trained.step == 2 and trained.classes == tuple("0123456789")
    for name, value in trained.network.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), from_file.network.state_dict()[name].numpy())
    images, labels = next(generate(trained.network, 3, seed=0, classes=10))
    assert images.shape == (3, 32, 32, 1) and labels.tolist() == [0, 1, 2]
    raw = load_generator(older_run, raw=True).network.state_dict()
    assert any((raw[name] != value).any().item() for name, value in trained.network.state_dict().items())


def test_it_goes_on(older_run):
    done = command_line("train", "--resume", older_run, "--steps", 4, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "going on from step 2" in done.stdout and "the data is not" not in done.stdout
    assert (newest_manifest(older_run)["step"], newest_manifest(older_run)["format"]) == (4, 3)
