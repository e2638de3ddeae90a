from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import sys
from pathlib import Path

import pytest

from topiq_metrics import catalog
from topiq_metrics.errors import WeightsError, WeightsHashError, WeightsNotFoundError
from topiq_metrics.weights import cache_dir, fetch, find, hashes, resolve, verify
from topiq_metrics.weights.places import places as list_places

pytestmark = pytest.mark.quick

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ORDER = ("bundled", "own", "cache", "pyiqa")


def test_order(places, add_card):
    card = add_card(content=CONTENT)
    for name in reversed(ORDER):
        file = places[name] / card.weights.filename
        file.write_bytes(CONTENT)
        assert find("tiny").path == file
        assert resolve("tiny", download=False) == file
    assert [place.name for place in list_places(card.weights)] == [
        "bundled with the package",
        "TOPIQ_METRICS_WEIGHTS",
        "cache",
        "pyiqa's cache",
        "Hugging Face cache",
    ]


def test_hugging_face_cache(places, add_card):
    card = add_card(content=CONTENT)
    repo, commit = places["hf"] / "models--owner--weights", "0" * 40
    file = repo / "snapshots" / commit / card.weights.filename
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    assert resolve("tiny", download=False) == file


@pytest.mark.parametrize("digits", [DIGEST[:8], DIGEST, DIGEST[:8].upper()])
@pytest.mark.parametrize("place", ORDER)
def test_hash_is_checked_in_every_place(places, add_card, digits, place):
    add_card(sha256=digits)
    file = places[place] / "tiny.pth"
    file.write_bytes(CONTENT)
    assert resolve("tiny", download=False) == file
    file.write_bytes(CONTENT + b"!")
    got = hashlib.sha256(CONTENT + b"!").hexdigest()
    with pytest.raises(WeightsHashError) as info:
        resolve("tiny", download=False)
    for part in (str(file), f"must start with {digits}", got, "Delete it and run `topiq weights fetch tiny`"):
        assert part in str(info.value)


def test_a_file_is_hashed_once(places, add_card, monkeypatch):
    add_card(content=CONTENT)
    file = places["cache"] / "tiny.pth"
    file.write_bytes(CONTENT)
    resolve("tiny")
    monkeypatch.setattr(hashes.hashlib, "sha256", lambda: pytest.fail("hashed again"))
    resolve("tiny")


def test_nowhere(places, add_card, monkeypatch):
    card = add_card(content=CONTENT)
    with pytest.raises(WeightsNotFoundError) as info:
        resolve("tiny", download=False)
    message = str(info.value)
    for place in list_places(card.weights):
        assert f"  - {place.name}: {place.path}" in message
    assert "  - Hugging Face hub, owner/weights: not asked" in message
    assert "Run `topiq weights fetch tiny` on a machine with network access" in message
    assert "TOPIQ_METRICS_WEIGHTS names" in message
    assert "HF_ENDPOINT" in message
    assert find("tiny") is None
    monkeypatch.delenv("TOPIQ_METRICS_WEIGHTS")
    with pytest.raises(WeightsNotFoundError, match="  - TOPIQ_METRICS_WEIGHTS: not set"):
        resolve("tiny", download=False)


def test_bundled_weights_are_never_downloaded(places):
    for get in (resolve, fetch):
        with pytest.raises(WeightsNotFoundError, match="part of the package: reinstall topiq-metrics") as info:
            get("topiq_nr-lite")
        assert "hub" not in str(info.value).replace("torch/hub", "").replace("torch\\hub", "")


def test_fetch_returns_the_bundled_file(places, monkeypatch, add_card):
    card = catalog.CARDS["topiq_nr-lite"]
    file = places["bundled"] / card.weights.filename
    file.write_bytes(CONTENT)
    monkeypatch.setattr("topiq_metrics.weights.places.check_sha256", lambda path, file: path)
    assert fetch("topiq_nr-lite") == file


@pytest.mark.parametrize(
    ("digits", "status"), [(DIGEST, "verified"), (DIGEST[:8], "prefix-verified"), ("", "unverified")]
)
def test_verify(places, add_card, digits, status):
    add_card(sha256=digits)
    file = places["own"] / "tiny.pth"
    file.write_bytes(CONTENT)
    (report,) = verify("tiny")
    assert (report.path, report.sha256, report.status) == (file, DIGEST, status)
    assert report.license == "for tests only"


def test_verify_downloads_nothing(add_card):
    add_card(content=CONTENT)
    with pytest.raises(WeightsNotFoundError, match="not asked"):
        verify("tiny")


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", None, "home/.cache/topiq_metrics"),
        ("linux", "XDG_CACHE_HOME", "set/topiq_metrics"),
        ("darwin", None, "home/Library/Caches/topiq_metrics"),
        ("win32", None, "home/AppData/Local/topiq_metrics"),
        ("win32", "LOCALAPPDATA", "set/topiq_metrics"),
    ],
)
def test_cache_dir(monkeypatch, tmp_path, platform, variable, expected):
    for name in ("TOPIQ_METRICS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "set"))
    assert cache_dir() == tmp_path / expected


def test_cache_dir_variable(monkeypatch):
    monkeypatch.setenv("TOPIQ_METRICS_CACHE", "~/weights")
    assert cache_dir() == Path.home() / "weights"


@pytest.mark.parametrize("place", ["own", "torch/hub/checkpoints"])
@pytest.mark.parametrize(
    ("name", "filename"), [("lpips+", "alexnet-owt-7be5be79.pth"), ("lpips-vgg+", "vgg16-397923af.pth")]
)
def test_backbones_of_lpips_plus(places, monkeypatch, name, filename, place):
    """Where the documentation says that they may be put, under torchvision's names."""
    file = places["own"].parent / place / filename
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(CONTENT)
    with pytest.raises(WeightsHashError, match=f"must start with {file.stem.rpartition('-')[2]}"):
        resolve(name, download=False)
    card = catalog.CARDS[name]
    weights = dataclasses.replace(card.weights, sha256=DIGEST[:8])
    monkeypatch.setitem(catalog.CARDS, name, dataclasses.replace(card, weights=weights))
    assert resolve(name, download=False) == file


def test_a_folder_that_may_not_be_looked_into_is_as_one_without_the_file(places, add_card, monkeypatch):
    add_card(content=CONTENT)
    (places["cache"] / "tiny.pth").write_bytes(CONTENT)
    status = os.stat

    def refuse(path, *args, **kwargs):
        if Path(path) == places["own"] / "tiny.pth":
            raise PermissionError(13, "Permission denied", str(path))
        return status(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", refuse)
    assert resolve("tiny", download=False) == places["cache"] / "tiny.pth"


def test_a_file_that_may_not_be_read(places, add_card, monkeypatch):
    add_card(content=CONTENT)
    file = places["cache"] / "tiny.pth"
    file.write_bytes(CONTENT)
    hashes._sha256.cache_clear()
    opened = Path.open

    def refuse(path, *args, **kwargs):
        if path == file:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(WeightsError, match=rf"{re.escape(str(file))} cannot be read: Permission denied\."):
        resolve("tiny", download=False)
