"""Make the demo's photographs again: free pictures, each in two degrees of four kinds of damage.

    python benchmarks/make_photographs.py docs/photographs

The pictures come from the scikit-image wheel: astronaut (NASA, public domain), chelsea (Stéfan van der Walt, CC0),
coffee (Rachel Michetti, CC0), rocket (SpaceX, public domain).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import skimage
from PIL import Image

from topiq_metrics import load_image
from topiq_metrics.images import SizePolicy
from topiq_metrics.training.distortions import distort

PICTURES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
DAMAGE = {"blur": (0.55, 0.8), "jpeg": (0.6, 0.9), "noise": (0.5, 0.75), "underexposure": (0.4, 0.75)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for the photographs")
    folder = parser.parse_args().folder
    source = Path(skimage.__file__).parent / "data"
    for picture in PICTURES:
        image = SizePolicy.parse("max_side=448").apply(load_image(source / picture))
        target = folder / Path(picture).stem
        target.mkdir(parents=True, exist_ok=True)
        versions = {"0-original": image}
        for kind, severities in DAMAGE.items():
            for degree, severity in enumerate(severities, start=1):
                versions[f"{kind}-{degree}"] = distort(image, kind, severity, seed=0)
        for name, version in versions.items():
            pixels = (version * 255).round().byte().permute(1, 2, 0).numpy()
            # Good enough not to add damage of its own.
            Image.fromarray(pixels).save(target / f"{name}.jpg", quality=95, subsampling=0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
