"""Translations without pairs: there and back again, patches in one direction, old images, and their runs."""

import json

import numpy as np
import paddle
import pytest
from conftest import newest_manifest
from PIL import Image
from translations import SMALL, assert_same_sheets, interrupt, make_images

from paddle_gan.config.translate import ApplyConfig, TranslateConfig
from paddle_gan.errors import UsageError
from paddle_gan.networks.translation import PatchDiscriminator, PatchHeads, ResidualGenerator, feature_channels
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.contrastive import patch_contrast
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.runs.translation import run_translation
from paddle_gan.runs.translation_data import load_translation_data, spread, translation_feed
from paddle_gan.runs.translation_options import resolve_translation
from paddle_gan.runs.translators import load_translator, translate_files
from paddle_gan.system import parallel
from paddle_gan.system.randomness import seeded
from paddle_gan.training import contrast, unpaired
from paddle_gan.training.diagnosis import FAULTS, diagnosis
from paddle_gan.training.log import read_metrics

# ---- Losses


def test_the_contrast_of_patches_by_hand():
    """Two patches of two features at τ = 1, each nearer to its own; one value for each image."""
    queries = paddle.to_tensor([[[1.0, 0.0], [0.6, 0.8]]])
    keys = paddle.to_tensor([[[1.0, 0.0], [0.6, 0.8]]])
    logits = np.array([[1.0, 0.6], [0.6, 1.0]])
    expected = np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(logits)])
    assert patch_contrast(queries, keys, temperature=1.0).item() == pytest.approx(expected, rel=1e-6)
    far = np.log(np.exp(np.array([1, 0.6]) / 0.07).sum()) - 1 / 0.07
    assert patch_contrast(queries, keys).item() == pytest.approx(far, rel=1e-3)
    # All patches alike: one of P, by chance.
    alike = paddle.ones([3, 5, 4]) / 2
    assert patch_contrast(alike, alike).tolist() == pytest.approx([np.log(5)] * 3, rel=1e-6)
    queries.stop_gradient = keys.stop_gradient = False
    patch_contrast(queries, keys).backward()
    assert queries.grad is not None and keys.grad is None


def test_heads_take_the_pixels_at_their_places():
    paddle.seed(0)
    heads = PatchHeads((3, 5), width=4)
    maps = [paddle.rand([2, 3, 4, 6]), paddle.rand([2, 5, 2, 3])]
    places = [paddle.to_tensor([23, 7]), paddle.to_tensor([4])]
    made = heads(maps, places)
    assert [one.shape for one in made] == [[2, 2, 4], [2, 1, 4]]
    np.testing.assert_allclose(paddle.linalg.norm(made[0], axis=-1).numpy(), 1, rtol=1e-3)
    pixel = maps[0][1, :, 1, 1]  # place 7 of 6 columns
    hidden = paddle.nn.functional.relu(heads.first[0](pixel))
    expected = heads.second[0](hidden)
    np.testing.assert_allclose(made[0][1, 1].numpy(), (expected / expected.norm()).numpy(), rtol=1e-4, atol=1e-6)


def test_old_images_take_the_place_of_about_half():
    """Every image has its own value. The buffer fills first; then each image is shown or kept, never both or none."""
    buffer, given, shown = paddle.zeros([6, 1, 1, 1]), [], []
    with seeded("test", 0):
        for number in range(100):
            images = paddle.to_tensor([4.0 * number + i + 1 for i in range(4)]).reshape([4, 1, 1, 1])
            made = unpaired.exchanged(buffer, 4 * number, images)
            given += images.flatten().tolist()
            shown.append(made.flatten().tolist())
            if number == 0:
                assert shown[0] == given and buffer.flatten().tolist() == [1, 2, 3, 4, 0, 0]
            if number == 1:
                assert shown[1][:2] == [5, 6]
    kept = buffer.flatten().tolist()
    flat = [value for row in shown[2:] for value in row]
    old = [value for number, row in enumerate(shown[2:], 2) for value in row if value <= 4 * number]
    assert 0.4 < len(old) / len(flat) < 0.6
    assert len(set(flat)) >= len(flat) - 6 and not set(kept) - set(given)
    # What was given is shown or still kept: nothing is lost but the six that were shown when the buffer filled.
    assert set(given) == {value for row in shown for value in row} | set(kept)


