"""The tests of finite differences with fifty seeds each: other weights, images and directions; `pytest -m slow`.

Each seed takes two parameters of a network, in place of all: over the seeds every one has its turn.
"""

import pytest
import test_objectives
import test_regularisers
import test_style

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("seed", range(50))]


def test_gradients_of_penalties(seed):
    for name in test_objectives.SMALL_DISCRIMINATORS:
        for penalty in test_objectives.PENALTIES.values():
            test_objectives.test_gradient_of_the_penalty_agrees_with_finite_differences(name, penalty, seed, most=2)


@pytest.mark.parametrize("discriminator", test_regularisers.WITH_OPTIONS)
def test_second_gradients_with_regularisers(discriminator, seed):
    for options in test_regularisers.OPTIONS:
        test_regularisers.test_second_gradients_against_finite_differences(options, discriminator, seed, most=2)


def test_second_gradients_of_path_lengths(seed):
    test_style.test_the_second_gradient_of_path_lengths_agrees_with_finite_differences(seed, most=2)
