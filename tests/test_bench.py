"""The benchmark: operations agree with closed forms, the twins in PyTorch with ours; and the command line."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from functools import cache, partial

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from conftest import ROOT, command_line, refused_here

from paddle_gan.backend import contraction, kernels
from paddle_gan.backend.precision import can_round
from paddle_gan.bench import cases, profiling, run
from paddle_gan.bench.counting import forward, operations
from paddle_gan.bench.memory import memory_lines, ratio
from paddle_gan.bench.processes import worker
from paddle_gan.bench.profile_table import profile_lines
from paddle_gan.bench.profiling import Cost, Meter, Operation, mean_round, profile
from paddle_gan.bench.rounds import rounds_of
from paddle_gan.bench.tables import images_per_second, share
from paddle_gan.bench.workers import turns
from paddle_gan.config.bench import BenchConfig
from paddle_gan.config.command_line import parse
from paddle_gan.config.sizes import sides
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import UsageError
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.runs.building import build
from paddle_gan.runs.resolve import resolve
from paddle_gan.training import noise_to_image
from paddle_gan.training.noise_to_image import discriminator_step, generator_step

BATCH = 6
WORKERS = ROOT / "paddle_gan" / "bench" / "workers"
TINY = ("--width", 4, "--discriminator-width", 4, "--batch-size", 4, "--device", "cpu", "--repeats", 2)


def task_of(loss, generator, width=4, classes=0, **options):
    networks = {"width": width, "discriminator_width": width, "conditional": bool(classes)}
    options = {"recipe": "paper", "steps": 1} | networks | options
    given = TrainConfig(loss=loss, generator=generator, **options)
    config = resolve(given, "cpu").config
    task = build(config, classes)
    for player in task.players.values():
        player.network.train()
    return config, task


def counted(loss, generator, width=4, **options):
    config, task = task_of(loss, generator, width, **options)
    return operations(task, BATCH, (config.channels, config.image_size, config.image_size))


# ---- Operations. Each number below is multiplications and additions of one map for one image.


def test_operations_of_the_tutorial():
    w = 8
    g = [2 * 100 * w * 25, 2 * 64 * 16 * w * w * 9, 2 * 1024 * w * w * 25, 2 * 1024 * w * 25]
    d = [2 * 196 * w * 25, 2 * 25 * 2 * w * w * 25, 2 * 4 * w * w * 25, 2 * 2 * w]
    discriminator = sum(g) + 2 * (3 * sum(d) - d[0])
    generator = 2 * sum(d) + 3 * sum(g) - g[0]
    assert counted("gan", "tutorial", w) == {
        "round": BATCH * (discriminator + generator),
        "discriminator step": BATCH * discriminator,
        "generator step": BATCH * generator,
        "sampled image": sum(g),
    }


def test_operations_of_transposed_convolutions_in_colour():
    w = 4
    # 64x64 from 8x8 in three stages, each applied at the places of its input.
    g = [2 * 100 * 4 * w * 64, 2 * 64 * 4 * w * 2 * w * 25, 2 * 256 * 2 * w * w * 25, 2 * 1024 * w * 3 * 25]
    counts = counted("lsgan", "dcgan", w, image_size=64, channels=3)
    assert counts["sampled image"] == sum(g)
    assert counts["round"] == counts["discriminator step"] + counts["generator step"]


@pytest.mark.parametrize(
    ("loss", "calls", "steps"), [("wgan", 0, 5), ("wgan-gp", 1, 5), ("gan-r1", 1, 1), ("gan-r1-r2", 2, 1)]
)
def test_operations_of_penalties(loss, calls, steps):
    g, d = [2 * 100 * 4, 2 * 4 * 784], [2 * 784 * 4, 2 * 4]
    discriminator = sum(g) + 2 * (3 * sum(d) - d[0]) + calls * (4 * sum(d) - d[1])
    counts = counted(loss, "mlp-shallow")
    assert counts["discriminator step"] == BATCH * discriminator
    assert counts["round"] == BATCH * (steps * discriminator + 2 * sum(d) + 3 * sum(g) - g[0])


def test_counting_leaves_the_networks_as_they_are():
    config, task = task_of("lsgan", "pixelshuffle")
    generator, discriminator = task.generator.network, task.discriminator.network
    before = {name: value.numpy() for name, value in generator.state_dict().items()}
    operations(task, BATCH, (1, 28, 28))
    assert generator.training and discriminator.training and not task.sampler.training
    assert all(np.array_equal(value.numpy(), before[name]) for name, value in generator.state_dict().items())


# ---- The profile.


def ticks():
    """A clock that goes on by one at each look."""
    return itertools.count().__next__


def test_a_timer_counts_its_own_time_only():
    meter = Meter(clock=ticks())
    with meter.timed(Operation("forward", "outer")):
        with meter.timed(Operation("forward", "inner"), operations=7):
            pass
        with meter.timed(Operation("forward", "inner"), operations=7):
            pass
    # Readings 0 to 5: the outer lasts 5, each inner 1.
    assert meter.costs == {Operation("forward", "inner"): Cost(2, 2, 14), Operation("forward", "outer"): Cost(1, 3, 0)}


def test_rounds_that_do_the_same_count_by_their_median_and_kinds_by_their_numbers():
    a, b = Operation("forward", "a"), Operation("penalty", "b")
    rounds = [{a: Cost(1, seconds, 10)} for seconds in (1, 2, 90)] + [{a: Cost(1, 4, 10), b: Cost(2, 8, 6)}]
    assert mean_round(rounds) == {a: Cost(1, 0.75 * 2 + 0.25 * 4, 10), b: Cost(0.5, 2, 1.5)}


def profiled(seconds=0.0, clock=time.perf_counter, **options):
    given = TrainConfig(**{"width": 4, "discriminator_width": 4, "batch_size": BATCH, "steps": 1, **options})
    with rounds_of(given, "cpu", noise_images=16) as rounds:
        rounds.play()
        play = lambda batches: rounds.task.round(batches, 0)  # noqa: E731
        return profile(play, rounds.batches, rounds.config.penalty_every, seconds, clock=clock), rounds


def test_the_parts_of_a_profile_add_up_to_the_round():
    found, _ = profiled(loss="wgan-gp", recipe="paper", clock=ticks())
    parts = found["parts"]
    assert sum(part["seconds"] for part in parts) == pytest.approx(np.mean(found["rounds"]))
    kinds = {(part["phase"], part["kind"]) for part in parts}
    assert {("forward", "convolution"), ("penalty", "convolution"), ("update", "optimiser"), ("data", "batch")} <= kinds
    calls = {(part["phase"], part["kind"]): part["calls"] for part in parts if not part["detail"]}
    assert calls["update", "optimiser"] == 6 and calls["update", "average"] == 1 and calls["data", "batch"] == 5


def test_a_profile_leaves_an_ordinary_round_as_it_is():
    modules = [contraction, kernels, noise_to_image, F, *profiling._BY_ONEDNN]
    before = [dict(vars(module)) for module in modules]
    profiled()
    assert [dict(vars(module)) for module in modules] == before
    with pytest.raises(ZeroDivisionError), profiling.wrapped(Meter()):
        1 / 0  # noqa: B018
    assert [dict(vars(module)) for module in modules] == before


def test_lazy_penalties_occur_as_often_as_they_should():
    found, rounds = profiled(loss="gan-r1", recipe="paper", generator="mlp", penalty_every=4)
    assert rounds.config.penalty_every == len(found["rounds"]) == 4
    penalties = [part for part in found["parts"] if (part["phase"], part["kind"]) == ("penalty", "linear map")]
    assert [part["calls"] for part in penalties] == [0.25 * 3]  # three linear maps in every fourth step


@pytest.mark.skipif(not kernels.available(), reason="gradients are Paddle's own")
@pytest.mark.parametrize("loss", ["lsgan", "wgan"])
def test_operations_of_a_profile_are_those_that_are_counted(loss):
    """All maps of the tutorial's networks are convolutions."""
    found, rounds = profiled(loss=loss, generator="tutorial", recipe="paper")
    counted = operations(rounds.task, BATCH, (1, 32, 32))
    assert sum(part["operations"] for part in found["parts"]) == counted["round"]
    shapes = {part["detail"]: part for part in found["parts"]}
    first = shapes[f"convolution 5x5/2 1x32x32 to 4x14x14, {BATCH} images"]
    assert first["operations"] == first["calls"] * 2 * BATCH * 4 * 14 * 14 * 25


