"""Whether two columns of results differ by more than chance: Student's t-test for pairs."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PairedTest(NamedTuple):
    """Student's t-test for pairs (Student 1908), two-sided.

    Attributes:
        mean: of the differences.
        t: the mean divided by its standard error.
        p: probability of so large a |t| or a larger one, if only chance made the differences.
    """

    mean: float
    t: float
    p: float


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Test whether `first` minus `second` has the mean 0.

    Args:
        first, second: the results of the same seeds, [n] each; differences are taken as normally distributed.

    Returns:
        The test with n - 1 degrees of freedom; t and p are NaN for a single pair, and where no difference varies or is
        other than 0.
    """
    differences = np.subtract(first, second, dtype=np.float64)
    count, mean = len(differences), float(np.mean(differences))
    if count < 2 or not differences.any():
        return PairedTest(mean, math.nan, math.nan)
    error = float(np.std(differences, ddof=1)) / math.sqrt(count)
    if error == 0:
        return PairedTest(mean, math.copysign(math.inf, mean), 0.0)
    return PairedTest(mean, mean / error, two_sided(mean / error, count - 1))


def two_sided(t: float, freedom: int) -> float:
    """The probability that |T| is at least |t| for Student's distribution with whole degrees of freedom.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    # The sum 1 + (1/2) cos² + (1·3)/(2·4) cos⁴ + ..., or for odd degrees cos + (2/3) cos³ + (2·4)/(3·5) cos⁵ + ...
    term, total = (cosine if odd else 1.0), 0.0
    for power in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * power / (power + 1)
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return max(0.0, 1 - inside)
