"""Files that were damaged at random: an answer with the reason for each, and a server that goes on.

``python tests/serving/test_damage.py 1000`` tries as many.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from topiq_metrics.serving import service

FILES = 60
NR, FR = "topiq_nr-lite", "topiq_fr-lite"


def fuzz():
    """The module that damages files for bulk jobs, too."""
    path = Path(__file__).parents[1] / "scoring" / "test_fuzz.py"
    spec = importlib.util.spec_from_file_location("test_fuzz", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(server, save_picture, folder, files):
    damaging = fuzz()
    random = np.random.default_rng(21)
    originals = damaging._originals(save_picture, folder)
    found = []
    for number in range(files):
        data = damaging._damaged(originals[number % len(originals)], random)
        reference = originals[0] if number % 5 == 0 else None
        answer = server.score(
            (f"{number}.jpg", data), reference=reference, metrics="topiq_nr-lite", preview=64, map="topiq_nr-lite"
        )
        assert answer.status_code == 200, answer.text
        (row,) = answer.json()["rows"]
        assert (row["status"] == "ok") == (row["reason"] == "") == (row["scores"][NR] is not None)
        assert row["reason"] in {"", *damaging.REASONS}
        assert (row["map"] is None) == (row["preview"] is None) == (row["status"] != "ok")
        found.append((data, row))
    return found


def test_an_answer_for_each(server, save_picture, tmp_path, coffee):
    found = answers(server, save_picture, tmp_path, FILES)
    statuses = Counter(row["status"] for _, row in found)
    assert statuses["ok"] > FILES // 10
    assert statuses["error"] > FILES // 4
    bad = [("bad", data) for data, row in found if row["status"] == "error"][:4]
    rows = server.compare(*bad, ("good", coffee["blur-1"])).json()["rows"]
    assert [row["place"] for row in rows] == [None] * 4 + [1]
    # The request that follows is served as if nothing had been.
    assert server.score(("good", coffee["blur-1"])).json()["rows"][0]["status"] == "ok"


def test_a_decoder_that_dies_or_hangs_is_an_answer(run_server, coffee, monkeypatch):
    crash = "import os; os.kill(os.getpid(), 11)"
    hang = "import time; time.sleep(600)"
    for what, expected in ((crash, "crashed"), (hang, "timeout")):
        code = (
            "import sys; sys.path[:] = sys.argv[1:]; from topiq_metrics.scoring import worker, decoders\n"
            "def decode(encoded, *rest):\n"
            f"    if encoded == b'hostile':\n        {what}\n"
            "    return decoders.decode_encoded(encoded, *rest)\n"
            "worker.decode_encoded = decode; worker.main()"
        )

        def start(command, _popen=subprocess.Popen, _code=code, **options):
            return _popen([*command[:2], _code, *command[3:]], **options)

        previewed = []

        def note(data, name, *rest, _preview=service.preview, _previewed=previewed, **options):
            _previewed.append(name)
            return _preview(data, name, *rest, **options)

        with monkeypatch.context() as patch, run_server(timeout=2) as server:
            patch.setattr("topiq_metrics.scoring.decoders.subprocess.Popen", start)
            patch.setattr(service, "preview", note)
            sent = [("a", coffee["blur-1"]), ("b", b"hostile"), ("c", coffee["blur-1"])]
            rows = server.score(*sent, preview=64).json()["rows"]
            assert [row["reason"] for row in rows] == ["", expected, ""]
            assert [row["preview"] is None for row in rows] == [False, True, False]
            # What hung once is not decoded again.
            assert previewed == ["a", "c"]
            rows = server.compare(*sent).json()["rows"]
            assert [row["reason"] for row in rows] == ["", expected, ""]
            with monkeypatch.context() as unmapped:
                unmapped.setattr(service, "local_map", None)
                (row,) = server.score(sent[0], reference=b"hostile", metrics=[FR], map=FR).json()["rows"]
            assert (row["reason"], row["map"]) == (f"reference-{expected}", None)


if __name__ == "__main__":
    import tempfile

    from PIL import Image

    def save(path, width, height, seed):
        pixels = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(path)
        return path

    sys.path.insert(0, str(Path(__file__).parent))
    import conftest

    with conftest.running(workers=2) as started, tempfile.TemporaryDirectory() as folder:
        rows = [row for _, row in answers(started, save, Path(folder), int(sys.argv[1]))]
        print(Counter(row["reason"] or "ok" for row in rows))
