"""``topiq serve`` as a process: how it starts, what it prints, how it ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
requests = pytest.importorskip("requests")


@contextlib.contextmanager
def serving(*arguments, **variables):
    command = [sys.executable, "-m", "topiq_metrics", "serve", "--port", "0", "--device", "cpu", *arguments]
    env = {**os.environ, **variables}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, re.search(r"http://\S+", process.stdout.readline())[0]
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_it_starts_answers_and_ends(save_picture, tmp_path):
    picture = save_picture(tmp_path / "a.png").read_bytes()
    with serving("--max-upload", "1", "--max-pixels", "2", "--max-images", "3", "--workers", "1") as (process, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        limits = requests.get(f"{address}api/metrics", timeout=30).json()["limits"]
        assert limits == {"request_bytes": 1_000_000, "pictures": 3, "pixels": 2_000_000}
        answer = requests.post(f"{address}api/score", files={"images": ("a.png", picture)}, timeout=60)
        assert answer.json()["rows"][0]["status"] == "ok"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == "Error: Ended.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_beyond_loopback_it_has_a_token(save_picture, tmp_path):
    with serving("--host", "0.0.0.0", "--allow-host", "studio.local") as (process, address):
        token = address.partition("#token=")[2]
        assert len(token) >= 32
        port = re.search(r":(\d+)/", address)[1]
        metrics = f"http://127.0.0.1:{port}/api/metrics"
        assert requests.get(metrics, timeout=30).status_code == 401
        headers = {"Authorization": f"Bearer {token}", "Host": "studio.local"}
        assert requests.get(metrics, headers=headers, timeout=30).status_code == 200
        assert requests.get(metrics, headers={**headers, "Host": "evil.com"}, timeout=30).status_code == 403
        process.terminate()
        assert process.wait(timeout=30) == -signal.SIGTERM
    with serving(TOPIQ_METRICS_TOKEN="a-token-of-this-server") as (process, address):
        assert address.endswith("/#token=a-token-of-this-server")


def test_what_is_wrong_is_said(topiq):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = topiq("serve", "--port", port, "--device", "cpu")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: Cannot listen on 127.0.0.1, port {port}: ")
    result = topiq("serve", "--token", "short")
    assert (result.exit_code, "16 characters" in result.stderr) == (2, True)
    result = topiq("serve", "--backend", "nothing")
    assert (result.exit_code, "Option --backend must be one of" in result.stderr) == (2, True)


def test_a_missing_extra_is_named(topiq, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = topiq("serve")
    assert result.exit_code == 2
    assert "pip install 'topiq-metrics[serve]'" in result.stderr
