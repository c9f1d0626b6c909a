"""The time of a training round by operation. Only while it is measured, the functions that compute are wrapped.

Each wrapped call counts its own time, without that of the wrapped calls within it, so the parts of a round add up to
the round. On a CPU with oneDNN every convolution, norm and activation is such a call, in backward passes too. Paddle's
own kernels are called by its automatic differentiation: their backward passes are one part, "rest" of the phase
"backward".
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from types import ModuleType
from typing import Any, NamedTuple

import paddle.nn.functional as F

from paddle_gan.backend import contraction, differentiable, kernels, norm, onednn
from paddle_gan.backend.computation import Role
from paddle_gan.backend.onednn import Geometry
from paddle_gan.training import adversary, contrast, noise_to_image, paired, unpaired, update

FORWARD, BACKWARD, PENALTY, UPDATE, DATA = "forward", "backward", "penalty", "update", "data"
CONVOLUTION, REST = "convolution", "rest"
# By the tensor that a contraction computes: in a backward pass the last two are the gradients of a convolution.
_CONTRACTIONS = {
    Role.OUTPUTS: "convolution",
    Role.IMAGES: "transposed convolution",
    Role.FILTERS: "filter gradient",
}


@dataclass(frozen=True)
class Operation:
    """What is timed.

    Attributes:
        phase: of the round: FORWARD, BACKWARD, PENALTY (its forward pass and inner gradient), UPDATE or DATA.
        kind: of operation.
        detail: the shapes of a convolution.
    """

    phase: str
    kind: str
    detail: str = ""


@dataclass
class Cost:
    """Calls, seconds and floating-point operations."""

    calls: float = 0
    seconds: float = 0.0
    operations: float = 0


class _Described(NamedTuple):
    """A call: its kind, the shapes, and how many floating-point operations it stands for."""

    kind: str
    detail: str = ""
    operations: int = 0


class Meter:
    """Adds up costs. Timers may lie within one another; each counts its own time only.

    Args:
        wait: waits until the device has finished.
        clock: seconds.

    Attributes:
        costs: so far.
    """

    def __init__(self, wait: Callable[[], object] = lambda: None, clock: Callable[[], float] = time.perf_counter):
        self.costs: dict[Operation, Cost] = {}
        self._wait, self._clock = wait, clock
        self._running: list[Operation] = []
        self._within: list[float] = [0.0]

    @property
    def phase(self) -> str:
        return self._running[-1].phase if self._running else FORWARD

    def runs(self, kind: str) -> bool:
        """Whether the innermost timer is of this kind."""
        return bool(self._running) and self._running[-1].kind == kind

    @contextmanager
    def timed(self, operation: Operation, operations: int = 0) -> Iterator[None]:
        self._running.append(operation)
        self._within.append(0.0)
        self._wait()
        start = self._clock()
        try:
            yield
        finally:
            self._wait()
            seconds = self._clock() - start
            self._running.pop()
            own = seconds - self._within.pop()
            self._within[-1] += seconds
            cost = self.costs.setdefault(operation, Cost())
            cost.calls += 1
            cost.seconds += own
            cost.operations += operations


def profile(
    play: Callable[[Callable[[int], Any]], object],
    batches: Callable[[int], Any],
    multiple: int,
    seconds: float,
    wait: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Play rounds for so many seconds, at least one, and divide their time.

    Other programs may interrupt any part for a moment, so the time of a part is its median over the rounds that are
    alike, which do the same operations; a round with a lazy penalty is of another kind. Kinds count by their numbers.

    Args:
        play: plays a round with the given source of batches.
        batches: the source.
        multiple: the number of rounds is a multiple of this, so that lazy penalties occur as often as they should.
        seconds: see above.
        wait: waits until the device has finished.
        clock: seconds.

    Returns:
        "rounds", the seconds of each; and "parts", dictionaries with "phase", "kind", "detail", and of a mean round
        "calls", "seconds" and "operations". On a quiet machine the parts add up to the round.
    """
    meter, rounds, start = Meter(wait, clock), [], clock()
    source = _timed(meter, batches, lambda *_: _Described("batch"), DATA)
    with wrapped(meter):
        while not rounds or len(rounds) % multiple or clock() - start < seconds:
            with meter.timed(Operation(FORWARD, REST)):
                play(source)
            rounds.append(meter.costs)
            meter.costs = {}
    return {
        "rounds": [sum(cost.seconds for cost in costs.values()) for costs in rounds],
        "parts": [vars(operation) | vars(cost) for operation, cost in mean_round(rounds).items()],
    }


def mean_round(rounds: list[dict[Operation, Cost]]) -> dict[Operation, Cost]:
    """The mean of rounds; of those that do the same operations, each part counts with its median time."""
    alike: dict[tuple, list[dict[Operation, Cost]]] = {}
    for costs in rounds:
        alike.setdefault(tuple(sorted((str(what), cost.calls) for what, cost in costs.items())), []).append(costs)
    mean: dict[Operation, Cost] = {}
    for kind in alike.values():
        share = len(kind) / len(rounds)
        for operation, cost in kind[0].items():
            sums = mean.setdefault(operation, Cost())
            sums.calls += share * cost.calls
            sums.operations += share * cost.operations
            sums.seconds += share * statistics.median(costs[operation].seconds for costs in kind)
    return mean


