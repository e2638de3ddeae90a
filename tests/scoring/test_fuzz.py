"""Files that were damaged at random: a row for each, no crash, no hang, no invented score."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from topiq_metrics.errors import ImageError
from topiq_metrics.images import load_image
from topiq_metrics.scoring import Item, score_items
from topiq_metrics.scoring.rows import reason

FEW, MANY = 300, 2000
REASONS = {
    *("truncated", "not-an-image", "unsupported", "camera-raw", "too-large", "too-small", "unreadable", "hdr"),
    *("crashed", "timeout", "out-of-memory"),
}


def _originals(save_picture, folder: Path) -> list[bytes]:
    sizes = [(48, 40), (90, 64)]
    paths = [save_picture(folder / f"{i}.png", *size, seed=i) for i, size in enumerate(sizes)]
    pictures = [Image.open(path) for path in paths]
    options = [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "quality": 60, "exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"}),
        ("PNG", {}),
        ("WebP", {}),
        ("WebP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}),
    ]
    files = []
    for picture in pictures:
        for kind, chosen in options:
            stream = io.BytesIO()
            picture.save(stream, kind, **chosen)
            files.append(stream.getvalue())
        stream = io.BytesIO()
        picture.convert("P").save(stream, "PNG")
        files.append(stream.getvalue())
        picture.close()
    return files


def _damaged(data: bytes, random: np.random.Generator) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.integers(1, 4)):
        where = int(random.integers(len(damaged)))
        # Headers are where most can go wrong.
        if random.random() < 0.5:
            where = int(random.integers(min(len(damaged), 120)))
        kind = random.integers(7)
        if kind == 0:
            damaged[where] ^= 1 << int(random.integers(8))
        elif kind == 1:
            damaged[where : where + 4] = random.bytes(4)
        elif kind == 2:
            del damaged[where:]
        elif kind == 3:
            del damaged[where : where + int(random.integers(1, 50))]
        elif kind == 4:
            damaged[where:where] = random.bytes(int(random.integers(1, 50)))
        elif kind == 5:
            damaged[where : where + 4] = struct.pack(">I", int(random.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])))
        else:
            damaged[where : where + 64] = bytes(64)
        if not damaged:
            break
    return bytes(damaged)


@pytest.fixture(scope="module", params=[FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def folder(request, tmp_path_factory, save_picture) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    random = np.random.default_rng(2021)
    originals = _originals(save_picture, tmp_path_factory.mktemp("whole"))
    for number in range(request.param):
        data = _damaged(originals[number % len(originals)], random)
        (folder / f"{number:04}.{random.choice(['jpg', 'png', 'webp', 'tif'])}").write_bytes(data)
    return folder


def test_a_row_for_each(folder, fake):
    items = [Item(path) for path in sorted(folder.iterdir())]
    rows = list(score_items(items, [fake()], workers=2, timeout=30))
    assert [row.path for row in rows] == [item.name for item in items]
    statuses = [row.status for row in rows]
    assert statuses.count("ok") > len(items) // 10
    assert statuses.count("error") > len(items) // 4
    for row in rows:
        score = row.scores["topiq_nr-lite"]
        if row.status == "ok":
            assert score == pytest.approx(load_image(row.path).mean().item(), abs=1e-5)
            assert row.error == ""
        else:
            assert score is None
            assert reason(row.error, []) in REASONS
            if row.error.startswith(("truncated", "not-an-image")):
                with pytest.raises(ImageError):
                    load_image(row.path)
