#!/usr/bin/env bash
# Pillow 13.0.0 reads an uncompressed TIFF of 16-bit RGB in separate planes (PlanarConfiguration 2), and gives noise:
# no error, no warning, the right size and mode. The same pixels in one plane (PlanarConfiguration 1) are right.
#
# Good guess: a baseline tag of TIFF 6.0 is either read or refused.
# Seen: a smooth ramp comes back with a mean error of more than a tenth of the range.
# Who scores such a file scores noise. Way round: have libtiff decode it, or refuse it by its tags (258, 259, 284).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.2.6
"$work/venv/bin/python" - "$work" <<'PY'
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

height, width = 32, 48
ramp = np.linspace(0, 65535, height * width * 3).astype("<u2").reshape(height, width, 3)
errors = {}
for planes in (1, 2):
    data = (ramp if planes == 1 else ramp.transpose(2, 0, 1)).tobytes()
    strip = len(data) // (1 if planes == 1 else 3)
    count = 1 if planes == 1 else 3
    tags = [(256, 3, [width]), (257, 3, [height]), (258, 3, [16] * 3), (259, 3, [1]), (262, 3, [2]),
            (273, 4, [0] * count), (277, 3, [3]), (278, 3, [height]), (279, 4, [strip] * count), (284, 3, [planes])]
    place = 8 + 2 + 12 * len(tags) + 4
    extra, entries = b"", []
    start = place + 6 + 8 * count * (count > 1)
    for tag, kind, values in tags:
        if tag == 273:
            values = [start + i * strip for i in range(count)]
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            entries.append(struct.pack("<HHII", tag, kind, len(values), place + len(extra)))
            extra += packed
        else:
            entries.append(struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0"))
    assert place + len(extra) == start
    file = Path(sys.argv[1]) / f"{planes}.tif"
    file.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(entries) + bytes(4) + extra + data)
    image = Image.open(file)
    read = np.asarray(image.convert("RGB"), dtype=float)
    errors[planes] = np.abs(read - (ramp >> 8)).mean() / 255
    print(f"PlanarConfiguration {planes}: mode {image.mode}, mean error {errors[planes]:.3f} of the range")
assert errors[1] < 0.01, "one plane is no longer right"
assert errors[2] > 0.1, "planes are right now: the finding is out of date"
print("as found")
PY