@contextmanager
def wrapped(meter: Meter) -> Iterator[None]:
    """Within this, the functions that a round calls are timed by `meter`."""
    replaced = {**_phases(meter), F: {"linear": _timed(meter, F.linear, _linear)}}
    if kernels.implementation() == "Paddle":
        replaced[kernels] = _of_paddle(meter)
    else:
        replaced[contraction] = _contractions(meter)
        for module, kinds in _BY_ONEDNN.items():
            replaced[module] = _named(meter, module, kinds)
    originals = [(module, name, getattr(module, name)) for module, functions in replaced.items() for name in functions]
    try:
        for module, functions in replaced.items():
            for name, function in functions.items():
                setattr(module, name, function)
        yield
    finally:
        for module, name, function in originals:
            setattr(module, name, function)


# Kinds of the functions that compute by oneDNN, beside contractions.
_BY_ONEDNN = {
    onednn: {
        "leaky_relu": "activation",
        "leaky_relu_gradient": "activation",
        "pixel_shuffle": "pixel shuffle, flattening",
        "pixel_unshuffle": "pixel shuffle, flattening",
        "flatten": "pixel shuffle, flattening",
    },
    norm: {"normalise": "norm", "norm_gradients": "norm"},
    differentiable: {"_differentiable_norm_gradients": "norm"},
}


def _phases(meter: Meter) -> dict[ModuleType, dict[str, Callable]]:
    """The functions of a step that begin a phase, in each module that calls them."""
    kinds = {
        "add_gradients": (BACKWARD, REST),
        "add_penalties": (PENALTY, REST),
        "path_length_penalty": (PENALTY, REST),
        "apply_gradients": (UPDATE, "optimiser"),
        "clip_weights": (UPDATE, "clipping"),
        "update_average": (UPDATE, "average"),
    }
    return {
        module: {
            name: _timed(meter, getattr(module, name), partial(_fixed, kind), phase)
            for name, (phase, kind) in kinds.items()
            if hasattr(module, name)
        }
        for module in (noise_to_image, adversary, paired, unpaired, contrast, update)
    }


def _linear(x: Any, weight: Any, *_: Any, **__: Any) -> _Described:
    return _Described("linear map", operations=2 * x.size * weight.shape[1])


def _contractions(meter: Meter) -> dict[str, Callable]:
    contract, sums = contraction.contract_without_gradients, contraction._channel_sums
    return {
        "contract_without_gradients": _timed(meter, contract, _contraction),
        "_channel_sums": _timed(meter, sums, lambda *_: _Described("bias gradient")),
    }


def _contraction(given: dict[Role, Any], geometry: Geometry, *_: Any) -> _Described:
    (result,) = {Role.IMAGES, Role.FILTERS, Role.OUTPUTS} - set(given)
    return _Described(CONVOLUTION, f"{_CONTRACTIONS[result]} {shapes(geometry)}", operations_of(geometry))


def shapes(geometry: Geometry) -> str:
    """The shapes of a convolution, as "3x3/2 32x14x14 to 64x7x7, 128 images"."""
    (n, c, h, w), (k, _, r, s), (_, _, p, q) = geometry.images, geometry.filters, geometry.outputs
    return f"{r}x{s}/{geometry.stride} {c}x{h}x{w} to {k}x{p}x{q}, {n} images"


def operations_of(geometry: Geometry) -> int:
    """Operations of a convolution or of one of its gradients, as `counting` counts them."""
    (n, k, p, q), (_, c, r, s) = geometry.outputs, geometry.filters
    return 2 * n * k * p * q * c * r * s


def _of_paddle(meter: Meter) -> dict[str, Callable]:
    """The operations of networks by Paddle's own kernels: their forward passes."""

    def convolution(
        images: Any, filters: Any, bias: Any = None, stride: int = 1, padding: Any = (0,) * 4, *_: Any, **__: Any
    ) -> _Described:
        geometry = Geometry(tuple(images.shape), tuple(filters.shape), stride, padding)
        return _contraction({Role.IMAGES: images, Role.FILTERS: filters}, geometry, "")

    def transposed(inputs: Any, filters: Any, *_: Any, **__: Any) -> _Described:
        (n, k, p, q), (_, c, r, s) = inputs.shape, filters.shape
        detail = f"transposed convolution {r}x{s}, {k}x{p}x{q} to {c} channels, {n} images"
        return _Described(CONVOLUTION, detail, 2 * n * k * p * q * c * r * s)

    return {
        "conv2d": _timed(meter, kernels.conv2d, convolution),
        "conv2d_transpose": _timed(meter, kernels.conv2d_transpose, transposed),
        **_named(meter, kernels, {"leaky_relu": "activation", "pixel_shuffle": "pixel shuffle, flattening"}),
    }


def _named(meter: Meter, module: ModuleType, kinds: dict[str, str]) -> dict[str, Callable]:
    return {name: _timed(meter, getattr(module, name), partial(_fixed, kind)) for name, kind in kinds.items()}


def _fixed(kind: str, *_: Any, **__: Any) -> _Described:
    return _Described(kind)


def _timed(
    meter: Meter, function: Callable, describe: Callable[..., _Described], phase: str | None = None
) -> Callable[..., Any]:
    """`function`, timed.

    Args:
        meter: that times.
        function: any.
        describe: takes its arguments.
        phase: that the function begins; None to stay in the present one.
    """

    @wraps(function)
    def timed(*arguments: Any, **keywords: Any) -> Any:
        kind, detail, operations = describe(*arguments, **keywords)
        if kind == CONVOLUTION and meter.runs(CONVOLUTION):  # one that is computed by another: the outer one counts
            return function(*arguments, **keywords)
        with meter.timed(Operation(phase or meter.phase, kind, detail), operations):
            return function(*arguments, **keywords)

    return timed
