"""Measure the samples of a run or of a file: python tools/evaluate.py RUN"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.config.command_line import main, parse
from paddle_gan.config.options import EvaluateConfig


def command() -> None:
    config, positional, _ = parse(
        EvaluateConfig,
        "Measure samples: are they good, are they diverse, were they copied.",
        {"source": "folder of a run, or .npz file with images, uint8 [N,H,W,C]"},
    )
    source = Path(positional["source"]).expanduser()
    from paddle_gan.evaluation import records
    from paddle_gan.inference.images import grid, save_png
    from paddle_gan.runs import scoring
    from paddle_gan.system.files import write_text
    from paddle_gan.system.runtime import select_device

    select_device(config.device)
    other = records.read_record(Path(config.against).expanduser()) if config.against else None
    result = scoring.score(source, config, print)
    default = source / "evaluation.json" if source.is_dir() else source.with_suffix(".evaluation.json")
    out = Path(config.out).expanduser() if config.out else default
    write_text(out, json.dumps(result.record, indent=2) + "\n")
    save_png(out.with_suffix(".neighbours.png"), grid(result.neighbours, columns=12))
    print(records.table([result.record]))
    for name, counts in (result.record["class_counts"] or {}).items():
        print(f"classes of {name}: {' '.join(map(str, counts))}")
    print(f"record: {out}")
    print(f"samples nearest to a training image, each beside it: {out.with_suffix('.neighbours.png')}")
    if other:
        print(records.table([result.record, other]))


if __name__ == "__main__":
    main(command)
