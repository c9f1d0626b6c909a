"""Clusters of a data set, the mixture that is sampled from them, and the runs that train on them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
import paddle.nn as nn
import pytest
from conftest import command_here, command_line, train_here

from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import load_dataset
from paddle_gan.datasets.image_set import DiskImages, ImageSet
from paddle_gan.errors import DataError
from paddle_gan.features.clusters import assign, find_clusters, k_means, nearest
from paddle_gan.features.outlines import outlines
from paddle_gan.networks.mixture import Mixture
from paddle_gan.runs.clusters import cluster_count, run_clusters, save_clusters
from paddle_gan.runs.generators import generator_with, load_generator
from paddle_gan.runs.resolve import resolve


def blobs(count: int = 600, kinds: int = 4, classes: int = 0) -> ImageSet:
    """Images of 8×8 in so many kinds, each a bright block in another place with a little noise."""
    random = np.random.default_rng(0)
    images = random.integers(0, 20, (count, 1, 8, 8), dtype=np.uint8)
    kind = np.arange(count) % kinds
    for i, place in enumerate(kind):
        row, column = divmod(int(place), 2)
        images[i, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 200
    labels = kind % classes if classes else None
    return ImageSet("blobs", images, labels, tuple(map(str, range(classes))))


def test_k_means_finds_separate_groups_and_their_means():
    random = np.random.default_rng(1)
    groups = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], np.float32)
    points = np.repeat(groups, 50, axis=0) + random.normal(scale=0.1, size=(200, 2)).astype(np.float32)
    centres = k_means(points, 4, random)
    order = nearest(groups, centres)
    assert sorted(order) == [0, 1, 2, 3]
    np.testing.assert_allclose(centres[order], points.reshape(4, 50, 2).mean(1), rtol=1e-5)


def test_k_means_of_equal_points_and_of_as_many_centres_as_points():
    random = np.random.default_rng(1)
    assert (k_means(np.ones((5, 3), np.float32), 3, random) == 1).all()
    points = random.normal(size=(6, 3)).astype(np.float32)
    assert len(set(nearest(points, k_means(points, 6, random)))) == 6


def edges_and_colours(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of one image of 28×28 pixels: [8, 7, 7] and [C, 7, 7]."""
    found = outlines(image[None]).reshape(-1, 7, 7)
    return found[:8], found[8:]


def test_the_outlines_of_an_edge_by_hand():
    """Dark on the left, bright on the right: the edge counts for "to the right" with 1, beside it with cos⁵ 45°."""
    image = np.zeros((28, 28, 1), np.uint8)
    image[:, 14:] = 255
    edges, colours = edges_and_colours(image)
    assert (
        (edges[0, :, 3] > 0.1).all()
        and (edges[:, :, [0, 1, 5, 6]] == 0).all()
        and (edges[[2, 3, 4, 5, 6]] < 1e-6).all()
    )
    np.testing.assert_allclose(edges[[1, 7], :, 3], edges[[0, 0], :, 3] * np.cos(np.pi / 4) ** 2.5, rtol=1e-5)
    np.testing.assert_allclose(colours[0, 0], [0, 0, 0, 0.25, 0.5, 0.5, 0.5], atol=1e-6)
    turned, _ = edges_and_colours(np.rot90(image))  # bright above: the direction upwards is the sixth
    np.testing.assert_allclose(turned[6, 3], edges[0, :, 3], rtol=1e-5)
    assert edges_and_colours(np.full((28, 28, 3), 90, np.uint8))[0].max() < 1e-6


@pytest.mark.parametrize(("shape", "cells"), [((64, 64, 3), 49), ((48, 64, 4), 35), ((16, 16, 1), 49), ((8, 40, 1), 7)])
def test_the_outlines_of_images_of_any_size(shape, cells):
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    found = outlines(images)
    assert found.shape == (2, (8 + shape[2]) * cells) and found.dtype == np.float32 and np.isfinite(found).all()


def test_clusters_of_digits_are_mostly_of_one_digit():
    """0.81 in the principal components of the pixels, 0.91 in those of the outlines."""
    digits = load_dataset("mnist", 28, 1)
    some = replace(digits, images=digits.images[:6000], labels=digits.labels[:6000])
    clusters, counts = find_clusters(some, 60, seed=0), np.zeros((60, 10))
    np.add.at(counts, (clusters.labels, some.labels), 1)
    assert counts.max(1).sum() / 6000 > 0.88


