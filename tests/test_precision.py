"""--precision: what is cast and what is not, the scales of losses through a resume, and what is refused.

There is no GPU here: what Paddle's automatic mixed precision is put around is recorded, and its scaler, which
works on a GPU only, is told that it is on one.
"""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import paddle
import paddle.amp.grad_scaler as grad_scaler
import pytest
from conftest import command_line, train, train_here
from states import tiny_task, trained

from paddle_gan.backend import kernels, onednn, precision
from paddle_gan.backend.precision import Precision, mixed
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import NumericalError, UsageError
from paddle_gan.inference.npz_files import read_npz
from paddle_gan.inference.sampling import generate
from paddle_gan.runs.building import precision_of
from paddle_gan.runs.folder import read_config, refuse_other_run
from paddle_gan.runs.generators import load_generator
from paddle_gan.runs.resolve import resolve
from paddle_gan.training import checkpoint
from paddle_gan.training.loop import train as train_loop
from paddle_gan.training.noise_to_image import discriminator_step, generator_step
from paddle_gan.training.state import arrays_of

needs_rounding = pytest.mark.skipif(not precision.can_round(), reason="oneDNN cannot train in bfloat16 here")


def images(number):
    paddle.seed(number)
    return paddle.rand([4, 1, 28, 28]) * 2 - 1, None


@pytest.mark.parametrize("loss", ["lsgan", "wgan-gp", "gan-r1-r2"])
def test_networks_are_cast_and_penalties_are_not(monkeypatch, loss):
    inside, asked, calls = [], [], []

    @contextmanager
    def auto_cast(**options):
        asked.append(options)
        inside.append(True)
        yield
        inside.pop()

    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)
    task = tiny_task(loss=loss)
    task.precision = mixed("bfloat16", scaled=False)
    for name, player in task.players.items():
        player.network.register_forward_pre_hook(lambda *_, name=name: calls.append((name, bool(inside))))
    real, labels = images(0)
    discriminator_step(task, real, labels, paddle.randn([4, 64]))
    penalised = {"lsgan": 0, "wgan-gp": 1, "gan-r1-r2": 2}[loss]
    assert calls == [("generator", True), ("discriminator", True), *[("discriminator", False)] * penalised]
    calls.clear()
    generator_step(task, None, paddle.randn([4, 64]))
    assert calls == [("generator", True), ("discriminator", True)]
    assert all(options == {"dtype": "bfloat16", "level": "O1"} for options in asked) and len(asked) == 4


def test_what_comes_out_of_a_cast_network_is_float32_with_its_gradient():
    x = paddle.to_tensor([1.0, 2.0], stop_gradient=False)
    y = Precision().forward(lambda inputs, labels: (3 * inputs).astype("bfloat16"), x, None)
    assert y.dtype == paddle.float32
    y.sum().backward()
    assert x.grad.tolist() == [3, 3] and x.grad.dtype == paddle.float32


@pytest.fixture
def on_a_gpu(monkeypatch):
    """As far as the scaler can see; float16 itself does not exist on a CPU."""
    place = SimpleNamespace(is_gpu_place=lambda: True)
    monkeypatch.setattr(grad_scaler, "_dygraph_tracer", lambda: SimpleNamespace(_expected_place=place))
    monkeypatch.setattr(grad_scaler.amp_global_state(), "amp_dtype", "float16")


def scaled_state(loss="wgan-gp"):
    """A task with scaled losses; scales double after seven updates of the discriminator, three of the generator."""
    task = tiny_task(loss=loss)
    for name, updates in (("discriminator", 7), ("generator", 3)):
        task.players[name].scaler = paddle.amp.GradScaler()
        task.players[name].scaler.set_incr_every_n_steps(updates)
    return task


def scales(task) -> dict[str, tuple[float, int]]:
    states = {name: player.scaler.state_dict() for name, player in task.players.items()}
    return {name: (float(numbers["scale"][0]), numbers["incr_count"]) for name, numbers in states.items()}