# ---- Rounds


def images(*shape: int, seed: int = 0) -> paddle.Tensor:
    return paddle.to_tensor(np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32))


def batches(number: int) -> tuple[paddle.Tensor, paddle.Tensor]:
    return images(2, 3, 16, 16, seed=2 * number), images(2, 3, 16, 16, seed=2 * number + 1)


def generator() -> ResidualGenerator:
    return ResidualGenerator(3, 3, width=2, blocks=2)


def discriminator() -> PatchDiscriminator:
    return PatchDiscriminator(3, width=2, depth=1)


ADAMS = {"generator_optimizer": Adam(), "discriminator_optimizer": Adam()}


def cycle(**weights) -> unpaired.Cycle:
    with seeded("weights", 0):
        shown = (images(2, 3, 16, 16), images(2, 3, 16, 16))
        weights = {"cycle_weight": 10.0, "identity_weight": 5.0} | weights
        return unpaired.assemble(generator, discriminator, OBJECTIVES["lsgan"], shown, crop=16, **weights, **ADAMS)


def one_way(identity_weight: float = 1.0) -> contrast.Contrast:
    with seeded("weights", 0):
        return contrast.assemble(
            generator,
            discriminator,
            lambda: PatchHeads(feature_channels(3, 2), 8),
            OBJECTIVES["lsgan"],
            images(2, 3, 16, 16),
            patch_weight=1.0,
            identity_weight=identity_weight,
            **ADAMS,
        )


def lsgan(logits: np.ndarray, code: float) -> float:
    return 0.5 * ((logits - code) ** 2).mean()


def test_a_round_there_and_back_logs_the_losses_of_the_paper():
    """The values of the first round from the networks as they were (Zhu et al. 2017, eqs. 1 to 3, with LSGAN)."""
    task = cycle()
    there, back, judge, judge_back = (
        task.players[name].network for name in ("generator", "generator_back", "discriminator", "discriminator_back")
    )
    first, second = batches(0)
    fake, fake_back = there(first), back(second)
    distance = lambda a, b: np.abs(a.numpy() - b.numpy()).mean()  # noqa: E731
    expected = {
        "loss/generator": lsgan(judge(fake).numpy(), 1),
        "loss/generator_back": lsgan(judge_back(fake_back).numpy(), 1),
        "loss/cycle": distance(back(fake), first) + distance(there(fake_back), second),
        "loss/identity": distance(back(first), first) + distance(there(second), second),
        "loss/discriminator": lsgan(judge(second).numpy(), 1) + lsgan(judge(fake).numpy(), 0),
        "loss/discriminator_back": lsgan(judge_back(first).numpy(), 1) + lsgan(judge_back(fake_back).numpy(), 0),
        "mean_logit/fake_back": judge_back(fake_back).numpy().mean(),
    }
    scalars = task.round(batches, seed=0, measure=True)
    for name, value in expected.items():
        assert scalars[name].item() == pytest.approx(value, rel=1e-3, abs=1e-6), name
    assert {f"optimizer/gradient_norm_{name}" for name in task.players} <= set(scalars)
    np.testing.assert_allclose(task.buffers["fakes"].numpy()[:2], fake.numpy(), atol=1e-5)
    assert (task.buffers["fakes"].numpy()[2:] == 0).all()


def test_the_weights_of_the_way_back_and_of_the_identity():
    """With SGD of rate 1 the change of a weight is its gradient, which is linear in the weights of the losses."""

    def moved(cycle_weight: float, identity_weight: float) -> np.ndarray:
        task = cycle(cycle_weight=cycle_weight, identity_weight=identity_weight)
        for player in (task.generator, task.generator_back):
            player.optimizer = paddle.optimizer.SGD(1.0, parameters=player.network.parameters())
        before = task.generator.network.last.weight.numpy()
        task.round(batches, seed=0)
        return task.generator.network.last.weight.numpy() - before

    nothing, of_cycle, of_identity = moved(0, 0), moved(1, 0), moved(0, 1)
    assert min(np.abs(of_cycle - nothing).max(), np.abs(of_identity - nothing).max()) > 1e-4
    np.testing.assert_allclose(moved(2, 3), 2 * of_cycle + 3 * of_identity - 4 * nothing, atol=2e-5)


