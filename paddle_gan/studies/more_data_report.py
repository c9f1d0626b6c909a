"""The table of a study of more data, and the tests whether its differences are more than chance."""

import math
from typing import Any

import numpy as np

from paddle_gan.metrics.significance import paired_test

# What is compared with what, and what that asks.
COMPARISONS = (("samples", "real"), ("augmentation", "real"), ("both", "real"), ("both", "augmentation"))
_LABELS = {
    "real": "real images only",
    "samples": "real images and samples",
    "augmentation": "real images, shifted and turned",
    "both": "real images and samples, shifted and turned",
}
_LEVEL = 0.05


def compared(seeds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The comparisons over the seeds that have all arms, with `mean` in percentage points; NaN becomes None."""
    finished = [entry["accuracy"] for entry in seeds if set(_LABELS) <= set(entry["accuracy"])]
    found = []
    for first, second in COMPARISONS if finished else ():
        result = paired_test([each[first] for each in finished], [each[second] for each in finished])
        values = {"points": 100 * result.mean, "t": result.t, "p": result.p}
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        found.append({"first": first, "second": second, "seeds": len(finished), **finite})
    return found


def table(settings: dict[str, Any], seeds: list[dict[str, Any]]) -> str:
    """The results as Markdown: accuracies, what passed the filter, the comparisons, and what they say."""
    finished = [entry for entry in seeds if set(_LABELS) <= set(entry["accuracy"])]
    numbers = ", ".join(str(entry["seed"]) for entry in finished)
    lines = [
        f"{settings['dataset']}, {settings['per_class']} images of each class, seeds {numbers}; accuracy in % on "
        f"{settings['test']:,} real test images",
        "",
        "| trained on | mean | standard deviation | each seed |",
        "|---|---|---|---|",
    ]
    for name, label in _LABELS.items():
        values = [100 * entry["accuracy"][name] for entry in finished]
        spread = f"{np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
        lines.append(f"| {label} | {np.mean(values):.2f} | {spread} | {', '.join(f'{v:.2f}' for v in values)} |")
    passed = ", ".join(f"{entry['passed'] / entry['candidates']:.0%}" for entry in finished)
    kept = ", ".join(f"{sum(entry['kept']):,}" for entry in finished)
    lines += [
        "",
        f"Samples that passed the filter: {passed}. Kept: {kept}.",
        "",
        f"| paired t-test over {len(finished)} seeds, two-sided, p not corrected for {len(COMPARISONS)} comparisons "
        "| difference in points | t | p |",
        "|---|---|---|---|",
    ]
    found = compared(seeds)
    for test in found:
        t, p = ("" if test[name] is None else f"{test[name]:{form}}" for name, form in (("t", ".2f"), ("p", ".3g")))
        lines.append(f"| {test['first']} − {test['second']} | {test['points']:+.2f} | {t} | {p} |")
    return "\n".join([*lines, "", *(_verdict(test) for test in found[:1] + found[-1:]), ""])


def _verdict(test: dict[str, Any]) -> str:
    """What a comparison says, in a sentence."""
    subject = (
        "Samples instead of nothing" if test["second"] == "real" else "Samples in addition to shifts and rotations"
    )
    if test["p"] is None:
        return f"{subject}: one seed, or no difference at all, so nothing can be said about chance."
    if test["p"] >= _LEVEL:
        return f"{subject}: no difference that chance could not have made (p = {test['p']:.2g})."
    way = "help" if test["points"] > 0 else "harm"
    return f"{subject} {way} here: {test['points']:+.2f} points (p = {test['p']:.2g})."
