"""Is 8-bit arithmetic worth having? A metric quantised after training by NNCF, for OpenVINO on the CPU.

Calibrates on some photographs, scores others, and prints for each precision the largest difference and the rank
correlation with OpenVINO in float32, and the time per image at batch 8 of 384 x 512. int8 is offered as a precision
only if its SRCC is at least 0.995 and it is faster than bfloat16; the exit code is 1 where it is not.

    pip install nncf
    python benchmarks/int8.py --images FOLDER [--metric topiq_nr-lite] [--weights FILE] [--limit 320] [--threads 2]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from precision import find_images
from torchmetrics.functional.regression import spearman_corrcoef

from topiq_metrics.images import load_image
from topiq_metrics.inference.export import export_metric

CALIBRATION = 0.375
"""Share of the photographs that is calibrated on; the others are scored."""
REPEATS = 9
SRCC = 0.995


def compile_model(core: Any, model: Any, precision: str, threads: int) -> Any:
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    return core.compile_model(model, "CPU", settings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--metric", default="topiq_nr-lite")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--limit", type=int, default=320)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    import nncf
    import openvino

    images = [load_image(path)[None].numpy() for path in find_images(arguments.images, arguments.limit)]
    split = round(CALIBRATION * len(images))
    if split < 10:
        parser.error(f"There are {len(images)} photographs in {arguments.images}; 30 or more are needed.")
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metric.xml"
        export_metric(arguments.metric, path, weights=arguments.weights, size="native")
        model = core.read_model(path)
    samples = nncf.Dataset([[image] for image in images[:split]])
    quantised = nncf.quantize(
        model.clone(), samples, preset=nncf.QuantizationPreset.MIXED, subset_size=split, fast_bias_correction=True
    )
    runs = {
        "float32": compile_model(core, model, "f32", arguments.threads),
        "bfloat16": compile_model(core, model, "bf16", arguments.threads),
        "int8": compile_model(core, quantised, "bf16", arguments.threads),
    }
    scores = {name: torch.tensor([float(run([image])[0][0]) for image in images[split:]]) for name, run in runs.items()}
    batch = torch.rand(8, 3, 384, 512, generator=torch.Generator().manual_seed(0)).numpy()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(REPEATS + 2):
        for name, run in runs.items():
            start = time.perf_counter()
            run([np.copy(batch)])
            if repeat >= 2:
                seconds[name].append((time.perf_counter() - start) / len(batch))
    versions = {name: importlib.metadata.version(name) for name in ("topiq-metrics", "openvino", "nncf")}
    print(f"{arguments.metric}, {len(images) - split} photographs; medians of {REPEATS}; {versions}")
    print(f"{'precision':10} {'max |Δ|':>9} {'SRCC':>8} {'ms/image':>9}")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    agreement = {name: float(spearman_corrcoef(values, scores["float32"])) for name, values in scores.items()}
    for name, values in scores.items():
        difference = (values - scores["float32"]).abs().max()
        print(f"{name:10} {difference:9.2g} {agreement[name]:8.5f} {1e3 * medians[name]:9.1f}")
    worth = agreement["int8"] >= SRCC and medians["int8"] < medians["bfloat16"]
    print(f"int8 is {'worth' if worth else 'not worth'} offering.")
    return 0 if worth else 1


if __name__ == "__main__":
    sys.exit(main())
