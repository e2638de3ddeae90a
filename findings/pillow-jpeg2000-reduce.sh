#!/usr/bin/env bash
# Pillow 13.0.0 can leave out the finest levels of a JPEG 2000 (image.reduce = n), as Image.draft does for JPEG. Three
# things differ from what one would take for granted.
#
# Good guess: every whole file can be read with reduce = 1 and 2, and what comes is the picture at a half or a quarter
# of its size, in the same place as a JPEG's.
# Seen: 1. A picture 1025 pixels wide fails at reduce = 2 with "broken data stream": Pillow takes 1025 / 4 for 256,
#          OpenJPEG for 257 (it rounds up). 1024, 1026 and 1027 are read, and 1025 is at reduce = 1.
#       2. The reduced picture lies (2^n - 1) / 2 pixels to the lower right of a JPEG's of the same size: a wavelet's
#          coarse pixels are at every 2^n-th pixel, and not in the middle of 2^n. A ramp of 1 a pixel is 0, 4, 8, … and
#          not 1.5, 5.5, 9.5, …
#       3. A picture whose first pixel is not at the origin of its grid, as save(…, offset=(1, 1)) makes it, comes with a
#          black last row and column, without an error: OpenJPEG has one pixel less there than Pillow makes room for.
# Way round: take the n for which rounding and rounding up are the same, and none where the offset in the codestream's SIZ
# segment is not 0; compare only what was reduced by one codec.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.2.6
"$work/venv/bin/python" - <<'PY'
import io

import numpy as np
from PIL import Image


def stored(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    stream.seek(0)
    return stream


def reduced(image, n):
    opened = Image.open(stored(image, "JPEG2000"))
    opened.reduce = n
    opened.load()
    return opened


outcomes = {}
for width in (1024, 1025, 1026, 1027):
    for n in (1, 2):
        try:
            outcomes[width, n] = reduced(Image.new("L", (width, 64), 100), n).size[0]
        except OSError as error:
            outcomes[width, n] = str(error)
for case, outcome in outcomes.items():
    print("width %d, reduce %d: %s" % (*case, outcome))
failed = [case for case, outcome in outcomes.items() if isinstance(outcome, str)]
assert failed == [(1025, 2)], failed

ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 1)))
wavelet = np.asarray(reduced(ramp, 2)).astype(float)[8, 8:-8]
jpeg = Image.open(stored(ramp, "JPEG", quality=100))
jpeg.draft("L", (64, 16))
cosine = np.asarray(jpeg).astype(float)[8, 8:-8]
print("columns 8 to 11 of a ramp, reduced to a quarter: JPEG 2000", wavelet[:4], "JPEG", cosine[:4])
shift = float((cosine - wavelet).mean())
print("shift in pixels of the whole picture: %.2f" % shift)
assert 1.2 < shift < 1.8, shift
moved = Image.open(stored(Image.new("L", (801, 1203), 200), "JPEG2000", offset=(1, 1), tile_size=(128, 128)))
moved.reduce = 1
values = np.asarray(moved)
print("offset (1, 1), reduced to a half: %d inside, %d and %d at the ends" % (values[9, 9], values[-1, 9], values[9, -1]))
assert values[9, 9] == 200 and not values[-1].any() and not values[:, -1].any()
print("as found")
PY
