#!/usr/bin/env bash
# OpenVINO 2026.4.1 on Linux: compiling a model gives the calling thread another stack for its signals.
#
# Good guess: a library for inference leaves how the process handles signals as it is.
# Seen: loading the CPU plugin, which the first `compile_model` of each `Core` does, calls sigaltstack(2). The thread's
#       alternate stack, on which Python runs the first part of all its signal handlers, is of 20 KB and OpenVINO's from
#       then on, as long as models of that core live: also where faulthandler has set up a larger one of its own. A
#       second core replaces the first one's. One core that lives as long as the process does it once.
# Way round: one `Core` for the process.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.2.6
"$work/venv/bin/python" - <<'PY'
import ctypes
import faulthandler

import numpy as np
import openvino as ov
from openvino import opset13 as op


class Stack(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def stack():
    found = Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
    return found.address, found.size


def compiled(core):
    x = op.parameter([1, 8], np.float32)
    return core.compile_model(ov.Model([op.relu(x)], [x], "relu"), "CPU")


assert stack() == (None, 0)
faulthandler.enable()
by_python = stack()
core = ov.Core()
assert stack() == by_python
held = [compiled(core)]
by_first = stack()
assert by_first[0] != by_python[0] and by_first[1] < by_python[1]
held.append(compiled(core))
assert stack() == by_first
other = ov.Core()
held.append(compiled(other))
by_second = stack()
assert by_second[0] not in (by_python[0], by_first[0])
print("bytes of the stack:", by_python[1], "by faulthandler,", by_first[1], "and", by_second[1], "by two cores")
PY
echo "As described."
