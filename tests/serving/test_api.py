"""The calls: what they answer to good pictures, bad ones, bad forms, and many at once."""

from __future__ import annotations

import base64
import io
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from topiq_metrics import (
    __version__,
    list_metrics,
    load_image,
    quality_map,
    rank_images,
    topiq_full_reference,
    topiq_no_reference,
)

requests = pytest.importorskip("requests")

NR, FR = "topiq_nr-lite", "topiq_fr-lite"


def png(width: int, height: int, value: int = 90) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def rows(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def refusal(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


class TestMetrics:
    def test_all_are_listed_and_some_are_here(self, server):
        answer = requests.get(f"{server.url}/api/metrics", timeout=30).json()
        metrics = {metric["name"]: metric for metric in answer["metrics"]}
        assert set(list_metrics()) == set(metrics)
        assert answer["version"] == __version__
        assert answer["defaults"] == {"NR": NR, "FR": FR}
        assert answer["limits"] == {"request_bytes": 2_000_000, "pictures": 8, "pixels": 2_000_000}
        assert metrics[NR]["here"]
        assert metrics[FR]["mode"] == "FR"
        assert metrics[FR]["lacking"] == ""
        assert not metrics["topiq_nr-face"]["compares"]

    def test_what_is_not_here_says_how_to_get_it(self, server, monkeypatch, tmp_path, coffee):
        for variable in ("TOPIQ_METRICS_CACHE", "TORCH_HOME", "HF_HUB_CACHE", "TOPIQ_METRICS_WEIGHTS"):
            monkeypatch.setenv(variable, str(tmp_path))
        metrics = {
            each["name"]: each for each in requests.get(f"{server.url}/api/metrics", timeout=30).json()["metrics"]
        }
        assert not metrics["topiq_fr"]["here"]
        assert "topiq weights fetch topiq_fr" in metrics["topiq_fr"]["lacking"]
        assert "topiq train" in metrics["qfm_iqm-lite"]["lacking"]
        error = refusal(server.score(("a", coffee["blur-1"]), metrics="topiq_fr"), 422)
        assert error["message"].startswith("There is no metric 'topiq_fr' here, but topiq_nr-lite")


class TestScore:
    def test_scores_are_those_of_the_functions(self, server, coffee):
        sent = [(name, coffee[name]) for name in ("0-original", "blur-1", "noise-2")]
        found = rows(server.score(*sent, reference=coffee["0-original"], metrics=[NR, FR]))
        assert [row["name"] for row in found] == [name for name, _ in sent]
        original = load_image(coffee["0-original"])
        for row in found:
            image = load_image(coffee[row["name"]])
            assert row["scores"][NR] == pytest.approx(topiq_no_reference(image[None]).item(), abs=1e-4)
            assert row["scores"][FR] == pytest.approx(
                topiq_full_reference(image[None], original[None]).item(), abs=1e-4
            )
            assert (row["width"], row["height"]) == (112, 74)
            assert (row["status"], row["reason"], row["error"], row["preview"]) == ("ok", "", "", None)

    def test_the_default_depends_on_the_reference(self, server, coffee):
        assert list(rows(server.score(("a", coffee["blur-1"])))[0]["scores"]) == [NR]
        pair = server.score(("a", coffee["blur-1"]), reference=coffee["0-original"])
        assert list(rows(pair)[0]["scores"]) == [FR]

    def test_a_bad_picture_is_a_row_with_its_reason(self, server, coffee):
        cut = coffee["blur-1"][:2000]
        sent = [("good", coffee["blur-1"]), ("cut", cut), ("text", b"words"), ("empty", b""), ("tiny", png(8, 8))]
        found = rows(server.score(*sent, ("huge", png(2000, 1001))))
        assert [row["reason"] for row in found] == [
            "",
            "truncated",
            "not-an-image",
            "truncated",
            "too-small",
            "too-large",
        ]
        assert [row["status"] for row in found] == ["ok", *["error"] * 5]
        assert "2000000" in found[-1]["error"]

    def test_pairs_that_do_not_fit(self, server, coffee):
        sent = ("a", coffee["blur-1"])
        (row,) = rows(server.score(sent, metrics=[NR, FR]))
        assert (row["status"], row["reason"]) == ("partial", "no-reference")
        (row,) = rows(server.score(sent, reference=png(64, 64)))
        assert row["reason"] == "size-mismatch"
        (row,) = rows(server.score(sent, reference=b"words"))
        assert row["reason"] == "reference-not-an-image"

    def test_names_are_never_paths(self, server, tmp_path, coffee):
        path = tmp_path / "secret.jpg"
        path.write_bytes(coffee["blur-1"])
        for name in (str(path), f"../../../..{path}", f"file://{path}", "a\x00b", "n" * 3000, "\u202egpj.exe"):
            (row,) = rows(server.score((name, b"")))
            assert (row["status"], row["reason"]) == ("error", "truncated")
            (row,) = rows(server.score(("a", coffee["blur-1"]), reference=b""))
            assert row["reason"] == "reference-truncated"

    def test_nothing_is_written_to_a_disk(self, server, monkeypatch, coffee):
        def refuse(*_, **__):
            raise AssertionError("a file is written")

        for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp"):
            monkeypatch.setattr(tempfile, name, refuse)
        large = coffee["0-original"] + bytes(1_500_000)
        assert rows(server.score(("large", large)))[0]["status"] == "ok"

    def test_a_preview_for_what_browsers_do_not_show(self, server):
        stream = io.BytesIO()
        Image.fromarray(np.full((200, 400, 3), (200, 30, 30), np.uint8)).save(stream, "TIFF")
        good, bad = rows(server.score(("a.tif", stream.getvalue()), ("b.tif", b"II*\0"), preview=100))
        with Image.open(io.BytesIO(base64.b64decode(good["preview"].partition(",")[2]))) as image:
            assert (image.format, image.size) == ("JPEG", (100, 50))
            assert np.abs(np.asarray(image)[25, 50].astype(int) - (200, 30, 30)).max() < 4
        assert bad["preview"] is None

    @pytest.mark.parametrize("metric", [NR, FR])
    def test_a_map(self, metric, server, coffee):
        sent = [("a", coffee["blur-1"]), ("b", b"words")]
        found = rows(server.score(*sent, reference=coffee["0-original"], metrics=NR, map=metric))
        original = load_image(coffee["0-original"]) if metric == FR else None
        expected = quality_map(load_image(coffee["blur-1"]), original, metric, device="cpu")
        assert found[0]["map"]["metric"] == metric
        assert found[0]["map"]["score"] == pytest.approx(expected.score, abs=1e-4)
        assert np.array(found[0]["map"]["values"]) == pytest.approx(expected.values, abs=1e-3)
        assert list(found[0]["scores"]) == [NR]
        assert found[1]["map"] is None

    def test_a_map_that_cannot_be_had(self, server, coffee):
        sent = ("a", coffee["blur-1"])
        assert rows(server.score(sent, map=FR))[0]["map"] is None
        assert rows(server.score(sent, map=FR, reference=png(64, 64)))[0]["map"] is None
        assert rows(server.score(("tiny", png(8, 8)), map=NR))[0]["map"] is None
        assert "There is no metric" in refusal(server.score(sent, map="topiq_nr-face"), 422)["message"]

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"metrics": "nothing"}, "There is no metric 'nothing' here"),
            ({"metric": NR}, "There is no field `metric`"),
            ({"images": "text"}, "Field `images` must not be a text"),
            ({"map": [NR, NR]}, "Field `map` takes one metric"),
            ({"preview": "-5"}, "Field `preview` takes one number"),
            ({"preview": "9" * 5000}, "Field `preview` takes one number"),
            ({"preview": "000000064999"}, "Field `preview` takes one number"),
            ({"preview": ["100", "200"]}, "Field `preview` takes one number"),
        ],
    )
    def test_fields_that_are_wrong(self, fields, message, server, coffee):
        error = refusal(server.score(("a", coffee["blur-1"]), **fields), 422)
        assert error["reason"] == "wrong-field"
        assert error["message"].startswith(message)

    def test_too_many_and_too_few(self, server):
        assert "takes 1 to 8 files, but got 0" in refusal(server.score(metrics=NR, reference=b""), 422)["message"]
        assert "damaged-form" in refusal(server.score(*[("a", b"")] * 20), 400)["reason"]
        assert "but got 9" in refusal(server.score(*[("a", b"")] * 9), 422)["message"]