def test_paddles_own_convolutions_are_counted_forward(monkeypatch):
    monkeypatch.setattr(kernels, "available", lambda: False)
    found, rounds = profiled(loss="lsgan", generator="dcgan", recipe="paper", image_size=16)
    convolutions = [part for part in found["parts"] if part["kind"] == "convolution"]
    assert {part["phase"] for part in convolutions} == {"forward"}
    generator = forward(rounds.task.generator.network, paddle.zeros([BATCH, 100]))
    discriminator = forward(rounds.task.discriminator.network, paddle.zeros([BATCH, 1, 16, 16]))
    # The generator runs twice, the discriminator over three batches; the first map of one and the last of the other
    # are linear.
    expected = 2 * sum(generator[1:]) + 3 * sum(discriminator[:-1])
    assert sum(part["operations"] for part in convolutions) == expected


def test_the_table_of_a_profile():
    def part(phase, kind, seconds, operations=0, detail=""):
        return vars(Operation(phase, kind, detail)) | vars(Cost(2, seconds, operations))

    parts = [
        part("forward", "convolution", 0.002, 4e9, "convolution a"),
        part("forward", "convolution", 0.001, 1e9, "convolution b"),
        part("forward", "rest", 0.001),
    ]
    one = {"parts": parts, "seconds": {"round": [0.005, 0.004], "product": [0.5]}}
    lines = profile_lines(one | {"about": {"operations": {"product": 2.5e12}}})
    assert [line.split() for line in lines[1:4]] == [
        ["forward:", "convolution", "4", "3.000", "75.0%", "5", "1667", "33%"],
        ["forward:", "rest", "2", "1.000", "25.0%"],
        ["sum", "6", "4.000", "100.0%"],
    ]
    assert lines[6].split() == ["convolution", "a", "2", "2.000", "50.0%", "4", "2000", "40%"]
    assert lines[-1] == "a round takes 4.5 ms (4 to 5), 2 rounds; a matrix product 500 ms (500 to 500)"


