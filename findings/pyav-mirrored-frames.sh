#!/usr/bin/env bash
# PyAV 18.1.0: a frame's `rotation` is not how to show it, and a loop over `side_data.values()` raises KeyError.
#
# Good guess: turning a frame by `frame.rotation`, which PyAV reads from the display matrix, shows it as players do; and
# `frame.side_data`, a `collections.abc.Mapping`, has `values()` and `items()`.
# Seen: of a video whose track is mirrored left to right, `rotation` is -180: turned by that, it stands on its head. Of one
#       that is mirrored upside down it is 0, and of one that is mirrored along its diagonal -90, as of a phone held
#       upright. Iterating the side data gives values and not keys, so that the Mapping's own `values()` raises KeyError
#       on each of them.
# Way round: read the matrix from the side data (`for side in frame.side_data`), and turn and mirror by its signs.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import struct
from pathlib import Path

import av
import numpy as np

picture = np.zeros((48, 64, 3), np.uint8)
with av.open("plain.mp4", "w") as container:
    stream = container.add_stream("libx264", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode())
plain = Path("plain.mp4").read_bytes()

expected = {"turned by 90": -90, "mirrored left to right": -180, "mirrored upside down": 0, "mirrored along the diagonal": -90}
matrices = [(0, 1, -1, 0), (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0)]
for (name, rotation), (a, b, c, d) in zip(expected.items(), matrices):
    data = bytearray(plain)
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    Path("clip.mp4").write_bytes(data)
    with av.open("clip.mp4") as container:
        frame = next(container.decode(video=0))
    (side,) = (side for side in frame.side_data if side.type.name == "DISPLAYMATRIX")
    found = tuple(value >> 16 for value in np.frombuffer(bytes(side), np.int32)[[0, 1, 3, 4]].tolist())
    print(f"{name}: rotation {frame.rotation}, matrix {found}")
    assert found == (a, b, c, d)
    assert round(frame.rotation) == rotation, "rotation tells of mirroring now"
try:
    list(frame.side_data.values())
except KeyError as error:
    print(f"side_data.values(): KeyError {str(error)[:24]}…")
else:
    raise SystemExit("side_data.values() works now")
PY
