"""The worker of PyTorch: rounds of the twins in `twins`, in both memory layouts."""

import platform
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from turns import Work, resident, serve, settings
from twins import noise_to_image, translation

_WARM_UP = 2
_LAYOUTS = {"torch": torch.contiguous_format, "torch, channels last": torch.channels_last}


def prepare(case: dict[str, Any]) -> Work:
    """The rounds of one case, in both memory layouts.

    Args:
        case: "task", see `names.MEASURED_TASKS`; "options", filled in; "images", the number of images of noise;
            "classes", that of their labels or 0, for images from noise; "threads", the number of them; maybe "only",
            the one action that is prepared.
    """
    torch.set_num_threads(case["threads"])
    torch.backends.cudnn.benchmark = True
    device = case["options"]["device"].replace("gpu", "cuda")

    def rounds(memory_format: torch.memory_format) -> Callable[[], object]:
        if case["task"] == "noise":
            return noise_to_image.rounds_of(case["options"], case["classes"], case["images"], device, memory_format)
        return translation.rounds_of(case["options"], case["images"], device, memory_format)

    only = case.get("only")
    actions = {name: rounds(layout) for name, layout in _LAYOUTS.items() if only in (None, name)}
    built = resident() if device == "cpu" else torch.cuda.memory_allocated()
    for action in actions.values():
        for _ in range(_WARM_UP):
            action()
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    about = {"versions": versions, "threads": torch.get_num_threads(), "environment": settings()}
    about["built_bytes"] = built
    if device == "cpu":
        return Work(about, actions)
    return Work(
        about,
        actions,
        synchronise=partial(torch.cuda.synchronize, device),
        device_peak=torch.cuda.max_memory_allocated,
    )


if __name__ == "__main__":
    serve(prepare)
