"""The contrastive loss of patches, by which a translation keeps the content of its input (Park et al. 2020, CUT)."""

import paddle
import paddle.nn.functional as F
from paddle import Tensor

TEMPERATURE = 0.07


def patch_contrast(queries: Tensor, keys: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """PatchNCE: the cross-entropy of finding, among all patches of an input, the one at the same place.

    −log (exp(q·k⁺/τ) / Σ exp(q·k/τ)), the mean over the patches of an image (Park et al. 2020, eqs. 2 and 3).

    Args:
        queries: features of patches of the translations, of norm 1: [N, P, F].
        keys: features of the patches of the inputs at the same places, of norm 1: [N, P, F]. They get no gradient.
        temperature: τ.

    Returns:
        [N].
    """
    count, patches, _ = queries.shape
    logits = paddle.matmul(queries, keys.detach(), transpose_y=True) / temperature
    same = paddle.arange(patches).tile([count])
    # Paddle's logsumexp would take five times as long on a CPU.
    losses = F.cross_entropy(logits.reshape([-1, patches]), same, reduction="none")
    return losses.reshape([count, patches]).mean(-1)