def test_a_round_of_patches_logs_its_losses_and_trains_the_heads():
    task = one_way()
    first, second = batches(0)
    fake = task.generator.network(first)
    judge = task.discriminator.network
    expected = lsgan(judge(second).numpy(), 1) + lsgan(judge(fake).numpy(), 0)
    before = task.patches.network.first[1].weight.numpy()
    scalars = task.round(batches, seed=0)
    assert scalars["loss/discriminator"].item() == pytest.approx(expected, rel=1e-3)
    # 256, 64, 16, 16 and 16 patches, of which one is found no better than by chance before training.
    assert 0 < scalars["loss/patches"].item() < 2 * np.log(256)
    assert "loss/identity" in scalars and np.abs(task.patches.network.first[1].weight.numpy() - before).max() > 0
    assert "loss/identity" not in one_way(identity_weight=0.0).round(batches, seed=0)


def test_every_discriminator_has_its_own_diagnosis():
    task, line = cycle(), {"loss/discriminator": 0.25, "loss/discriminator_back": 1e-4}
    task.step = 300
    callbacks = [
        diagnosis(task.objective, [], suffix, {"discriminator_saturated": "do less"}) for suffix in ("", "_back")
    ]
    for _ in range(10):
        values = dict(line)
        for callback in callbacks:
            callback(task, values)
    assert set(values) - set(line) == {"diagnosis/discriminator_saturated_back"}
    sentence = FAULTS["discriminator_saturated"].sentence
    assert values["diagnosis/discriminator_saturated_back"] == f"discriminator_back: {sentence}; do less"


# ---- Runs


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images"))


def options(folders, method: str) -> dict:
    return {"unpaired": (str(folders / "a"), str(folders / "b")), "method": method, "blocks": 2} | SMALL


@pytest.fixture(scope="module", params=["cyclegan", "cut"])
def run(request, folders, tmp_path_factory):
    """A finished run of each method."""
    folder = tmp_path_factory.mktemp("run") / request.param
    run_translation(TranslateConfig(**options(folders, request.param), steps=8, out=str(folder)), lambda line: None)
    return folder


def test_an_interrupted_run_comes_to_the_same_bits(run, folders, tmp_path, monkeypatch):
    given = TranslateConfig(**options(folders, run.name), steps=8, out=str(tmp_path / "run"))
    interrupt(given, 7, monkeypatch)
    assert newest_manifest(tmp_path / "run")["step"] == 4
    run_translation(given, lambda line: None)
    assert newest_manifest(tmp_path / "run")["sha256"] == newest_manifest(run)["sha256"]
    assert_same_sheets(run, tmp_path / "run")


def test_values_best_checkpoint_and_curves(run):
    lines = read_metrics(run / "metrics.jsonl")
    measured = {line["step"]: line["evaluation/frechet_distance"] for line in lines if "evaluation/diversity" in line}
    assert set(measured) == {4, 8}
    best = json.loads((next((run / "best").glob("step-*")) / "manifest.json").read_text())
    assert best["step"] == min(measured, key=measured.__getitem__)
    rates = [line["optimizer/learning_rate_generator"] for line in lines]
    # Of the rounds 1, 2, 4, 6 and 8 of 8: constant for half of the run, then linear to zero.
    np.testing.assert_allclose(rates, [2e-4, 2e-4, 2e-4, 1.5e-4, 0.5e-4], atol=1e-9)
    assert ("loss/cycle" in lines[-1]) == (run.name == "cyclegan") and list((run / "visualdl").glob("*vdlrecords*"))


