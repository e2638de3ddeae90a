"""Downloads from a local server that behaves like the hub, each in a fresh process."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from topiq_metrics import catalog
from topiq_metrics.catalog import WeightsFile
from topiq_metrics.errors import WeightsError, WeightsNotFoundError
from topiq_metrics.weights import fetch, resolve, verify

HERE = Path(__file__).parent
CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def a_checkpoint():
    file = io.BytesIO()
    torch.save({"weight": torch.arange(10.0)}, file)
    return file.getvalue()


CHECKPOINT = a_checkpoint()
CHECKPOINT_DIGEST = hashlib.sha256(CHECKPOINT).hexdigest()


def load_hub_module():
    spec = importlib.util.spec_from_file_location("topiq_tests_hub", HERE / "hub.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


hub_module = load_hub_module()


@pytest.fixture
def hub():
    with hub_module.serve(hub_module.Hub("/owner/repo/resolve/main/weights.pth", CONTENT)) as hub:
        yield hub


@pytest.fixture
def start(tmp_path, places, hub):
    """Starts the driver in a process that knows only the test's folders and server."""

    def start(call: str = "fetch", sha256: str = DIGEST[:8], **changes: str) -> subprocess.Popen:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGINGFACE_"))}
        environment |= {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "hf_home"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            **changes,
        }
        task = json.dumps({"call": call, "sha256": sha256})
        return subprocess.Popen(
            [sys.executable, HERE / "fetch_driver.py", task],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finish(process: subprocess.Popen) -> dict:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_fetch_then_resolve(start, places, hub):
    file = places["cache"] / "weights.pth"
    answer = finish(start())
    assert answer["path"] == str(file)
    assert file.read_bytes() == CONTENT
    assert names_in(places["cache"]) == ["weights.pth"]
    assert answer["told"] == answer["logged"]
    assert answer["told"] == [
        "Downloading weights.pth (weights of tiny) from owner/repo. Licence of the weights: for tests only."
    ]
    asked = len(hub.requests)
    again = finish(start("resolve"))
    assert (again["path"], again["logged"]) == (str(file), [])
    assert len(hub.requests) == asked

    file.write_bytes(b"damaged")
    assert finish(start("resolve"))["error"] == "WeightsHashError"
    assert finish(start())["path"] == str(file)
    assert file.read_bytes() == CONTENT


def test_resolve_downloads(start, places):
    answer = finish(start("resolve"))
    assert answer["path"] == str(places["cache"] / "weights.pth")
    assert "Licence of the weights: for tests only" in answer["logged"][0]


def test_wrong_hash_after_a_download(start, places):
    answer = finish(start(sha256="12345678"))
    assert answer["error"] == "WeightsHashError"
    for part in ("What was downloaded as weights.pth", "was removed", "must start with 12345678", DIGEST, "another"):
        assert part in answer["message"]
    assert names_in(places["cache"]) == []


def test_connection_cut(start, places, hub):
    hub.behaviour = "cut"
    answer = finish(start())
    assert answer["error"] == "WeightsNotFoundError"
    assert "Hugging Face hub, owner/repo:" in answer["message"]
    assert hub.downloads > 1
    assert names_in(places["cache"]) == []


def test_connection_cut_once_is_resumed(start, places, hub):
    hub.behaviour = "cut once"
    assert Path(finish(start())["path"]).read_bytes() == CONTENT
    assert names_in(places["cache"]) == ["weights.pth"]


def test_no_such_file_on_the_hub(start, places, hub):
    hub.behaviour = "missing"
    answer = finish(start())
    assert answer["error"] == "WeightsNotFoundError"
    for part in ("owner/repo:", "404", "topiq weights fetch tiny", "TOPIQ_METRICS_WEIGHTS"):
        assert part in answer["message"]
    assert names_in(places["cache"]) == []


def test_offline_mode_asks_nobody(start, places, hub):
    answer = finish(start("resolve", HF_HUB_OFFLINE="1"))
    assert answer["error"] == "WeightsNotFoundError"
    assert "offline" in answer["message"].lower()
    assert not hub.requests
    assert names_in(places["cache"]) == []


def test_no_network_fails_at_once(start, places):
    process = start(HF_ENDPOINT="http://127.0.0.1:9")
    out, err = process.communicate(timeout=300)
    answer = json.loads(out.splitlines()[-1])
    assert answer["error"] == "WeightsNotFoundError"
    assert "Connect" in answer["message"]
    assert "Retrying" not in err


def test_two_processes_at_once(start, places, hub):
    answers = [finish(process) for process in [start(), start()]]
    assert [answer["path"] for answer in answers] == [str(places["cache"] / "weights.pth")] * 2
    assert (places["cache"] / "weights.pth").read_bytes() == CONTENT
    assert names_in(places["cache"]) == ["weights.pth"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for another process")
def test_interrupted(start, places, hub):
    hub.behaviour = "stall"
    process = start()
    assert hub.stalled.wait(300)
    assert any(name.startswith(".fetch-") for name in names_in(places["cache"]))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert "KeyboardInterrupt" in errors
    assert names_in(places["cache"]) == []


def test_what_a_killed_process_left_is_removed(start, places):
    old, fresh = places["cache"] / ".fetch-old", places["cache"] / ".fetch-fresh"
    for folder in (old, fresh):
        folder.mkdir()
        (folder / "part").write_bytes(b"half")
    past = time.time() - 7200
    for path in (old / "part", old):
        os.utime(path, (past, past))
    finish(start())
    assert names_in(places["cache"]) == [".fetch-fresh", "weights.pth"]


def test_cache_that_cannot_be_written(tmp_path, monkeypatch, add_card):
    add_card(content=CONTENT)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("TOPIQ_METRICS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(WeightsError, match=r"cannot be written \(.*\)\. Set TOPIQ_METRICS_CACHE to one that can"):
        fetch("tiny")


class TestOtherPlaces:
    """Files that are not on the hub, and metrics that need more than one."""

    @pytest.fixture
    def web(self, monkeypatch):
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with hub_module.serve(hub_module.Hub("/models/weights.pth", CHECKPOINT)) as web:
            yield web

    @pytest.fixture
    def card(self, web, add_card, monkeypatch):
        url = f"{web.url}/models/weights.pth"
        main = WeightsFile("tiny.pth", CHECKPOINT_DIGEST[:8], "for tests only", url=url, cached_by="torchvision")
        extra = WeightsFile("extra.pth", "", "MIT", url=url, cached_by="facexlib")
        card = dataclasses.replace(add_card(), weights=main, also_needs=(extra,))
        monkeypatch.setitem(catalog.CARDS, "tiny", card)
        return card

    def test_all_that_a_metric_needs_is_fetched(self, card, places, web):
        told = []
        assert fetch("tiny", notify=told.append) == places["cache"] / "tiny.pth"
        assert names_in(places["cache"]) == ["extra.pth", "tiny.pth"]
        assert all((places["cache"] / name).read_bytes() == CHECKPOINT for name in ("extra.pth", "tiny.pth"))
        assert [f"from {web.url}" in line for line in told] == [True, True]
        assert "Licence of the weights: MIT." in told[0]
        assert [report.status for report in verify("tiny")] == ["prefix-verified", "unverified"]

    def test_cache_of_torchvision(self, card, places, web):
        file = places["torch"] / "hub" / "checkpoints" / "tiny.pth"
        file.parent.mkdir()
        file.write_bytes(CHECKPOINT)
        assert resolve("tiny") == file
        assert web.requests == []

    @pytest.mark.parametrize(("behaviour", "reason"), [("cut", "ended after"), ("missing", "404")])
    def test_failures_leave_nothing(self, card, places, web, behaviour, reason):
        web.behaviour = behaviour
        with pytest.raises(WeightsNotFoundError, match=reason) as info:
            fetch("tiny")
        assert f"  - {web.url}/models/weights.pth: " in str(info.value)
        assert "HF_ENDPOINT" not in str(info.value)
        assert names_in(places["cache"]) == []

    def test_a_page_in_place_of_a_file_whose_digits_are_not_known(self, card, places, web):
        """Such as that of a login, which a proxy may send for anything."""
        (places["cache"] / "extra.pth").write_bytes(b"<html>login</html>")
        assert fetch("tiny").read_bytes() == CHECKPOINT
        assert (places["cache"] / "extra.pth").read_bytes() == CHECKPOINT
        (places["cache"] / "extra.pth").unlink()
        web.content = b"<html>login</html>"
        with pytest.raises(WeightsNotFoundError, match="is not a checkpoint; a proxy or a login page"):
            fetch("tiny")
        assert names_in(places["cache"]) == ["tiny.pth"]

    def test_offline(self, card, places, web, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(WeightsNotFoundError, match="HF_HUB_OFFLINE is set"):
            resolve("tiny")
        assert web.requests == []
