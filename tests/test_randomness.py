"""Seeds: each stream is a function of its purpose and numbers, whatever other threads of the process do."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import paddle
import pytest
from states import tiny_task

from paddle_gan.inference.sampling import generate
from paddle_gan.system.randomness import seeded
from paddle_gan.training.loop import train
from paddle_gan.training.state import arrays_of


def draw(*entropy) -> np.ndarray:
    with seeded(*entropy):
        return paddle.randn([100]).numpy()


def test_equal_arguments_give_equal_streams_and_others_independent_ones():
    draws = [draw(*entropy) for entropy in (("a", 0, 1), ("a", 0, 1), ("a", 1, 0), ("a", 0, 2), ("b", 0, 1))]
    np.testing.assert_array_equal(draws[0], draws[1])
    for i in range(1, 5):
        for j in range(i + 1, 5):
            assert abs(np.corrcoef(draws[i], draws[j])[0, 1]) < 0.4


def test_nothing_comes_between_a_seed_and_its_draws():
    """A second thread that wants a seed waits for the end of the first one's block."""
    expected, order = draw("first", 0), []
    inside, waiting = threading.Event(), threading.Event()

    def other():
        inside.wait()
        waiting.set()
        draw("second", 0)
        order.append("second")

    thread = threading.Thread(target=other)
    thread.start()
    with seeded("first", 0):
        inside.set()
        waiting.wait()
        thread.join(0.05)  # time to get in between, if it could
        values = paddle.randn([100]).numpy()
        order.append("first")
    thread.join()
    np.testing.assert_array_equal(values, expected)
    assert order == ["first", "second"]


def test_samples_in_threads_are_those_of_their_seeds():
    sampler = tiny_task().sampler
    alone = {seed: next(generate(sampler, 250, seed))[0] for seed in range(4)}
    with ThreadPoolExecutor(4) as pool:
        seeds = [0, 1, 2, 3] * 5
        for seed, images in zip(
            seeds, pool.map(lambda seed: next(generate(sampler, 250, seed))[0], seeds), strict=True
        ):
            np.testing.assert_array_equal(images, alone[seed])


@pytest.mark.parametrize("losses", [("lsgan", "lsgan"), ("lsgan", "wgan-gp")], ids="+".join)
def test_two_trainings_in_threads_do_not_touch_each_other(losses):
    """Weights, moments, averages; penalties, which leave out gradients for a moment, beside plain losses."""

    def batches(number):
        random = np.random.default_rng(number)
        return paddle.to_tensor(random.uniform(-1, 1, (4, 1, 28, 28)).astype(np.float32)), None

    def trained(seed):
        task = tiny_task(loss=losses[seed], seed=seed)
        train(task, batches, 8, seed=seed, log_every=3)
        return arrays_of(task)

    alone = [trained(seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(trained, range(2)))
    for expected, found in zip(alone, together, strict=True):
        for name, array in expected.items():
            np.testing.assert_array_equal(array, found[name], err_msg=name)