def test_clusters_are_the_kinds_of_the_images():
    clusters = find_clusters(blobs(), 4, seed=0)
    found = clusters.labels.reshape(-1, 4)
    assert (found == found[0]).all() and sorted(found[0]) == [0, 1, 2, 3]
    np.testing.assert_allclose(clusters.shares, np.full((1, 4), 0.25))
    again = find_clusters(blobs(), 4, seed=0)
    np.testing.assert_array_equal(again.labels, clusters.labels)


def test_clusters_within_classes_divide_each_class():
    data = blobs(classes=2)
    clusters = find_clusters(data, 4, seed=0, within_classes=True)
    np.testing.assert_array_equal(clusters.classes[clusters.labels], data.labels)
    np.testing.assert_allclose(clusters.shares, [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])


def test_a_class_that_the_choice_of_images_misses_has_a_cluster_too(monkeypatch):
    data = blobs()
    rare = replace(data, labels=(np.arange(len(data)) == 7).astype(np.int64), classes=("many", "one"))
    monkeypatch.setattr("paddle_gan.features.clusters._MOST_FITTED", 20)
    for seed in range(5):
        clusters = find_clusters(rare, 4, seed, within_classes=True)
        assert (clusters.labels == clusters.labels[7]).sum() == 1 and clusters.classes[clusters.labels[7]] == 1


def test_other_images_are_assigned_to_the_same_clusters():
    clusters, data = find_clusters(blobs(), 4, seed=0), blobs()
    backwards = replace(data, images=data.images[::-1])
    np.testing.assert_array_equal(assign(clusters, backwards).labels, clusters.labels[::-1])


def test_clusters_of_an_older_version_are_for_the_images_of_then(tmp_path):
    data = blobs()
    clusters = find_clusters(data, 4, seed=0)
    older = replace(clusters, components=clusters.components[:64], mean=clusters.mean[:64])
    save_clusters(older, "fingerprint", tmp_path)
    config = resolve(TrainConfig(clusters=4), "cpu").config
    found = run_clusters(config, data, "fingerprint", tmp_path, print)
    assert found is not None and (found.labels == clusters.labels).all()
    with pytest.raises(DataError, match="an older version found these clusters, and the images have changed"):
        run_clusters(config, data, "another", tmp_path, print)


class Parts(nn.Layer):
    """Images that show their label."""

    latent_dim, value_range = 3, (-1.0, 1.0)

    def forward(self, latents, labels=None):
        return labels.astype("float32").reshape([-1, 1, 1, 1]).expand([-1, 1, 4, 4])


@pytest.mark.parametrize("shares", [[0.5, 0.0, 0.2, 0.3], [0.0, 1.0], [1.0, 0.0, 0.0], [1 / 3] * 3])
def test_a_mixture_has_the_shares(shares):
    mixture = Mixture(Parts(), np.array([shares], np.float32))
    assert (mixture.latent_dim, mixture.classes) == (4, 0)
    paddle.seed(0)
    found = mixture(paddle.randn([100_000, 4]))[:, 0, 0, 0].numpy().astype(int)
    counts = np.bincount(found, minlength=len(shares)) / 100_000
    np.testing.assert_allclose(counts, shares, atol=5 * 0.5 / 100_000**0.5)  # five deviations of a share
    assert (counts[np.array(shares) == 0] == 0).all()


def test_a_mixture_within_classes_stays_within_them():
    mixture = Mixture(Parts(), np.array([[0.25, 0.75, 0, 0, 0], [0, 0, 0, 0.5, 0.5]], np.float32))
    labels = paddle.arange(40_000) % 2
    found = mixture(paddle.randn([40_000, 4]), labels)[:, 0, 0, 0].numpy().astype(int)
    first, second = np.bincount(found[::2], minlength=5), np.bincount(found[1::2], minlength=5)
    np.testing.assert_allclose(first / 20_000, [0.25, 0.75, 0, 0, 0], atol=0.02)
    np.testing.assert_allclose(second / 20_000, [0, 0, 0, 0.5, 0.5], atol=0.02)


def test_latents_far_out_choose_the_first_and_the_last_part():
    mixture = Mixture(Parts(), np.array([[0, 0.5, 0.5, 0]], np.float32))
    choice = paddle.to_tensor([[-30.0], [-1e-6], [1e-6], [30.0]])
    assert mixture.part_of(choice).tolist() == [1, 1, 2, 2]


def test_the_number_of_clusters_follows_from_the_number_of_images():
    def count(images: int, **options) -> int:
        return cluster_count(resolve(TrainConfig(**options), "cpu").config, images)

    assert [count(images) for images in (60, 119, 120, 3_786, 60_000, 10**7)] == [0, 0, 2, 63, 200, 200]
    assert count(60_000, conditional=True) == 200 and count(60_000, conditional=True, clusters=40) == 40
    assert count(60_000, clusters=0) == 0 and count(30, clusters=50) == 30


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PADDLE_GAN_CACHE", str(folder))
    return folder


