"""The model card of an exported generator: what it is, what it was trained on, and how it was measured.

A card is JSON for programs (model_card.json), and the same as Markdown for people (README.md) with the front matter
that model hubs read (Mitchell et al. 2019, "Model Cards for Model Reporting"). Beside them stands a sheet of samples
that nobody picked. What is not known is said to be unknown.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import paddle_gan
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import UsageError
from paddle_gan.evaluation.records import read_record, table
from paddle_gan.inference.export import sha256
from paddle_gan.inference.images import grid, grid_columns, save_png
from paddle_gan.inference.sampling import generate
from paddle_gan.networks.mixture import Mixture
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.runs.folder import read_config
from paddle_gan.runs.generators import TrainedGenerator

FORMAT = 1
CARD, PAGE, SHEET = "model_card.json", "README.md", "samples.png"
# The samples of a card: the first ones of a seed.
SAMPLES, SEED = 64, 0
LICENCES = {"mnist": "CC BY-SA 3.0", "fashion-mnist": "MIT"}
# Options that say how a run was carried out, or where on the disk, and not what was trained.
PRIVATE = {"data_dir", "out", "resume", "download", "device", "workers", "inception"}


def write_card(
    folder: Path, trained: TrainedGenerator, run: Path, properties: dict[str, str | int], licence: str | None = None
) -> None:
    """Write the card of an exported generator and the sheet of samples beside its files.

    Args:
        folder: holds the files of the export.
        trained: the generator.
        run: folder of its run.
        properties: what the export says of its origin: format, run, weights, step, best.
        licence: of the data; None for what is known of a named set.

    Raises:
        CheckpointError: the run's config.json is damaged.
    """
    batches = generate(trained.network, SAMPLES, SEED, len(trained.classes))
    images = np.concatenate([batch.images for batch in batches])
    sheet = grid(images, grid_columns(len(trained.classes)))
    write_files(folder, sheet, card(trained, run, properties, licence, images.shape[1:]), markdown)


def write_files(
    folder: Path, sheet: np.ndarray | None, content: dict[str, Any], page: Callable[[dict[str, Any]], str]
) -> None:
    """Write a card beside the files of an export, with their hashes.

    Args:
        folder: of the export.
        sheet: a picture that belongs to it, uint8 [height, width, C], or None.
        content: of the card without the hashes.
        page: makes Markdown of the content with the hashes.
    """
    if sheet is not None:
        save_png(folder / SHEET, sheet)
    files = sorted(path.name for path in folder.iterdir())
    content = content | {"sha256": {name: sha256(folder / name) for name in files}}
    (folder / CARD).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    (folder / PAGE).write_text(page(content), encoding="utf-8", newline="\n")


def card(
    trained: TrainedGenerator,
    run: Path,
    properties: dict[str, str | int],
    licence: str | None,
    shape: Sequence[int],
) -> dict[str, Any]:
    """The content of a card without the hashes of files, for images of `shape` [H, W, C]; see `write_card`."""
    config = read_config(run)
    data = Path(config.dataset).name
    height, width, channels = shape
    network = trained.network
    measures, missing = measures_of(run, properties)
    return {
        "format": FORMAT,
        "written_by": f"paddle_gan {paddle_gan.__version__}",
        "export": properties,
        "data": {"name": data, "licence": licence or LICENCES.get(data)},
        "training": {
            "objective": config.loss,
            "source": OBJECTIVES[config.loss].source,
            "steps": trained.step,
            "options": shared_options(config),
        },
        "input": {
            "latents": ["N", network.latent_dim],
            "distribution": "independent, standard normal",
            "classes": list(trained.classes),
            "clusters": network.bounds.shape[1] if isinstance(network, Mixture) else 0,
        },
        "output": {
            "images": ["N", channels, height, width],
            "value_range": list(network.value_range),
        },
        "measures": measures,
        "measures_missing": missing,
        "samples": {"file": SHEET, "count": SAMPLES, "seed": SEED, "selected": False},
    }


def shared_options(config: TrainConfig) -> dict[str, Any]:
    """The options of a run without those that speak of the machine it ran on; of a data folder the name stays."""
    options = asdict(config) | {"dataset": Path(config.dataset).name}
    return {name: value for name, value in options.items() if name not in PRIVATE}


def measures_of(run: Path, properties: dict[str, str | int]) -> tuple[dict[str, Any] | None, str]:
    """The record of these very weights in the run's folder; or None and the reason, as a sentence."""
    path = run / "evaluation.json"
    if not path.exists():
        return None, "These weights were not measured."
    try:
        record = read_record(path)
    except UsageError:
        return None, "The record of the run's measures cannot be read."
    subject, protocol = record["subject"], record["protocol"]
    measured = (subject.get("step"), bool(subject.get("best")), protocol.get("weights"))
    if measured != (properties.get("step"), bool(properties.get("best")), properties["weights"]):
        return None, "The run was measured with other weights than these."
    return record, ""