# ---- The twins in PyTorch.

CONVOLUTIONAL = ("pixelshuffle", "tutorial", "dcgan", "upsample", "residual", "style")
GENERATORS = (*CONVOLUTIONAL, "mlp", "mlp-plain", "mlp-shallow")
# Objective, generator, recipe, classes.
TWINS = [
    *(("gan", name, "paper", 0) for name in GENERATORS),
    *(("lsgan", name, "paper", 3) for name in GENERATORS),
    *((loss, "pixelshuffle", "paper", 0) for loss in OBJECTIVES if loss != "gan"),
    *((loss, "pixelshuffle", "tuned", 0) for loss in OBJECTIVES),
    *(("lsgan", name, "tuned", 3) for name in ("pixelshuffle", "residual", "style")),
    *(("wgan-gp", name, "paper", 3) for name in ("tutorial", "residual", "mlp")),
    ("rpgan-r1-r2", "residual", "tuned", 3),
]


@cache
def twins():
    pytest.importorskip("torch")
    from paddle_gan.bench.workers.twins import noise_to_image

    return noise_to_image


def twin_of(config, task):
    """The twin, with the weights of the original."""
    import torch

    twin = twins().build(vars(config), task.classes)
    for name in ("generator", "discriminator"):
        values = arrays(task.players[name].network)
        with torch.no_grad():
            for value, (their, transposed) in zip(values, parameters_of(getattr(twin, name)), strict=True):
                their.copy_(torch.from_numpy(value.T.copy() if transposed else value))
    twin.average.load_state_dict(twin.generator.state_dict())
    return twin


def parameters_of(network):
    """The parameters of a twin, and whether each is the transposed one of the original: weights of linear maps."""
    import torch

    embeddings = {id(part.weight) for part in network.modules() if isinstance(part, torch.nn.Embedding)}
    return [(p, p.ndim == 2 and id(p) not in embeddings) for p in network.parameters()]