def test_images_on_the_disk_are_divided_as_in_memory_and_that_is_said(tmp_path, cache):
    data, said = blobs(), []
    on_disk = replace(data, images=DiskImages(data.images.shape, lambda index: data.images[index]))
    config = resolve(TrainConfig(clusters=4), "cpu").config
    found = run_clusters(config, on_disk, "a", tmp_path, said.append)
    np.testing.assert_array_equal(found.labels, find_clusters(data, 4, seed=0).labels)
    assert said == ["notice: all 600 images are read once to find clusters; --clusters 0 trains without them"]


def test_a_run_keeps_its_clusters(tmp_path, cache):
    config, data, said = resolve(TrainConfig(clusters=4), "cpu").config, blobs(), []
    first = run_clusters(config, data, "a", tmp_path, said.append)
    save_clusters(first, "a", tmp_path)
    kept = replace(first, labels=first.labels[::-1].copy())
    save_clusters(kept, "a", tmp_path)
    np.testing.assert_array_equal(run_clusters(config, data, "a", tmp_path, said.append).labels, kept.labels)
    moved = replace(data, images=data.images[:100])  # other data: assigned to the same centres
    np.testing.assert_array_equal(run_clusters(config, moved, "b", tmp_path, said.append).labels, first.labels[:100])
    assert said == []
    (tmp_path / "clusters.safetensors").write_bytes(b"\x10" * 50)
    np.testing.assert_array_equal(run_clusters(config, data, "a", tmp_path, said.append).labels, first.labels)
    assert len(said) == 1 and "cannot be read" in said[0]
    assert run_clusters(replace(config, clusters=0), data, "a", tmp_path, said.append) is None


def test_a_later_run_need_not_find_the_same_clusters_again(tmp_path, cache, monkeypatch):
    """In another folder; but for other data, another seed or another number, and where what was kept is damaged."""
    config, data = resolve(TrainConfig(clusters=4), "cpu").config, blobs()
    found = []

    def counted(*arguments, **options):
        found.append(arguments)
        return find_clusters(*arguments, **options)

    monkeypatch.setattr("paddle_gan.runs.clusters.find_clusters", counted)

    def labels(fingerprint: str = "a", **others) -> np.ndarray:
        return run_clusters(replace(config, **others), data, fingerprint, tmp_path, print).labels

    first = labels()
    np.testing.assert_array_equal(labels(), first)
    assert len(found) == 1
    for others in ({"fingerprint": "b"}, {"seed": 1}, {"clusters": 5}):
        labels(**others)
    assert len(found) == 4
    for path in cache.glob("*.clusters"):
        path.write_bytes(path.read_bytes()[:-1])
    np.testing.assert_array_equal(labels(), first)
    assert len(found) == 5


@pytest.mark.parametrize("labels", [[], ["--conditional"]], ids=["unconditional", "conditional"])
def test_a_run_on_clusters_is_sampled_exported_measured_and_resumed_like_any(tmp_path, labels):
    options = [*labels, "--recipe", "tuned", "--schedule", "constant", "--clusters", "20", "--evaluate-every", "0"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_here(whole, *options, "--steps", "6")
    train_here(parts, *options, "--steps", "3")
    assert json.loads((parts / "config.json").read_text())["clusters"] == 20
    files = [run / "clusters.safetensors" for run in (whole, parts)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert command_line("train", "--resume", parts, "--steps", "6").returncode == 0
    ends = [load_generator(run, lambda line: None) for run in (whole, parts)]
    assert isinstance(ends[0].network, Mixture)
    for name, tensor in ends[0].network.state_dict().items():
        np.testing.assert_array_equal(ends[1].network.state_dict()[name].numpy(), tensor.numpy())
    from_file = generator_with(whole, whole / "generator.pdparams")
    assert from_file.classes == ends[0].classes == (tuple("0123456789") if labels else ())
    sampled, exported = tmp_path / "run.npz", tmp_path / "exported.npz"
    command_here("sample", whole, "--num", "40", "--npz", sampled)
    command_here("export", whole)
    command_here("sample", whole / "exported", "--num", "40", "--npz", exported)
    with np.load(sampled) as mine, np.load(exported) as theirs:
        assert np.abs(mine["images"].astype(int) - theirs["images"]).max() <= 1
        assert ("labels" in mine) == bool(labels)
    command_here("evaluate", whole, "--num", "100")