class TestCompare:
    @pytest.mark.parametrize("metric", [NR, FR])
    def test_it_ranks_as_rank_images_does(self, metric, server, coffee):
        names = ["blur-2", "0-original", "jpeg-1"]
        original = coffee["0-original"]
        answer = server.compare(*[(name, coffee[name]) for name in names], reference=original, metric=metric)
        found = rows(answer)
        assert answer.json()["metric"] == metric
        reference = original if metric == FR else None
        ranked = {image.path: image for image in rank_images([coffee[name] for name in names], reference, metric)}
        for index, row in enumerate(found):
            expected = ranked[f"images[{index}]"]
            assert row["name"] == names[index]
            assert row["score"] == pytest.approx(expected.score, abs=1e-4)
            assert row["noise"] == pytest.approx(expected.noise, abs=1e-4)
            assert row["place"] == expected.place
            assert [f"images[{tie}]" for tie in row["ties"]] == list(expected.ties)

    def test_the_same_picture_twice_is_a_tie(self, server, coffee):
        found = rows(server.compare(("a", coffee["blur-1"]), ("b", b"words"), ("a", coffee["blur-1"])))
        assert [row["place"] for row in found] == [1, None, 1]
        assert [row["ties"] for row in found] == [[2], [], [0]]
        assert found[1]["reason"] == "not-an-image"

    def test_what_cannot_be_compared(self, server, coffee):
        good = ("good", coffee["blur-1"])
        assert [row["reason"] for row in rows(server.compare(good, good, metric=FR))] == ["no-reference"] * 2
        found = rows(server.compare(good, ("small", png(64, 64)), reference=coffee["0-original"]))
        assert [row["reason"] for row in found] == ["", "size-mismatch"]
        found = rows(server.compare(good, good, reference=b"words"))
        assert [row["reason"] for row in found] == ["reference-not-an-image"] * 2
        assert rows(server.compare(good, ("tiny", png(8, 8))))[1]["reason"] == "too-small"
        assert "takes 2 to 8 files" in refusal(server.compare(good), 422)["message"]
        assert "takes one metric" in refusal(server.compare(good, good, metric=[NR, NR]), 422)["message"]
        assert "There is no metric" in refusal(server.compare(good, good, metric="topiq_nr-face"), 422)["message"]