def test_it_is_applied_both_ways_where_it_learned_both(run, folders, tmp_path):
    made = {}
    for reverse in (False, True):
        if reverse and run.name == "cut":
            with pytest.raises(UsageError, match="learned one direction only"):
                load_translator(run, reverse=True)
            continue
        translator = load_translator(run, reverse=reverse)
        config = ApplyConfig(out=str(tmp_path / str(reverse)))
        assert translate_files(translator, [folders / "a" / "3.png"], config, print) == (1, 0)
        made[reverse] = np.asarray(Image.open(tmp_path / str(reverse) / "3.png"))
    assert made[False].shape == (20, 20, 3)
    assert run.name == "cut" or (made[True] != made[False]).any()


def test_same_names_are_hidden_pairs_for_measures_only(run, tmp_path, capsys):
    from paddle_gan.commands import COMMANDS
    from paddle_gan.commands.command import Command

    evaluate = COMMANDS["evaluate"]
    assert isinstance(evaluate, Command)
    evaluate.run(evaluate.parse([str(run), "--device", "cpu", "--out", str(tmp_path / "record.json")]))
    figures = json.loads((tmp_path / "record.json").read_text())["figures"]
    assert {"l1", "psnr", "ssim", "frechet_distance", "diversity"} <= set(figures)
    assert figures["l1"]["identity"] > 0.5  # white and black are exchanged
    assert "inputs, translations, targets" in capsys.readouterr().out


def test_the_two_sets_come_in_orders_of_their_own(folders):
    """With the same names and numbers of images, batches must not be pairs; the same batches at every start."""
    given = TranslateConfig(**{**options(folders, "cut"), "batch_size": 9, "load_size": 16, "no_mirror": True})
    config = resolve_translation(given, "cpu")
    data = load_translation_data(config)
    assert [len(images) for images in (*data.training, *data.held_out)] == [9, 9, 3, 3]
    assert data.held_out[0].names == data.held_out[1].names
    with translation_feed(config, data) as feed:
        first, second = (side.numpy() for side in feed(0))
        again = feed(0)[1].numpy()
    np.testing.assert_array_equal(second, again)
    # The second set is the first one inverted: of pairs the sum would be 0.
    assert sum(np.abs(a + b).max() < 0.02 for a, b in zip(first, second, strict=True)) < 5


def test_what_does_not_go_with_cyclegan_is_refused(folders, tmp_path, monkeypatch):
    given = {**options(folders, "cyclegan"), "out": str(tmp_path)}
    with pytest.raises(UsageError, match="--batch-size 51 with --method cyclegan: at most 50"):
        run_translation(TranslateConfig(**{**given, "batch_size": 51}), print)
    monkeypatch.setattr(parallel, "world_size", lambda: 2)
    with pytest.raises(UsageError, match="use --method cut"):
        run_translation(TranslateConfig(**{**given, "batch_size": 4}), print)


BAD = {
    "unet": ({"method": "cut", "generator": "unet"}, "--generator unet with --method cut"),
    "patches": ({"patch_weight": 1.0}, "--patch-weight is for --method cut and fastcut"),
    "cycle": ({"method": "cut", "cycle_weight": 1.0}, "--cycle-weight is for --method cyclegan"),
    "identity": ({"method": "fastcut", "identity_weight": 1.0}, "--identity-weight is for --method cyclegan and cut"),
}


@pytest.mark.parametrize(("given", "message"), BAD.values(), ids=BAD.keys())
def test_options_that_do_not_go_together_are_refused(given, message):
    with pytest.raises(UsageError, match=message):
        resolve_translation(TranslateConfig(unpaired=("a", "b"), **given), "cpu")


@pytest.mark.parametrize(
    ("method", "weights"),
    [("cyclegan", (10, 5, None)), ("cut", (None, 1, 1)), ("fastcut", (None, None, 10))],
)
def test_the_weights_of_the_papers(method, weights):
    config = resolve_translation(TranslateConfig(unpaired=("a", "b"), method=method), "cpu")
    assert (config.cycle_weight, config.identity_weight, config.patch_weight) == weights
    assert (config.generator, config.blocks, config.schedule) == ("residual", 6, "late")


def test_shown_images_are_spread_over_the_set():
    assert spread(9, 3).tolist() == [0, 4, 8] and spread(2, 5).tolist() == [0, 1] and spread(1, 5).tolist() == [0]
