#!/usr/bin/env bash
# PyTorch Lightning 2.6.6: after `Trainer.fit`, faulthandler is off, though `faulthandler.is_enabled()` is true.
#
# Good guess: a trainer that puts the handlers of signals back in the end leaves them as they were.
# Seen: `fit` notes `signal.getsignal` of every signal and sets these again. Python does not know of handlers that were
#       set in C, as faulthandler's are: it says SIG_DFL, and that is what is set. From the first `fit` on, a crash in
#       native code prints no traceback. pytest enables faulthandler for the same purpose, so in a test run that trains
#       somewhere, later crashes are silent ("node down: Not properly terminated" is all that pytest-xdist has to say).
#       The same would befall other libraries' handlers in C, of any signal. `validate` and `test` do the same.
# Way round: `faulthandler.disable()` and `faulthandler.enable()` after it; `enable` alone does nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytorch-lightning==2.6.6 torch==2.14.1 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import faulthandler
import logging
import signal
from pathlib import Path

import pytorch_lightning as pl
import torch

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
FATAL = (signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)


def caught():
    lines = Path("/proc/self/status").read_text().splitlines()
    mask = int(next(line for line in lines if line.startswith("SigCgt")).split()[1], 16)
    return [number.name for number in FATAL if mask >> (number - 1) & 1]


class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, index):
        return self.layer(batch).mean()

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer():
    return pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )


images = torch.utils.data.DataLoader(torch.rand(4, 1))
for do in (
    lambda: trainer().fit(Model(), images),
    lambda: trainer().validate(Model(), images, verbose=False),
):
    faulthandler.enable()
    assert caught() == [number.name for number in FATAL]
    assert signal.getsignal(signal.SIGSEGV) is signal.SIG_DFL
    do()
    print("caught:", caught(), "is_enabled:", faulthandler.is_enabled())
    assert faulthandler.is_enabled() and caught() == []
    faulthandler.enable()
    assert caught() == []
    faulthandler.disable()
faulthandler.enable()
assert len(caught()) == len(FATAL)
PY
echo "As described."