def arrays(network):
    """Trainable parameters, linear maps as Paddle has them."""
    if isinstance(network, paddle.nn.Layer):
        return [parameter.numpy() for parameter in network.parameters() if parameter.trainable]
    values = ((their.detach().numpy(), transposed) for their, transposed in parameters_of(network))
    return [value.T if transposed else value for value, transposed in values]


def statistics_of(network):
    values = network.state_dict()
    return [
        values[name].numpy() for name in values if name.endswith(("_mean", "_variance", "running_mean", "running_var"))
    ]


def images_and_latents(config):
    random = np.random.default_rng(1)
    real = random.random((BATCH, config.channels, *sides(config.image_size)), np.float32) * 2 - 1
    return real, random.standard_normal((BATCH, config.latent_dim)).astype(np.float32)


@pytest.mark.parametrize(("loss", "generator", "recipe", "classes"), TWINS)
def test_a_twin_takes_the_same_steps(loss, generator, recipe, classes, monkeypatch):
    """The losses and, by gradient descent of rate 1, the gradients of both steps; the average and statistics too."""
    module = twins()
    import torch

    image_size = "30x20" if recipe == "tuned" else None
    config, task = task_of(loss, generator, classes=classes, recipe=recipe, image_size=image_size)
    twin = twin_of(config, task)
    for name in ("generator", "discriminator"):
        ours, theirs = task.players[name], getattr(twin, name)
        trained = [parameter for parameter in ours.network.parameters() if parameter.trainable]
        ours.optimizer = paddle.optimizer.SGD(1.0, parameters=trained)
        setattr(twin, f"{name}_optimizer", torch.optim.SGD(theirs.parameters(), 1.0))
    real, latents = images_and_latents(config)
    labels = np.arange(BATCH) % classes if classes else None
    draw_the_same(monkeypatch)

    before = arrays(task.discriminator.network)
    batch = [None if values is None else paddle.to_tensor(values) for values in (real, labels, latents)]
    theirs_batch = [None if values is None else torch.from_numpy(values) for values in (real, labels, latents)]
    scalars = discriminator_step(task, *batch)
    penalty = scalars["loss/penalty"].item() if "loss/penalty" in scalars else 0.0
    ours = scalars["loss/discriminator"].item() + config.penalty_every * penalty
    theirs = module.discriminator_step(twin, *theirs_batch).item()
    assert theirs == pytest.approx(ours, rel=1e-5, abs=1e-6)
    assert_same_steps(before, arrays(task.discriminator.network), arrays(twin.discriminator))
    assert all(np.isin(values, (0.0, 1.0)).all() for values in statistics_of(twin.generator))

    before = arrays(task.generator.network)
    ours = generator_step(task, batch[1], batch[2], batch[0])["loss/generator"].item()
    theirs = module.generator_step(twin, *theirs_batch).item()
    assert theirs == pytest.approx(ours, rel=1e-5, abs=1e-6)
    assert_same_steps(before, arrays(task.generator.network), arrays(twin.generator))
    assert_same_steps(before, arrays(task.sampler), arrays(twin.average))
    for our, their in zip(statistics_of(task.generator.network), statistics_of(twin.generator), strict=True):
        # Paddle's running variance is the biased one.
        np.testing.assert_allclose(their, our, rtol=0.05, atol=1e-6)


def draw_the_same(monkeypatch):
    """What both libraries draw while networks run depends on its shape only."""
    import torch

    def drawn(kind, shape):
        return getattr(np.random.default_rng(2), kind)(tuple(shape), np.float32)

    for name, kind in (("rand", "random"), ("randn", "standard_normal")):
        monkeypatch.setattr(paddle, name, lambda shape, dtype=None, kind=kind: paddle.to_tensor(drawn(kind, shape)))
        monkeypatch.setattr(torch, name, lambda shape, device, kind=kind: torch.from_numpy(drawn(kind, shape)))


def assert_same_steps(before, ours, theirs):
    """Both have moved in the same way, up to the precision of float32 for all parameters together."""
    moved = [our - was for our, was in zip(ours, before, strict=True)]
    largest = max(np.abs(step).max() for step in moved)
    assert largest > 0
    for step, was, their in zip(moved, before, theirs, strict=True):
        np.testing.assert_allclose(their - was, step, atol=2e-5 * largest + 2e-7, rtol=1e-4)


