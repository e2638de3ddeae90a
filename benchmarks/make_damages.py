"""Draw the contact sheet of KADID-10k's damages in the documentation: each kind, at its five levels.

python benchmarks/make_damages.py [-o docs/damages]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image, ImageDraw

from topiq_metrics.images import load_image
from topiq_metrics.training.distortions.arrays import as_picture
from topiq_metrics.training.distortions.kadid import KADID, kadid_damage

PHOTOGRAPH = "docs/photographs/chelsea/0-original.jpg"
TILE, ROW, LABEL = (128, 96), 110, 130
LEFT_TOP = (80, 40)


def draw_sheet(photograph: Path) -> Image.Image:
    clean = load_image(photograph)
    sheet = Image.new("RGB", (LABEL + 5 * TILE[0], 20 + len(KADID) * ROW), "white")
    draw = ImageDraw.Draw(sheet)
    for level in range(1, 6):
        draw.text((LABEL + (level - 1) * TILE[0] + 4, 4), f"level {level}", fill="black")
    for row, (number, kind) in enumerate(KADID.items()):
        top = 20 + row * ROW
        draw.text((4, top + 4), f"{number} {kind.name}", fill="black")
        for level in range(1, 6):
            picture = as_picture(kadid_damage(clean, number, level, seed=1))
            left, upper = LEFT_TOP
            tile = picture.crop((left, upper, left + TILE[0], upper + TILE[1]))
            place = (LABEL + (level - 1) * TILE[0], top)
            sheet.paste(tile, place)
            draw.text((place[0] + 2, top + TILE[1] + 1), f"{kind.parameter(level):g}", fill="gray")
    return sheet


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/damages"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "kadid10k.jpg"
    draw_sheet(Path(PHOTOGRAPH)).save(path, quality=60)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
