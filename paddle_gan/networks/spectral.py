"""Spectral normalisation: weights divided by their largest singular value (Miyato et al. 2018).

It bounds by how much a layer can stretch its inputs. In contrast to `nn.utils.spectral_norm` it can be differentiated
twice, as a gradient penalty needs (`dot`, which that one uses, has no second gradient in Paddle 3.3).
"""

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor


class SpectralNorm(nn.Layer):
    """Divides a weight by an estimate of its largest singular value, as a matrix with one row for each output.

    The estimate σ = uᵀWv comes from power iteration (Miyato et al. 2018, algorithm 1): one step in each forward pass in
    training, with u kept from pass to pass. u and v are constants for the gradient.

    Args:
        outputs: number of rows.
        outputs_first: whether outputs are the first axis of the weight, as in convolutions, or the second, as in linear
            maps. For an embedding, whose matrix may as well be transposed, they are its first axis.
    """

    def __init__(self, outputs: int, outputs_first: bool):
        super().__init__()
        self.outputs_first = outputs_first
        self.register_buffer("u", F.normalize(paddle.randn([outputs]), axis=0))

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.reshape([weight.shape[0], -1]) if self.outputs_first else weight.t()
        with paddle.no_grad():
            v = F.normalize(paddle.mv(matrix.t(), self.u), axis=0)
            # A network that is frozen stays as it is, bit for bit.
            if self.training and not weight.stop_gradient:
                self.u.set_value(F.normalize(paddle.mv(matrix, v), axis=0))
                v = F.normalize(paddle.mv(matrix.t(), self.u), axis=0)
        return weight / (self.u.detach() * (matrix * v).sum(1)).sum()


def normalise_spectrally(network: nn.Layer) -> None:
    """Put spectral normalisation into every convolution, linear map and embedding of a network of `networks.layers`.

    An embedding is a linear map of labels that are one-hot; its rows are the vectors of the classes, as in the
    projection discriminator of Miyato and Koyama 2018.
    """
    for part in network.sublayers(include_self=True):
        if hasattr(part, "spectral"):
            rows_first = not isinstance(part, nn.Linear)
            part.spectral = SpectralNorm(part.weight.shape[0 if rows_first else 1], outputs_first=rows_first)
