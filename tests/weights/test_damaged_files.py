"""Files that must not be loaded: each kind has its own error, and no code in them runs."""

from __future__ import annotations

import os
import pickle
import random

import pytest
import torch
from safetensors.torch import save_file

from topiq_metrics.errors import WeightsCorruptError, WeightsUnsafeError
from topiq_metrics.weights import load_network, read_metadata
from topiq_metrics.weights.checkpoints import read_state

STATE = {"a": torch.arange(2000.0), "b": torch.zeros(3)}


class Payload:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def bare_pickle(content, path, protocol):
    path.write_bytes(pickle.dumps(content, protocol=protocol))


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(torch.save, id="torch"),
        pytest.param(lambda c, p: torch.save(c, p, _use_new_zipfile_serialization=False), id="old torch"),
        *(pytest.param(lambda c, p, n=n: bare_pickle(c, p, n), id=f"pickle {n}") for n in range(6)),
    ],
)
def test_a_pickle_that_would_run_code(tmp_path, a_file, write, add_card):
    add_card("tiny")
    owned = tmp_path / "owned"
    write({"params": {"a": 1}, "payload": Payload(owned)}, a_file)
    with pytest.raises(WeightsUnsafeError, match=r"would run code \(\w+\.mkdir\).*torch\.save\(network\.state_dict"):
        load_network("tiny", a_file)
    assert not owned.exists()


def test_a_whole_module(a_file):
    torch.save(torch.nn.Linear(2, 2), a_file)
    with pytest.raises(WeightsUnsafeError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_state(a_file)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("keep", [0, 1, 10, 100, 0.5, 0.999])
def test_truncated_torch_files(a_file, old, keep):
    torch.save({"params": STATE}, a_file, _use_new_zipfile_serialization=not old)
    content = a_file.read_bytes()
    a_file.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(WeightsCorruptError, match=r"truncated or not a checkpoint \(\d+ bytes; .*\)\. Get the file"):
        read_state(a_file)


@pytest.mark.parametrize("keep", [0, 1, 0.5, 0.999])
def test_truncated_safetensors(tmp_path, keep):
    path = tmp_path / "file.safetensors"
    save_file(STATE, path)
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    for read in (read_state, read_metadata):
        with pytest.raises(WeightsCorruptError, match="truncated or not a checkpoint"):
            read(path)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_unreadable_metadata(tmp_path, text):
    path = tmp_path / "file.safetensors"
    save_file(STATE, path, metadata={"topiq_metrics": text})
    with pytest.raises(WeightsCorruptError, match="truncated or not a checkpoint"):
        read_metadata(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_garbage(tmp_path, suffix):
    numbers = random.Random(0)
    contents = [numbers.randbytes(n) for n in (5, 50, 500) * 10]
    contents += [b"<html>404</html>", pickle.dumps({"a": 1}), b"."]
    path = tmp_path / f"file{suffix}"
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(WeightsCorruptError, match="truncated or not a checkpoint"):
            read_state(path)


def test_torchs_advice_to_load_unsafely_is_not_passed_on(a_file):
    bare_pickle({"payload": Payload("x")}, a_file, 2)
    with pytest.raises(WeightsUnsafeError) as info:
        read_state(a_file)
    assert "weights_only" not in str(info.value)
    assert info.value.__suppress_context__


def test_a_suffix_in_capitals(tmp_path):
    path = tmp_path / "A.SAFETENSORS"
    save_file(STATE, path, metadata={"topiq_metrics": '{"name": "a"}'})
    assert read_state(path).keys() == STATE.keys()
    assert read_metadata(path) == {"name": "a"}