def test_float16_scales_and_bfloat16_does_not(on_a_gpu):
    assert mixed("float16", scaled=True).new_scaler().is_enable()
    for unscaled in (mixed("bfloat16", scaled=False), Precision(factors="bfloat16"), Precision()):
        assert not unscaled.new_scaler().is_enable()


def test_scaled_losses_give_the_same_steps(on_a_gpu):
    """The scale is a power of two: not a bit is lost in float32."""
    plain, scaled = tiny_task(loss="wgan-gp"), scaled_state()
    for task in (plain, scaled):
        train_loop(task, images, 3, seed=0, log_every=2)
    arrays = arrays_of(scaled)
    for name, array in arrays_of(plain).items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)
    assert scales(scaled) == {"discriminator": (2.0**18, 1), "generator": (2.0**17, 0)}  # of 15 and 3 updates


def test_resume_brings_back_scales_and_what_has_been_counted(on_a_gpu, tmp_path):
    whole, parts = scaled_state(), scaled_state()
    train_loop(whole, images, 4, seed=0, log_every=9)
    train_loop(parts, images, 2, seed=0, log_every=9)
    checkpoint.save(parts, tmp_path, "data")
    again, notices = scaled_state(), []
    checkpoint.restore(again, tmp_path, "data", notices.append)
    assert notices == [] and scales(again) == scales(parts) == {
        "discriminator": (2.0**17, 3),
        "generator": (2.0**16, 2),
    }
    train_loop(again, images, 4, seed=0, log_every=9)
    expected = arrays_of(whole)
    assert "generator_scaler/scale" in expected and scales(again) == scales(whole) != scales(parts)
    for name, array in arrays_of(again).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_checkpoint_of_float16_is_none_of_float32(on_a_gpu, tmp_path):
    checkpoint.save(trained(scaled_state()), tmp_path, "data")
    with pytest.raises(checkpoint.CheckpointError, match="_scaler/"):
        checkpoint.restore(tiny_task(loss="wgan-gp"), tmp_path, "data", print)


def test_an_overflow_costs_the_update_and_halves_the_scale(on_a_gpu):
    task, seen = scaled_state("lsgan"), []
    too_large = task.discriminator.scaler.state_dict() | {"scale": np.float32([3e38])}
    task.discriminator.scaler.load_state_dict(too_large)
    task.discriminator.network.head.weight.set_value(task.discriminator.network.head.weight * 1000)
    before = {name: array for name, array in arrays_of(task).items() if name.startswith("discriminator/")}
    train_loop(task, images, 1, 0, 1, [lambda task, values: seen.append(values)])
    after = arrays_of(task)
    trainable = {f"discriminator/{name}" for name, p in task.discriminator.network.named_parameters() if p.trainable}
    for name in trainable:
        np.testing.assert_array_equal(before[name], after[name])
    assert scales(task)["discriminator"] == (pytest.approx(1.5e38), 0)
    assert seen[0]["optimizer/loss_scale_discriminator"] == pytest.approx(1.5e38)
    assert "optimizer/gradient_norm_discriminator" not in seen[0] and "optimizer/gradient_norm_generator" in seen[0]


def test_gradients_that_no_scale_can_help_end_the_run(on_a_gpu):
    task = scaled_state("lsgan")
    task.discriminator.scaler.load_state_dict(task.discriminator.scaler.state_dict() | {"scale": np.float32([1])})
    with paddle.no_grad():
        task.discriminator.network.head.weight.set_value(task.discriminator.network.head.weight * 1e30)
    with pytest.raises(NumericalError, match="gradient_norm_discriminator"):
        train_loop(task, images, 1, 0, 1)


@needs_rounding
@pytest.mark.parametrize("loss", ["lsgan", "wgan-gp"])
def test_on_a_cpu_bfloat16_trains_a_little_differently(loss):
    logged = {}
    for name in ("float32", "bfloat16"):
        task, seen = tiny_task(loss=loss, precision=name), []
        train_loop(task, images, 3, 0, 1, [lambda task, values, seen=seen: seen.append(values)])
        logged[name] = seen
        assert all(array.dtype == np.float32 for array in arrays_of(task).values())
    for exact, near in zip(logged["float32"], logged["bfloat16"], strict=True):
        for name in ("loss/discriminator", "loss/generator"):
            assert near[name] != exact[name]
            assert near[name] == pytest.approx(exact[name], rel=0.05, abs=0.02)