@pytest.mark.parametrize("loss", ["lsgan", "wgan", "wgan-gp"])
def test_a_twin_has_the_same_optimiser(loss):
    """Ten steps with the same gradients."""
    module = twins()
    import torch

    config, _ = task_of(loss, "mlp-shallow")
    start = np.linspace(-1, 1, 7, dtype=np.float32)
    ours = paddle.create_parameter([7], "float32", default_initializer=paddle.nn.initializer.Assign(start))
    theirs = torch.nn.Linear(1, 7)
    with torch.no_grad():
        theirs.bias.copy_(torch.from_numpy(start))
    from paddle_gan.runs.building import optimizer_of

    our_optimizer = optimizer_of(config, None).build([ours])
    their_optimizer = module.optimizer(vars(config), theirs, None)
    for gradient in np.random.default_rng(0).standard_normal((10, 7)).astype(np.float32):
        (ours * paddle.to_tensor(gradient)).sum().backward()
        (theirs.bias * torch.from_numpy(gradient)).sum().backward()
        for optimizer in (our_optimizer, their_optimizer):
            optimizer.step()
        our_optimizer.clear_grad()
        their_optimizer.zero_grad()
    moved = ours.numpy() - start
    assert np.abs(moved).min() > config.learning_rate / 10
    np.testing.assert_allclose(theirs.bias.detach().numpy() - start, moved, rtol=1e-3)


def pytorch_counts(action):
    """Operations of convolutions and matrix products that PyTorch runs in `action`, by its own formulas.

    Without its FlopCounterMode, whose book-keeping of modules fails inside a gradient of a gradient.
    """
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Counter(TorchDispatchMode):
        total = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            if function._overloadpacket in flop_registry:
                self.total += flop_registry[function._overloadpacket](*args, **(kwargs or {}), out_val=out)
            return out

    with Counter() as counter:
        action()
    return counter.total


@pytest.mark.parametrize(
    ("loss", "generator", "classes"),
    [
        *(("gan", name, 0) for name in (*CONVOLUTIONAL[:-1], "mlp", "mlp-shallow")),
        *(("gan", name, 3) for name in ("pixelshuffle", "residual", "mlp")),
        *((loss, "mlp", 0) for loss in ("wgan-gp", "gan-r1", "gan-r1-r2", "rpgan-r1-r2")),
    ],
)
def test_operations_are_those_that_pytorch_counts_in_its_steps(loss, generator, classes, monkeypatch):
    """With penalties on linear maps only: of strided convolutions, PyTorch computes more than the gradient needs."""
    module = twins()
    import torch

    class LeakyReLU(torch.nn.Module):
        """Leaky ReLU whose second gradient does not send zeros back through the forward pass."""

        def forward(self, x):
            return x * torch.where(x > 0, 1.0, 0.2).detach()

    from paddle_gan.bench.workers.twins import discriminators, generators, networks

    for module_of in (generators, discriminators):
        monkeypatch.setattr(module_of, "leaky_relu", LeakyReLU)
    monkeypatch.setitem(networks.DISCRIMINATORS, "mlp", partial(networks.mlp_discriminator, (1, 2), LeakyReLU))
    config, task = task_of(loss, generator, classes=classes)
    twin = twin_of(config, task)
    counts = operations(task, BATCH, (config.channels, config.image_size, config.image_size))
    real, latents = (torch.from_numpy(values) for values in images_and_latents(config))
    batch = real, torch.arange(BATCH) % classes if classes else None, latents
    assert pytorch_counts(lambda: module.discriminator_step(twin, *batch)) == counts["discriminator step"]
    assert pytorch_counts(lambda: module.generator_step(twin, *batch)) == counts["generator step"]


# ---- Timing.


def test_seconds_are_of_one_call_after_one_that_does_not_count():
    calls = []

    def action():
        calls.append(time.perf_counter())
        time.sleep(0.3 if len(calls) == 1 else 0.01)

    seconds = turns.seconds_of(action, lambda: calls.append("waited"), 0.05)
    assert 0.01 <= seconds < 0.1
    assert calls[1] == calls[-1] == "waited" and len(calls) > 4


