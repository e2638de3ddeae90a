#!/usr/bin/env bash
# stlpips-pytorch 0.0.2 (ST-LPIPS, a shift-tolerant LPIPS) declares no dependency at all, and its modules import torch,
# torchvision, numpy, torchsummary and IPython (a debugger's entry, left in a module that the metric needs).
#
# Good guess: in an environment that runs LPIPS (torch, torchvision), `pip install stlpips-pytorch` suffices.
# Seen: it does not import there before IPython and torchsummary are installed as well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps stlpips-pytorch==0.0.2
"$work/venv/bin/python" - <<'PY'
import ast
import sys
from importlib.metadata import distribution

found = distribution("stlpips-pytorch")
wanted = set()
for file in found.files:
    if file.suffix == ".py":
        for node in ast.walk(ast.parse(file.locate().read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                wanted |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                wanted.add(node.module.split(".")[0])
others = sorted(wanted - set(sys.stdlib_module_names) - {"stlpips_pytorch"})
print("declared:", found.requires or "nothing")
print("imported:", ", ".join(others))
assert not found.requires, "it declares dependencies now: the finding is out of date"
assert {"IPython", "torchsummary", "torch"} <= set(others), "it no longer imports them"
print("as found")
PY
