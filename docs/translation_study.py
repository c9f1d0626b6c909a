"""Translation between two drawing styles whose images have the same names: with pairs, and without, several seeds.

Run it with: python docs/translation_study.py A B OUT [STEPS [SEEDS [SIZE [WIDTH]]]]

A and B are folders with the same names, such as two sets of emoji. Each run goes on if it was interrupted. Methods
without pairs never see which images belong together; the names serve for the measures only.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.config.results import EvaluateConfig
from paddle_gan.config.translate import TranslateConfig
from paddle_gan.evaluation.records import FIGURES, FLOORS, PAIR_FIGURES, mean_and_error
from paddle_gan.runs.translation import run_translation
from paddle_gan.runs.translation_scoring import score_translation

SHOWN = PAIR_FIGURES | {name: FIGURES[name] for name in ("frechet_distance", "diversity")}


def methods(a: str, b: str) -> dict[str, dict]:
    """The options of each column of the table."""
    return {
        "pairs, L1 only": {"pairs": (a, b), "loss": "lsgan", "l1_weight": 1e4},  # the adversarial part is drowned
        "pairs, pix2pix": {"pairs": (a, b)},
        "pairs, R1": {"pairs": (a, b), "loss": "gan-r1"},
        "cyclegan": {"unpaired": (a, b), "method": "cyclegan"},
        "cut": {"unpaired": (a, b), "method": "cut"},
        "fastcut": {"unpaired": (a, b), "method": "fastcut"},
    }


def main() -> None:
    a, b, out = sys.argv[1:4]
    numbers = [int(value) for value in sys.argv[4:]]
    steps, seeds, size, width = numbers + [20_000, 3, 64, 32][len(numbers) :]
    table: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        for name, options in methods(a, b).items():
            folder = Path(out) / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
            common = {"steps": steps, "seed": seed, "image_size": size, "width": width, "out": str(folder)}
            run_translation(TranslateConfig(**common, **options))
            record = score_translation(folder, EvaluateConfig(seed=seed)).record
            for figure in SHOWN.keys() & record["figures"].keys():
                for column, value in record["figures"][figure].items():
                    heading = name if column == "samples" else FLOORS[column]
                    table.setdefault(heading, {}).setdefault(figure, []).append(value)
    headings = [*methods(a, b), *(heading for heading in FLOORS.values() if heading in table)]
    print(f"| {seeds} seeds, {steps} steps | {' | '.join(headings)} |", "|---" * (len(headings) + 1) + "|", sep="\n")
    for figure, shown in SHOWN.items():
        if not any(figure in values for values in table.values()):
            continue  # of another task
        cells = []
        for heading in headings:
            values = table[heading].get(figure)
            mean, error = mean_and_error(values) if values else (float("nan"), float("nan"))
            cells.append(f"{mean:.4g} ± {error:.2g}" if values else "")
        print(f"| {shown.label} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