def test_what_imitates_another_processor_or_memory_is_recorded(monkeypatch):
    given = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_DEBUG_CPU_TYPE": "5"}
    given |= {"MALLOC_TRIM_THRESHOLD_": "131072", "PADDLE_GAN_ONEDNN": "0"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert given.items() <= turns.settings().items()


def test_rest_ends_when_no_thread_works_any_more():
    end = threading.Event()
    busy = threading.Thread(target=lambda: [None for _ in iter(end.is_set, True)])
    busy.start()
    try:
        assert not turns.rest(most_seconds=0.3)
    finally:
        end.set()
        busy.join()
    assert turns.rest()


def test_exponent_and_summary():
    assert cases.exponent([1, 2, 4, 8], [3, 12, 48, 192]) == pytest.approx(2)
    assert cases.summary([3.0, 1.0, 2.0, 9.0]) == {"median": 2.5, "least": 1.0, "greatest": 9.0}


def test_a_worker_passes_errors_on_and_its_death_is_one():
    with worker("ours", os.environ) as ask:
        with pytest.raises(RuntimeError, match="ours: ValueError: nothing is prepared"):
            ask(time="round", seconds=0)
        with pytest.raises(UsageError, match="--batch-size 1: BatchNorm"):
            ask(prepare={"task": "noise", "options": {"batch_size": 1}})
    with worker("ours", {"PYTHONHOME": "/nowhere"}) as ask, pytest.raises(UsageError, match="ours ended with status 1"):
        ask(rest=True)


# ---- The command line.


def measured(tmp_path, *arguments):
    done = command_line("bench", *TINY, *arguments, "--json", tmp_path / "bench.json")
    assert done.returncode == 0, done.stderr
    return json.loads((tmp_path / "bench.json").read_text()), done


def test_a_case_has_every_repetition_and_what_they_depend_on(tmp_path):
    result, done = measured(tmp_path, "--loss", "wgan-gp")
    assert result["command"].startswith("python tools/bench.py --width 4")
    assert result["machine"]["cores"] >= result["machine"]["physical_cores"] >= 1
    (case,) = result["cases"]
    assert list(case["seconds"]) == list(cases.ACTIONS)
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in case["seconds"].values())
    assert case["seconds"]["round"][0] > case["seconds"]["batch"][0]
    assert 50 * 2**20 < case["peak_bytes"] < 8 * 2**30
    about = case["about"]
    assert about["versions"]["paddle"] == paddle.__version__
    assert about["options"]["batch_size"] == 4 and about["options"]["discriminator_steps"] == 2
    assert about["operations"]["product"] == 2 * 2048**3
    assert images_per_second(case) == pytest.approx(8 / np.median(case["seconds"]["round"]))
    rate = about["operations"]["round"] / np.median(case["seconds"]["round"])
    assert share(case, "round") == pytest.approx(rate / (2 * 2048**3 / np.median(case["seconds"]["product"])))
    assert "wgan-gp, pixelshuffle (width 4) and strided (4), 28x28x1, batch 4, 2 + 1 steps a round" in done.stdout
    assert f"{images_per_second(case):.0f} images/s in training" in done.stdout
    assert "2 of 2, a round in" in done.stderr