class TestForms:
    """Bodies that are no forms, or damaged, or too large."""

    def post(self, server, body, kind="multipart/form-data; boundary=x", **headers):
        where = f"{server.url}/api/score"
        return requests.post(where, data=body, headers={"Content-Type": kind, **headers}, timeout=30)

    def part(self, content, name="images", filename='; filename="a.png"'):
        return f'--x\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode() + content + b"\r\n"

    def test_other_types(self, server):
        for kind in ("application/json", "application/x-www-form-urlencoded", "", "text/plain; boundary=x"):
            assert refusal(self.post(server, b"{}", kind), 415)["reason"] == "not-a-form"

    def test_a_good_form_by_hand(self, server):
        body = self.part(png(64, 64)) + b"--x--\r\n"
        assert rows(self.post(server, body))[0]["status"] == "ok"

    @pytest.mark.parametrize("charset", ["unicode_escape", "utf-7", "idna", "rot13", "nothing"])
    def test_names_are_utf_8_whatever_a_form_says(self, charset, server):
        body = self.part(b"", filename='; filename="a\\ud800é+2ADYAA-.png"') + b"--x--\r\n"
        (row,) = rows(self.post(server, body, f"multipart/form-data; boundary=x; charset={charset}"))
        assert "é" in row["name"]

    def test_damaged(self, server):
        good = self.part(png(64, 64))
        bodies = [good, good[:-20], b"", b"words", b"--x\r\n\r\n--x--", good.replace(b"name=", b"nome=") + b"--x--\r\n"]
        for body in bodies:
            assert refusal(self.post(server, body), 400)["reason"] == "damaged-form"
        for kind in (
            "multipart/form-data",
            "multipart/form-data; boundary=",
            f"multipart/form-data; boundary={'x' * 999}",
            'multipart/form-data; boundary="x\\"y"',
        ):
            assert refusal(self.post(server, good + b"--x--\r\n", kind), 400)["reason"] == "damaged-form"

    def test_a_long_text(self, server):
        body = self.part(b"x" * 20_000, "metrics", "") + b"--x--\r\n"
        assert refusal(self.post(server, body), 400)["reason"] == "damaged-form"

    def test_too_large_announced_or_not(self, server):
        where = urlsplit(server.url)
        head = f"POST /api/score HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        for length, chunks in (("Content-Length: 2000001", 0), ("Transfer-Encoding: chunked", 32)):
            with socket.create_connection((where.hostname, where.port), timeout=30) as connection:
                connection.sendall(f"{head}{length}\r\n\r\n".encode())
                if chunks:
                    start = self.part(b"")[:-2]
                    connection.sendall(f"{len(start):x}\r\n".encode() + start + b"\r\n")
                for _ in range(chunks):
                    try:
                        connection.sendall(chunk)
                    except OSError:
                        break
                answer = connection.recv(10_000).decode()
                assert answer.startswith("HTTP/1.1 413 ")

    def test_one_that_stops_coming(self, run_server):
        with run_server(idle_seconds=0.5) as server:
            where = urlsplit(server.url)
            with socket.create_connection((where.hostname, where.port), timeout=30) as connection:
                connection.sendall(
                    f"POST /api/score HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: 900\r\n"
                    "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x".encode()
                )
                assert connection.recv(10_000).decode().startswith("HTTP/1.1 408 ")


