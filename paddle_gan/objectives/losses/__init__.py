"""Losses by family: pure functions of logits to a 0-D tensor, without weights, penalties, devices or logging.

Logits are [N], or a map of patches [N, 1, H, W]; every loss is a mean over all of them. A discriminator always returns
logits: where an objective squashes them (the tutorial's Sigmoid or Tanh), its loss does so itself.
"""