@pytest.mark.skipif(not can_round(), reason="no bfloat16 here")
def test_a_case_in_bfloat16_says_so_and_rounds_in_single_steps_too(tmp_path):
    result, done = measured(tmp_path, "--precision", "bfloat16")
    assert result["cases"][0]["about"]["options"]["precision"] == "bfloat16"
    assert "1 + 1 steps a round, bfloat16\n" in done.stdout
    case = {
        "task": "noise",
        "options": {"precision": "bfloat16", "batch_size": 4, "width": 4},
        "images": 8,
        "classes": 0,
        "samples": 2,
    }
    script = f"""
import sys; sys.path[:0] = {[str(WORKERS), str(ROOT)]!r}
import ours
from paddle_gan.backend import onednn
asked = set()
original = onednn.convolve
onednn.convolve = lambda *given: asked.add(given[-1]) or original(*given)
work = ours.prepare({case!r})
asked.clear()
work.actions["discriminator step"](), work.actions["generator step"]()
print(asked)
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "{'bfloat16'}\n"


def test_labels_reach_every_action(tmp_path):
    result, done = measured(tmp_path, "--generator", "residual", "--classes", 5, "--loss", "hinge")
    (case,) = result["cases"]
    assert list(case["seconds"]) == list(cases.ACTIONS)
    assert case["about"]["options"]["conditional"] and case["about"]["classes"] == 5
    assert "1 + 1 steps a round, 5 labels\n" in done.stdout


def test_growth_has_a_point_for_each_size_and_the_powers(tmp_path):
    result, done = measured(tmp_path, "--repeats", 1, "--grow", "width", "--generator", "mlp-shallow")
    (growth,) = result["growths"]
    assert [point["size"] for point in growth["points"]] == [1, 2, 4, 8]
    for point in growth["points"]:
        assert point["about"]["options"]["discriminator_width"] == point["size"]
        assert point["about"]["operations"]["round"] / point["size"] == pytest.approx(
            2 * 4 * (9 * 784 + 3 * 100 + 0.0), rel=0.3
        )
    assert growth["exponents"]["operations"] == pytest.approx(1)
    medians = [np.median(point["seconds"]["round"]) for point in growth["points"]]
    slope = np.polyfit(np.log([1, 2, 4, 8]), np.log(medians), 1)[0]
    assert growth["exponents"]["round"] == pytest.approx(slope)
    assert f"time of a round {slope:.2f}, its operations 1.00" in done.stdout


def test_a_profile_from_the_command_line(tmp_path):
    done = command_line("bench", *TINY, "--repeats", 1, "--profile", "--json", tmp_path / "bench.json")
    assert done.returncode == 0, done.stderr
    (one,) = json.loads((tmp_path / "bench.json").read_text())["profiles"]
    rounds = one["seconds"]["round"]
    assert min(rounds) / 10 < sum(part["seconds"] for part in one["parts"]) <= 1.01 * max(rounds)
    assert len(one["seconds"]["round"]) % one["about"]["options"]["penalty_every"] == 0
    assert "a round by operation" in done.stdout and "convolutions by shape" in done.stdout


def test_the_memory_of_a_step_is_the_peak_without_what_was_built(tmp_path):
    done = command_line("bench", *TINY, "--memory", "--image-size", 32, "--json", tmp_path / "bench.json")
    assert done.returncode == 0, done.stderr
    (one,) = json.loads((tmp_path / "bench.json").read_text())["memories"]
    (point,) = one["points"]
    assert (point["size"], one["about"]["options"]["channels"], list(point["bytes"])) == (32, 3, ["ours"])
    built, peak, step = (point["bytes"]["ours"][name] for name in ("built", "peak", "step"))
    assert step == peak - built and 0 < step < built
    assert f"{step / 2**20:.0f} ({built / 2**20:.0f})" in done.stdout


def test_the_ratio_of_memory_is_that_of_the_better_layout():
    def bytes_of(step):
        return {"built": 2**20, "peak": step + 2**20, "step": step}

    point = {"size": 64, "bytes": {"ours": bytes_of(4 << 20), "a": bytes_of(6 << 20), "b": bytes_of(5 << 20)}}
    assert ratio(point) == 1.25
    lines = memory_lines({"about": {"options": {"channels": 3}}, "points": [point]})
    assert lines[1].split() == ["64x64x3", "4", "(1)", "6", "(1)", "5", "(1)", "1.25"]
    unknown = {"built": None, "peak": None, "step": None}
    assert ratio(point | {"bytes": {"ours": unknown, "a": unknown}}) is None
    assert ratio(point | {"bytes": {"ours": bytes_of(1)}}) is None


@pytest.mark.parametrize(("peer", "names"), [("torch", ["torch", "torch, channels last"]), ("tutorial", ["tutorial"])])
def test_ratios_are_of_pairs_with_the_better_one(tmp_path, peer, names):
    if peer == "torch":
        pytest.importorskip("torch")
    tiny = TINY if peer == "torch" else ("--batch-size", 2, "--repeats", 1, "--device", "cpu")
    done = command_line("bench", *tiny, "--against", peer, "--json", tmp_path / "bench.json")
    assert done.returncode == 0, done.stderr
    (ratio,) = json.loads((tmp_path / "bench.json").read_text())["ratios"]
    seconds = ratio["seconds"]
    assert list(seconds) == ["round", *names]
    assert ratio["best"] == min(names, key=lambda name: np.median(seconds[name]))
    expected = [their / our for their, our in zip(seconds[ratio["best"]], seconds["round"], strict=True)]
    assert ratio["ratios"] == pytest.approx(expected)
    assert f"{ratio['best']} takes {np.median(expected):.2f} times as long as ours" in done.stdout
    # The environment of the peer is not changed, and ours is prepared; both keep the settings of the user.
    came = {name: value for name, value in os.environ.items() if name in ratio["about_theirs"]["environment"]}
    assert ratio["about_theirs"]["environment"] == came


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--loss foo", "--loss foo: one of gan, "),
        ("--loss gan bce", "--loss gan bce: the same twice"),
        ("--generator mlp mlp", "--generator mlp mlp: the same twice"),
        ("--against torch --grow batch", "--against and --grow are two questions"),
        ("--against tutorial --loss wgan", "--loss with --against tutorial"),
        ("--against tutorial --width 64", "--width with --against tutorial"),
        ("--grow data --dataset mnist", "--dataset with --against, --grow or --memory"),
        ("--grow image-size --image-size 64", "--image-size with --grow image-size"),
        ("--against torch --precision bfloat16", "--against with --precision or --compile"),
        ("--against tutorial --compile", "--against with --precision or --compile"),
        ("--profile --against torch", "--profile with --against"),
        ("--profile --grow batch", "--profile with --grow"),
        ("--memory --profile", "--memory with --profile"),
        ("--memory --grow batch", "--memory with --grow"),
        ("--memory --against tutorial", "--memory with --against tutorial"),
        ("--profile --compile", "--profile with --compile"),
        ("--repeats 0", "--repeats 0: must be more than 0"),
        ("--task sketches", "--task sketches: one of noise"),
        ("--task pairs --generator dcgan", "--generator with --task pairs: it is for --task noise"),
        ("--task noise cut --channels 1", "--channels with --task cut: it is for --task noise"),
        ("--classes 1", "--classes 1: must be at least 2"),
        ("--classes 5 --dataset mnist", "--classes with --dataset"),
        ("--classes 5 --against tutorial", "--classes with --against tutorial"),
        ("--task pairs --classes 5", "--classes with --task pairs"),
        ("--task pairs --recipe paper", "--recipe with --task pairs"),
        ("--task pairs --grow batch", "--grow with --task pairs"),
        ("--task pairs --dataset mnist", "--dataset with --task pairs"),
        ("--task pairs --compile", "--compile with --task pairs"),
        ("--task pairs --against tutorial", "--against tutorial with --task pairs: its step is one from noise"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        parse(BenchConfig, "", argv=arguments.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--batch-size 1", "--batch-size 1: BatchNorm"),
        ("--json .", "--json .: is a folder"),
        ("--generator tutorial --image-size 64", "made for 32x32 images, not 64"),
        ("--task pairs --loss wgan", "--loss wgan: one of gan, "),
        ("--task pairs --image-size 40", "--image-size 40: must be a multiple of 16"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_status_2(arguments, message, capsys):
    assert message in refused_here("bench", *arguments.split())
    assert capsys.readouterr().out == ""


def test_pytorch_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(cases, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="there is no PyTorch here"):
        run(BenchConfig(against="torch"), {}, print)


def test_a_comparison_is_refused_where_several_processes_measure_at_once():
    with pytest.raises(UsageError, match="paddle.distributed.launch"):
        run(BenchConfig(against="tutorial"), {"PADDLE_TRAINER_ID": "1"}, print)


def test_only_the_first_of_several_processes_prints(tmp_path):
    environment = os.environ | {"PADDLE_TRAINER_ID": "1"}
    command = [
        sys.executable,
        ROOT / "tools" / "bench.py",
        *map(str, TINY),
        "--generator",
        "mlp-shallow",
        "--json",
        "b.json",
    ]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "b.json").exists()