class TestMany:
    def test_a_hundred_at_once_are_all_answered(self, run_server, coffee):
        # Room for few of them in memory: the others wait.
        with run_server(request_bytes=60_000, workers=2) as server:
            pictures = [png(48, 48, value) for value in range(100)]
            expected = dict(enumerate(rows(server.score(*[("a", each) for each in pictures[:50]]))))
            barrier = threading.Barrier(100)

            def ask(number):
                barrier.wait()
                return rows(server.score((str(number), pictures[number])))[0]

            with ThreadPoolExecutor(100) as threads:
                found = list(threads.map(ask, range(100)))
        assert [row["name"] for row in found] == [str(number) for number in range(100)]
        assert {row["status"] for row in found} == {"ok"}
        for number in range(50):
            assert found[number]["scores"][NR] == pytest.approx(expected[number]["scores"][NR], abs=1e-5)
        assert len({row["scores"][NR] for row in found}) > 50

    def test_more_than_may_wait_are_told_to_come_again(self, run_server, monkeypatch):
        release = threading.Event()
        with run_server(waiting=2) as server:
            monkeypatch.setattr(server.service, "_predictor", lambda _: release.wait(30))
            with ThreadPoolExecutor(3) as threads:
                first = [threads.submit(server.compare, ("a", b""), ("b", b"")) for _ in range(2)]
                time.sleep(0.5)
                answer = server.compare(("a", b""), ("b", b""))
                release.set()
                assert refusal(answer, 503)["reason"] == "busy"
                assert answer.headers["Retry-After"] == "5"
                assert {future.result().status_code for future in first} == {500}
