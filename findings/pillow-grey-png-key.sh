#!/usr/bin/env bash
# Pillow 13.0.0: in grey PNG pictures of 2 and 4 bits, the transparent colour is looked for among the wrong values.
#
# Good guess: `Image.open(file).convert("RGBA")` makes those pixels transparent whose stored value is the one in the tRNS
# chunk, as it does for 1 and 8 bits a pixel, and as the PNG specification says.
# Seen: the pixels of 2 and 4 bits are stretched to 0...255 as mode "L", but the key stays as it is stored: 1 of 0...3 is
#       looked for among 0, 85, 170 and 255. So what should be transparent is opaque, with the key's colour, unless the
#       key is 0; on a white page it is grey.
# Way round: multiply `image.info["transparency"]` by 85 (2 bits) or 17 (4 bits) before converting; the raw mode of the
#       tile, "L;2" or "L;4", tells before the picture is loaded.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$work/venv/bin/python" - <<'PY'
import io
import struct
import zlib

from PIL import Image


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def grey_png(depth, values, key):
    bits = "".join(f"{value:0{depth}b}" for value in values)
    row = b"\0" + bytes(int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8))
    header = struct.pack(">IIBBBBB", len(values), 1, depth, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tRNS", struct.pack(">H", key)), (b"IDAT", zlib.compress(row)), (b"IEND", b"")]
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


seen = {}
for depth in (1, 2, 4, 8):
    file = grey_png(depth, [0, 1], key=1)
    seen[depth] = list(Image.open(file).convert("RGBA").getchannel("A").tobytes())
    print(f"{depth} bits, pixels 0 and 1, of which 1 is transparent: alpha {seen[depth]}")
assert seen[1] == seen[8] == [255, 0], seen
assert seen[2] == seen[4] == [255, 255], "the key is scaled now"
PY
