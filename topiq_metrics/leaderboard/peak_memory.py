"""The memory that scoring an image takes.

On a CPU, that of a process of its own, which `main` is: the C library keeps what others have freed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from topiq_metrics.contenders import get_toolbox_metric
from topiq_metrics.images import load_image
from topiq_metrics.inference import Predictor

_PROCESS = Path("/proc/self")
_LIMIT_SECONDS = 300


def peak_memory(predictor: Predictor, weights: str | Path, files: Sequence[Path]) -> int | None:
    """Measure the bytes that scoring one image takes at most, beside libraries, weights and the image.

    Args:
        predictor: the metric; on a CPU it is opened anew, by its name.
        weights: as `ToolboxMetric.open` takes them.
        files: the image, and its reference.

    Returns:
        None where it cannot be measured: elsewhere than on Linux or CUDA, or if the metric fails.
    """
    device: torch.device = getattr(predictor, "device", torch.device("cpu"))
    if device.type == "cuda":
        images = _load(predictor, files)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        predictor(*images)
        return torch.cuda.max_memory_allocated(device) - before
    command = [sys.executable, "-m", __name__, predictor.card.name, str(weights), *map(str, files)]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=_LIMIT_SECONDS, check=True)  # noqa: S603 - ours
        return int(ran.stdout.split()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return None


def _load(predictor: Predictor, files: Sequence[Path]) -> list[Tensor]:
    return [predictor.size.apply(load_image(path))[None] for path in files]


def resident(name: str) -> int:
    """Bytes of this process as Linux names them: ``VmRSS`` now, ``VmHWM`` at most; 0 where it does not tell."""
    found = re.search(rf"{name}:\s+(\d+) kB", (_PROCESS / "status").read_text())
    return int(found[1]) * 1024 if found else 0


def main(metric: str, weights: str, *files: str) -> None:
    """Print the bytes for one image, and its reference."""
    predictor = get_toolbox_metric(metric).open("cpu", weights)
    images = _load(predictor, [Path(file) for file in files])
    # From here on, the most that is resident is counted anew.
    (_PROCESS / "clear_refs").write_text("5")
    before = resident("VmRSS")
    predictor(*images)
    print(max(0, resident("VmHWM") - before))


if __name__ == "__main__":
    main(*sys.argv[1:])
