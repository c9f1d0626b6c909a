"""What is odd about a folder of images, as data and as sentences, and what training does with it.

Not about how the facts come about: see `survey`.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from paddle_gan.datasets import depth
from paddle_gan.datasets.duplicates import copies, near_duplicates
from paddle_gan.datasets.found import Found, shown
from paddle_gan.datasets.labels import Labels, named
from paddle_gan.datasets.store import Form, Stored
from paddle_gan.datasets.survey import Facts, extremes_of, ranges_of

_SHOWN = 5
_MOST_CLASSES_SHOWN = 20
# The largest class has so many times the images of the smallest.
_IMBALANCE = 10
# An image of more pixels takes long to decode.
_LARGE = 16_000_000
# Lines of a report for one kind of thing; JSON has all.
_MOST_LINES = 50

# The form of the pixels and the facts of an image to whether it is odd in one way, by the name of the way.
ODDITIES: dict[str, Callable[[Form, Facts], bool]] = {
    "animated": lambda form, one: one.frames > 1,
    "rotated": lambda form, one: one.rotated,
    "transparent": lambda form, one: one.transparent,
    "cmyk": lambda form, one: one.mode == "CMYK",
    "deep": lambda form, one: bool(one.kind),
    "enlarged": lambda form, one: _scale(form, one) > 1,
    "large": lambda form, one: one.width * one.height > _LARGE,
    "wrong_extension": lambda form, one: one.misnamed,
}
# Where the user can choose the channels.
KEEP_ALPHA = "--channels 4 keeps transparent parts"
# What training does with them; the form says how.
_TREATMENT: dict[str, Callable[[Form], str]] = {
    "animated": lambda form: "have several frames or pages; the first one is used",
    "rotated": lambda form: "are turned upright, as EXIF says",
    "transparent": lambda form: (
        "have transparent parts, which are kept" if form.channels == 4 else "have transparent parts, which become white"
    ),
    "cmyk": lambda form: "are CMYK; they become RGB without a colour profile",
    "enlarged": lambda form: f"are smaller than {form.size[1]}x{form.size[0]} and are enlarged",
    "large": lambda form: "have more than 16 megapixels; resize them once if reading takes long",
    "wrong_extension": lambda form: "have another format than their extension says; they are read by their content",
}


def report(found: Found, stored: Stored, form: Form, labels: Labels | None, skipped: bool) -> dict[str, Any]:
    """All that is to be said about a folder, for JSON.

    Args:
        found: what lies there.
        stored: what is known of the images.
        form: that they come to.
        labels: of the images; None without classes.
        skipped: whether training goes on without the unreadable images.
    """
    facts = stored.facts
    readable = [one for one in facts if not one.problem]
    unreadable = [one for one in facts if one.problem]
    return {
        "path": str(found.path),
        "files": len(facts),
        "readable": len(readable),
        "trainable": bool(readable) and (skipped or not unreadable),
        "unreadable": [{"file": one.name, "kind": one.problem, "reason": one.reason} for one in unreadable],
        "unreadable_kinds": dict(Counter(one.problem for one in unreadable)),
        "not_read": dict(found.left_out.not_read),
        "refused": dict(found.left_out.refused),
        "runs_left_out": found.left_out.runs,
        "formats": _counts(one.format for one in readable),
        "modes": _counts(one.mode for one in readable),
        "bits": _counts(str(one.bits) for one in readable),
        "sizes": _sizes(readable),
        "ranges": {kind: list(chosen) for kind, chosen in ranges_of(facts).items()},
        "grey": sum(one.grey for one in readable),
        **{name: [one.name for one in readable if is_odd(form, one)] for name, is_odd in ODDITIES.items()},
        "duplicates": copies(readable),
        "near_duplicates": near_duplicates(readable),
        "classes": _class_counts(labels) if labels else {},
        "notices": [*labels.notices, *_imbalance(labels)] if labels else [],
        "trained_with": {
            "height": form.size[0],
            "width": form.size[1],
            "channels": stored.channels,
            "fit": form.fit,
            "images": len(labels.of_name) if labels else len(readable),
        },
    }


def lines(said: dict[str, Any], form: Form, found: Found, stored: Stored) -> list[str]:
    """A report in words."""
    trained = said["trained_with"]
    result = [
        summary(stored.facts),
        *(f"{shown(name)} {count}" for name, count in said["classes"].items()),
        *oddities(found, stored, form),
    ]
    if said["transparent"] and form.channels != 4:
        result.append(KEEP_ALPHA)
    if said["unreadable"]:
        result.append(f"{len(said['unreadable'])} of {said['files']} cannot be read:")
        result += _first([f"  {shown(one['file'])}: {one['reason']}" for one in said["unreadable"]])
    result += _first([f"the same file: {named(group)}" for group in said["duplicates"]])
    result += _first([f"nearly the same picture: {named(group)}" for group in said["near_duplicates"]])
    result += said["notices"]
    result.append(
        f"training sees {trained['images']} images of {trained['width']}x{trained['height']}x{trained['channels']} "
        f"(--fit {trained['fit']})"
    )
    return result


def notices_of(found: Found, stored: Stored, form: Form, labels: Labels | None) -> list[str]:
    """The short form of a report, for the start of a training run: one sentence for each thing, a summary first."""
    failed = [one for one in stored.facts if one.problem]
    result = [summary(stored.facts)]
    if labels:
        result += [_classes_line(labels), *labels.notices, *_imbalance(labels)]
    if failed:
        kinds = ", ".join(f"{count} {kind}" for kind, count in _counts(one.problem for one in failed).items())
        result.append(f"skipped, since they cannot be read: {named([one.name for one in failed])} ({kinds})")
    result += oddities(found, stored, form)
    same = copies([one for one in stored.facts if not one.problem])
    if same:
        more = f"; and {len(same) - 1} more groups" if len(same) > 1 else ""
        surplus = sum(map(len, same)) - len(same)
        result.append(f"{surplus} images are copies of others, byte by byte: {named(same[0])}{more}")
    if stored.refusal:
        result.append(f"the decoded images are not kept ({stored.refusal}), so each start decodes them again")
    return result


def oddities(found: Found, stored: Stored, form: Form) -> list[str]:
    """What is left out, and what training does with odd images."""
    readable = [one for one in stored.facts if not one.problem]
    result = found.left_out.sentences()
    extremes = extremes_of(readable)
    for kind, chosen in ranges_of(readable).items():
        result.append(depth.described(kind, len(extremes[kind]), chosen, extremes[kind]))
        by_name = {shown(one.name): (one.low, one.high) for one in readable if one.kind == kind}
        if alone := depth.outlier(kind, by_name):
            result.append(alone)
    for name, says in _TREATMENT.items():
        names = [one.name for one in readable if ODDITIES[name](form, one)]
        if names:
            result.append(f"{len(names)} of {len(readable)} images {says(form)}: {named(names)}")
    return result


def summary(facts: Sequence[Facts]) -> str:
    """The counts of a set in one line."""
    readable = [one for one in facts if not one.problem]
    if not readable:
        return f"{len(facts)} image files"
    titles = ("format", "mode", "bits")
    kinds, modes, bits = (_listed(_counts(getattr(one, title) for one in readable)) for title in titles)
    sizes = _sizes(readable)
    least, greatest = ("x".join(map(str, sizes[name])) for name in ("smallest", "largest"))
    pixels = f"all {least} pixels" if least == greatest else f"{least} to {greatest} pixels"
    return f"{len(facts)} image files; format {kinds}; mode {modes}; bits {bits}; {pixels}"


def _listed(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def _scale(form: Form, one: Facts) -> float:
    """How far an image is enlarged in one direction or both; below 1 if it is made smaller."""
    height, width = form.size[0] / one.height, form.size[1] / one.width
    return min(height, width) if form.fit == "pad" else max(height, width)


def _sizes(facts: Sequence[Facts]) -> dict[str, Any]:
    if not facts:
        return {}
    counts = Counter((one.width, one.height) for one in facts)
    by_area = sorted(counts, key=lambda size: (math.prod(size), size))
    return {
        "smallest": list(by_area[0]),
        "largest": list(by_area[-1]),
        "distinct": len(counts),
        "most_common": [[*size, count] for size, count in counts.most_common(_SHOWN)],
    }


def _counts(values: Any) -> dict[Any, int]:
    """The most frequent first."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], str(item[0]))))


def _class_counts(labels: Labels) -> dict[str, int]:
    counts = np.bincount(list(labels.of_name.values()), minlength=len(labels.classes))
    return {f"{number} {name}": int(counts[number]) for number, name in enumerate(labels.classes)}


def _classes_line(labels: Labels) -> str:
    counts = [(shown(name), count) for name, count in _class_counts(labels).items()]
    first = _listed(dict(counts[:_MOST_CLASSES_SHOWN]))
    more = f" and {len(counts) - _MOST_CLASSES_SHOWN} more" if len(counts) > _MOST_CLASSES_SHOWN else ""
    return f"classes by number and name, with their images: {first}{more}"


def _imbalance(labels: Labels) -> list[str]:
    counts = _class_counts(labels)
    most, least = max(counts.values()), min(counts.values())
    if most < _IMBALANCE * least:
        return []
    name = min(counts, key=lambda name: counts[name])
    return [f"the largest class has {most} images and the smallest, {shown(name)}, {least}: it is seen that rarely"]


def _first(lines: list[str]) -> list[str]:
    """As many lines as a reader takes in."""
    more = [f"  and {len(lines) - _MOST_LINES} more, which --json lists"] if len(lines) > _MOST_LINES else []
    return lines[:_MOST_LINES] + more