@needs_rounding
def test_networks_in_training_are_rounded_and_the_average_is_not():
    task = trained(tiny_task(precision="bfloat16"), 1)
    latents = paddle.randn([4, 64])
    task.generator.network.eval()
    task.sampler.set_state_dict(task.generator.network.state_dict())
    exact, rounded = task.sampler(latents).numpy(), task.generator.network(latents).numpy()
    assert np.abs(exact - rounded).max() > 1e-6
    plain = tiny_task()
    plain.generator.network.set_state_dict(task.generator.network.state_dict())
    plain.generator.network.eval()
    np.testing.assert_array_equal(plain.generator.network(latents).numpy(), exact)
    assert next(generate(task.sampler, 4, 0))[0].shape == (4, 28, 28, 1)


@needs_rounding
def test_bfloat16_resumes_exactly(tmp_path):
    whole, parts, again = (tiny_task(precision="bfloat16") for _ in range(3))
    train_loop(whole, images, 4, 0, 9)
    train_loop(parts, images, 2, 0, 9)
    checkpoint.save(parts, tmp_path, "data")
    checkpoint.restore(again, tmp_path, "data", print)
    train_loop(again, images, 4, 0, 9)
    expected = arrays_of(whole)
    for name, array in arrays_of(again).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@needs_rounding
def test_precision_belongs_to_the_run_and_its_samples_are_float32(tmp_path):
    run = tmp_path / "run"
    train_here(run, "--steps", 2, "--precision", "bfloat16")
    mine = read_config(run)
    assert mine.precision == "bfloat16"
    with pytest.raises(UsageError, match="holds another run .*precision bfloat16 -> float32"):
        refuse_other_run(replace(mine, precision="float32"), run)
    done = command_line("sample", run, "--num", 4, "--npz", tmp_path / "samples.npz", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    exact = next(generate(load_generator(run).network, 4, 0))[0]
    np.testing.assert_allclose(read_npz(tmp_path / "samples.npz").astype(int), exact, atol=1)


def test_what_the_device_cannot_do_is_refused(tmp_path, monkeypatch):
    done = train(tmp_path, "--precision", "float16", expect=2)
    assert "--precision float16 on a CPU" in done.stderr and done.stderr.count("\n") == 1
    float16, bfloat16 = TrainConfig(precision="float16"), TrainConfig(precision="bfloat16")
    monkeypatch.setattr(precision, "can_round", lambda: False)
    with pytest.raises(UsageError, match="this processor"):
        precision_of("bfloat16", False, "cpu")
    for config in (float16, bfloat16):
        monkeypatch.setattr(paddle.amp, f"is_{config.precision}_supported", lambda: False)
        with pytest.raises(UsageError, match=f"--precision {config.precision}: this GPU"):
            precision_of(config.precision, False, "gpu:0")
        assert resolve(config, "cpu").config.precision == config.precision  # such a run can be sampled anywhere


def test_a_gpu_gets_what_was_asked_for(on_a_gpu, monkeypatch):
    for name in ("float16", "bfloat16"):
        monkeypatch.setattr(paddle.amp, f"is_{name}_supported", lambda: True)
        chosen = precision_of(name, False, "gpu:0")
        assert chosen.around_forward.keywords == {"dtype": name, "level": "O1"}
        assert chosen.new_scaler().is_enable() == (name == "float16")


def test_a_processor_that_cannot_is_found_out(monkeypatch):
    def fails(*_):
        raise RuntimeError("oneDNN: convolution_forward_primitive_desc_create failed with status 3")

    monkeypatch.setattr(onednn, "filter_gradient", fails)
    monkeypatch.setattr(kernels, "available", lambda: True)
    assert precision.can_round.__wrapped__() is False
    monkeypatch.setattr(kernels, "available", lambda: False)
    assert precision.can_round.__wrapped__() is False
