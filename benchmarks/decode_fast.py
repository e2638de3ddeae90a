"""How far do scores move if large photographs are decoded to fewer pixels? `--decode fast` beside all pixels.

    python benchmarks/decode_fast.py DIR [-m topiq_nr-lite] [--size RULE] [--json FILE]

DIR holds photographs, JPEG or JPEG 2000; those that are small enough to be decoded as a whole are counted and left out.
Seconds are those of decoding and shrinking one photograph in one thread, alternating. The exit code is 1 where the two
orders have an SRCC below 0.999, or fewer than three photographs are left.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from topiq_metrics import SizePolicy
from topiq_metrics.evaluation import krcc, srcc
from topiq_metrics.inference import Predictor, open_predictor
from topiq_metrics.scoring.decoded import Decoded, Request
from topiq_metrics.scoring.decoders import decode_encoded

SUFFIXES = {".jpg", ".jpeg", ".jp2", ".j2k"}
LEAST_SRCC = 0.999


def decoded(path: Path, request: Request) -> tuple[Decoded, float]:
    start = time.perf_counter()
    found = decode_encoded(path, path.name, request, lambda *_: None)
    return found, time.perf_counter() - start


def score(predictor: Predictor, image: Decoded) -> float:
    pixels = torch.from_numpy(image.small[predictor.size]).expand(3, -1, -1)
    return float(predictor(pixels[None].contiguous()))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, metavar="DIR")
    parser.add_argument("-m", "--metric", default="topiq_nr-lite", help="a no-reference one")
    parser.add_argument("--size", help="a size rule instead of the metric's own")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    arguments = parser.parse_args(argv)
    predictor = open_predictor(arguments.metric, size=arguments.size, device="cpu")
    if predictor.size == SizePolicy():
        parser.error(f"{arguments.metric} takes images as they are: there is nothing to decode faster; see --size.")
    exact = Request(None, sizes=(predictor.size,))
    fast = dataclasses.replace(exact, decode="fast")
    megapixels, scores, seconds, whole = [], [], [], 0
    for path in sorted(path for path in arguments.images.rglob("*") if path.suffix.lower() in SUFFIXES):
        with Image.open(path) as image:
            width, height = image.size
        if fast.least_size(height, width) is None or (small := decoded(path, fast))[0].reduction is None:
            whole += 1
            continue
        large = decoded(path, exact)
        scores.append((score(predictor, large[0]), score(predictor, small[0])))
        seconds.append((large[1], small[1]))
        megapixels.append(width * height / 1e6)
    if len(scores) < 3:
        print(f"{len(scores)} photographs are large enough, and three are needed.", file=sys.stderr)
        return 1
    ours, theirs = np.array(scores).T
    moves = np.abs(ours - theirs)
    report = {
        "photographs": len(scores),
        "decoded as a whole": whole,
        "megapixels": [min(megapixels), statistics.median(megapixels), max(megapixels)],
        "largest |Δ|": float(moves.max()),
        "median |Δ|": float(np.median(moves)),
        "mean Δ": float((theirs - ours).mean()),
        "standard deviation of the scores": float(ours.std()),
        "SRCC": srcc(ours, theirs),
        "KRCC": krcc(ours, theirs),
        "ms, all pixels": 1e3 * statistics.median(a for a, _ in seconds),
        "ms, fast": 1e3 * statistics.median(b for _, b in seconds),
    }
    for name, value in report.items():
        shown = [value] if isinstance(value, (int, float)) else value
        print(f"{name}: {', '.join(str(x) if isinstance(x, int) else f'{x:.5g}' for x in shown)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if report["SRCC"] >= LEAST_SRCC else 1


if __name__ == "__main__":
    sys.exit(main())
