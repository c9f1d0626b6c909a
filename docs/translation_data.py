"""Images for translations, made of what packages bring: see "Data to try" in translation.md.

Run it with: python docs/translation_data.py outlines|glyphs|earth|photographs ... (--help says what each takes). It
downloads nothing; the page names the command that fetches each package.
"""

import argparse
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# The most common characters stand in these rows of GB 2312, 94 in each (the last row has five fewer).
COMMON_ROWS = range(0xB0, 0xD8)
# The typeface of simplified Chinese in the collections of Noto CJK, which hold those of several countries.
SIMPLIFIED = 2
# A crop of the earth is left out if it is nearly plain, as the open sea: values deviate less, of 255.
PLAIN = 4.0
# Photographs by the module whose package has them, and its folder; those of `TEST` are not for training.
PHOTOGRAPHS = {
    ("skimage", "data"): (
        *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png"),
        *("gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "rocket.jpg"),
    ),
    ("sklearn", "datasets/images"): ("china.jpg", "flower.jpg"),
    ("matplotlib", "mpl-data/sample_data"): ("grace_hopper.jpg",),
}
TEST = ("chelsea.png", "coffee.png", "flower.jpg", "grace_hopper.jpg", "rocket.jpg")


def common_characters() -> str:
    """The 3,755 common characters of GB 2312, by pronunciation."""
    codes = (bytes([row, cell]) for row in COMMON_ROWS for cell in range(0xA1, 0xFF))
    return "".join(code.decode("gb2312", "ignore") for code in codes)


def outlines(given: argparse.Namespace) -> None:
    """Drawings of OpenMoji (SVG) as PNG: the outlines in OUT/black, the same in colour in OUT/color."""
    import cairosvg  # pip install cairosvg

    options = {"output_width": given.size, "output_height": given.size, "background_color": "white"}
    for source in sorted((given.package / "black" / "svg").glob("*.svg"))[: given.count]:
        sides = {side: given.package / side / "svg" / source.name for side in ("black", "color")}
        try:
            images = {side: cairosvg.svg2png(url=str(path), **options) for side, path in sides.items()}
        except Exception as error:  # CairoSVG fails in many ways at what it does not know
            print(f"{source.name} is left out, CairoSVG cannot draw it: {type(error).__name__}: {error}")
            continue
        for side, image in images.items():
            (folder(given.out, side) / f"{source.stem}.png").write_bytes(image)


def glyphs(given: argparse.Namespace) -> None:
    """Each character in two typefaces, black on white: OUT/first and OUT/second, named by code point."""
    for side, path in (("first", given.first), ("second", given.second)):
        index = SIMPLIFIED if path.suffix == ".ttc" else 0
        typeface = ImageFont.truetype(str(path), round(given.size * 7 / 8), index=index)
        for character in (given.characters or common_characters())[: given.count]:
            image = Image.new("L", (given.size, given.size), 255)
            middle = (given.size / 2, given.size / 2)
            ImageDraw.Draw(image).text(middle, character, fill=0, font=typeface, anchor="mm")
            image.save(folder(given.out, side) / f"{ord(character):05x}.png")


def earth(given: argparse.Namespace) -> None:
    """Crops of maps of the whole earth, of the same places in all: OUT/first, OUT/second; named by row and column."""
    maps = [Image.open(path).convert("RGB") for path in given.maps]
    width, stride = min(one.width for one in maps), given.stride or given.size
    planes = [np.asarray(one.resize((width, width // 2), Image.Resampling.LANCZOS)) for one in maps]
    for top in range(0, width // 2 - given.size + 1, stride):
        for left in range(0, width - given.size + 1, stride):
            crops = [pixels[top : top + given.size, left : left + given.size] for pixels in planes]
            if min(crop.std((0, 1)).max() for crop in crops) < PLAIN:
                continue
            for side, crop in zip(("first", "second"), crops, strict=False):
                Image.fromarray(crop).save(folder(given.out, side) / f"{top // stride:02}-{left // stride:02}.png")


def photographs(given: argparse.Namespace) -> None:
    """Copies of the photographs of scikit-image, scikit-learn and matplotlib: OUT/train, and five in OUT/test."""
    for (module, inside), names in PHOTOGRAPHS.items():
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            print(f"{module} is not installed; its photographs are left out")
            continue
        for name in names:
            side = "test" if name in TEST else "train"
            shutil.copy(Path(spec.origin).parent / inside / name, folder(given.out, side))


def folder(out: Path, side: str) -> Path:
    """The folder of one side, made if it is not there."""
    (out / side).mkdir(parents=True, exist_ok=True)
    return out / side


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True)
    for made in (outlines, glyphs, earth, photographs):
        command = commands.add_parser(made.__name__, description=made.__doc__, help=made.__doc__)
        command.set_defaults(made=made)
        if made is outlines:
            command.add_argument("package", type=Path, help="folder of the unpacked package openmoji")
        if made is glyphs:
            command.add_argument("first", type=Path, help="typeface of the inputs")
            command.add_argument("second", type=Path, help="typeface of the targets")
        if made is earth:
            command.add_argument("maps", type=Path, nargs="+", help="map of the inputs, and map of the targets if any")
            command.add_argument("--stride", type=int, help="pixels from one crop to the next (--size: no overlap)")
        command.add_argument("out", type=Path, help="folder for the images")
        if made is not photographs:
            default = {outlines: 72, glyphs: 64, earth: 128}[made]
            command.add_argument("--size", type=int, default=default, help=f"height and width in pixels ({default})")
        if made in (outlines, glyphs):
            command.add_argument("--count", type=int, help="make so many only")
        if made is glyphs:
            command.add_argument("--characters", help="these; by default the 3,755 common ones of GB 2312")
    given = parser.parse_args(arguments)
    given.made(given)
    print(f"{sum(1 for path in given.out.rglob('*') if path.is_file())} images in {given.out}")


if __name__ == "__main__":
    main()
