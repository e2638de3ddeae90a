"""OpenVINO's entry, one for the process."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino


@functools.cache
def openvino_core() -> openvino.Core:
    """The `openvino.Core` that this process reads and compiles models with, for as long as it lives.

    While OpenVINO's CPU plugin is loaded, signals of the thread that loaded it are handled on a stack of the plugin's.
    A core for each model loads and unloads it with the model, which may leave a thread without a stack; the system then
    ends the process at its next signal.
    """
    import openvino

    return openvino.Core()
