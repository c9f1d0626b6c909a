"""The same networks, objectives and steps in PyTorch, written in the way that is fastest there.

This is for the comparison of speed only. Each twin has the parameters of its original, in the same order and with the
same shapes (except that the weight of a linear map is transposed), so weights can be copied and results compared. The
steps do the same as `paddle_gan.training`. If PyTorch has a faster way to the same result, it is taken: activations in
place, the fused Adam, one moving average for all tensors. The package paddle_gan is not imported, see `workers.turns`;
so the modules import each other by relative names.
"""