def markdown(content: dict[str, Any]) -> str:
    """A card as Markdown with front matter."""
    export, data, training = content["export"], content["data"], content["training"]
    options, classes = training["options"], content["input"]["classes"]
    facts = {
        "data": f"{data['name']}, {licence_of(data)}",
        "objective": f"{training['objective']} ({training['source']})",
        "steps": "unknown" if training["steps"] is None else f"{training['steps']:,}",
        "weights": f"{export['weights']}{', those that measured best' if export.get('best') else ''}",
        "generator": f"{options['generator']}, width {options['width']}",
        "latents": f"{content['input']['latents'][1]}, {content['input']['distribution']}",
        "labels": ", ".join(name if name == str(i) else f"{i} {name}" for i, name in enumerate(classes)) or "none",
        "clusters": str(content["input"]["clusters"] or "none"),
        "images": " × ".join(map(str, content["output"]["images"][1:])) + f" in {content['output']['value_range']}",
        "written by": content["written_by"],
    }
    samples = content["samples"]
    shown = [
        f"![{samples['count']} samples]({samples['file']})",
        "",
        f"The first {samples['count']} samples of seed {samples['seed']}. Nobody picked them.",
    ]
    return page(content, "unconditional-image-generation", "generator", facts, shown)


def page(content: dict[str, Any], pipeline: str, what: str, facts: dict[str, str], shown: Sequence[str]) -> str:
    """A card as Markdown with front matter.

    Args:
        content: of the card.
        pipeline: the kind of task, as hubs call it.
        what: the network, for the title.
        facts: of the network and its training, by name.
        shown: lines on the samples.
    """
    return "\n".join(
        [
            *front_matter(content, pipeline),
            escaped(f"# {content['export']['run']}: a {what} of {content['data']['name']}"),
            "",
            *rows(("", ""), facts.items()),
            "",
            "## Samples",
            "",
            *shown,
            "",
            "## Measures",
            "",
            *measured(content),
            "",
            "## Files",
            "",
            *rows(("file", "SHA-256"), ((f"`{name}`", f"`{digest}`") for name, digest in content["sha256"].items())),
            "",
            f"`{CARD}` holds all of this for programs, with every option of the training run.",
            "",
        ]
    )


def licence_of(data: dict[str, Any]) -> str:
    """What a card says of the licence of the data."""
    return f"licence: {data['licence']}" if data["licence"] else "whose licence is not stated"


def front_matter(content: dict[str, Any], pipeline: str) -> list[str]:
    """YAML, with the kind of task as hubs call it; each string is in JSON's form, which YAML reads too."""
    form = content["export"]["format"]
    tags = ["gan", "image-generation", "paddlepaddle", form]
    return [
        "---",
        "license: unknown",
        f"library_name: {'onnx' if form in ('onnx', 'web') else 'paddle'}",
        f"pipeline_tag: {pipeline}",
        f"tags: {json.dumps(tags)}",
        f"datasets: {json.dumps([content['data']['name']], ensure_ascii=False)}",
        "---",
        "",
    ]


def measured(content: dict[str, Any]) -> list[str]:
    """The lines of the measures of a card."""
    record = content["measures"]
    if record is None:
        return [content["measures_missing"]]
    copies = record["figures"].get("near_copies")
    line = "Near-copies of training images: {samples:.2%} of the samples, {real:.2%} of other real images."
    protocol = ", ".join(f"{name} {value}" for name, value in sorted(record["protocol"].items()))
    return [
        "```text",
        table([record]),
        "```",
        "",
        *([line.format(**copies), ""] if copies else []),
        f"Protocol: {escaped(protocol)}.",
    ]


def rows(head: Sequence[str], rows: Any) -> list[str]:
    """A Markdown table."""
    lines = [f"| {' | '.join(map(escaped, row))} |" for row in (head, *rows)]
    return [lines[0], f"|{'---|' * len(head)}", *lines[1:]]


def escaped(text: str) -> str:
    """Text that is foreign to Markdown: no markup, no new rows."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
