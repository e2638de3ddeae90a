"""The example page, as its readers run it: onnxruntime-web from npm in a browser that reaches this machine alone."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from topiq_metrics import load_image, topiq_no_reference
from topiq_metrics.inference.export import export_metric

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("onnxruntime", reason="needs pip install 'topiq-metrics[onnx]'")

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "examples" / "browser"
MODEL = "topiq_nr-lite"
OFFLINE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ETIMEDOUT", "ENOTCACHED")
# Orientation 6: turned by 90 degrees to be upright.
SIDEWAYS = Image.Exif()
SIDEWAYS[0x0112] = 6


@pytest.fixture(scope="module")
def site(browser, tmp_path_factory):
    """The page with its runtime, without a model."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm here")
    folder = tmp_path_factory.mktemp("site") / "page"
    shutil.copytree(PAGE, folder, ignore=shutil.ignore_patterns("node_modules", "*.onnx"))
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    if result.returncode and any(word in result.stderr for word in OFFLINE):
        pytest.skip("npm cannot reach its registry")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def model(site):
    return export_metric(MODEL, site.parent / f"{MODEL}.onnx").path


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(_Handler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def open_page(browser, address, site):
    """Opens the page with a model, or None; at the end, asserts that it asked nothing of other machines."""
    contexts, requests, errors = [], [], []

    def open_(model):
        (site / f"{MODEL}.onnx").unlink(missing_ok=True)
        if model is not None:
            shutil.copy(model, site / f"{MODEL}.onnx")
        contexts.append(browser.new_context(viewport={"width": 320, "height": 700}))
        contexts[-1].set_default_timeout(30_000)
        contexts[-1].on("request", lambda request: requests.append(request.url))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []
    assert [url for url in requests if not url.startswith((address, "blob:", "data:"))] == []


def answer(page, path):
    """The score of a file, or what the page says is wrong with it."""
    page.get_by_label("Choose a photograph").set_input_files(path)
    return read(page)


def read(page):
    page.locator("#result:not([hidden]), #error:not(:empty)").wait_for()
    return page.locator("#error").text_content() or float(page.locator("#score").get_attribute("value"))


def choose(page, path):
    """Choose a file by keyboard."""
    # A key that comes before the browser hands its dialogs over opens one that nobody can close.
    page.on("filechooser", lambda chooser: None)
    page.wait_for_timeout(1000)
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(path)


def expected(path):
    return float(topiq_no_reference(load_image(path)[None], model=MODEL))


@pytest.fixture(scope="module")
def pictures(save_picture, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    sizes = [(301, 225), (225, 301), (801, 603), (603, 801)]
    paths = [save_picture(folder / f"{width}x{height}.png", width, height, seed=width) for width, height in sizes]
    with Image.open(paths[0]) as image:
        image.save(folder / "sideways.jpg", quality=95, exif=SIDEWAYS)
        alpha = Image.fromarray(np.tile(np.linspace(0, 255, image.width).astype(np.uint8), (image.height, 1)))
        image.putalpha(alpha)
        image.save(folder / "clear.png")
    return [*paths, folder / "sideways.jpg", folder / "clear.png"]


TOLERANCES = [1e-3] * 5 + [5e-3]
"""By picture. A canvas rounds what is half transparent to 8 bits."""


def test_scores_are_those_of_torch(open_page, model, pictures):
    page = open_page(model)
    reference = [expected(path) for path in pictures]
    assert max(reference[:4]) - min(reference[:4]) > 0.1
    scores = [answer(page, path) for path in pictures]
    assert scores == [pytest.approx(score, abs=most) for score, most in zip(reference, TOLERANCES, strict=True)]
    assert answer(page, pictures[2]) == pytest.approx(reference[2], abs=1e-3)
    assert page.get_by_role("status").inner_text() == (
        f"801x603.png scores {reference[2]:.3f}, from 0 to 1; higher is better."
    )
    facts = dict(zip(*(page.locator(f"#facts {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True))
    sizes = {"Photograph": "801\xa0×\xa0603\xa0px", "Scored at": "512\xa0×\xa0385\xa0px"}
    assert facts | {"Time": ""} == {"Model": MODEL, **sizes, "Time": ""}
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_last_photograph_counts_however_it_comes(open_page, model, pictures):
    page = open_page(model)
    page.bring_to_front()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "file"
    choose(page, pictures[2])
    dropped = page.evaluate_handle(
        """async (bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
            return transfer;
        }""",
        list(pictures[1].read_bytes()),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    assert read(page) == pytest.approx(expected(pictures[1]), abs=1e-3)
    assert page.get_by_role("heading", level=2).inner_text() == "dropped.png"


def test_errors_say_what_is_wrong(open_page, model, pictures, save_picture, tmp_path):
    page = open_page(model)
    (tmp_path / "notes.txt").write_text("no photograph")
    assert answer(page, tmp_path / "notes.txt") == "notes.txt: This browser cannot read it as an image."
    small = answer(page, save_picture(tmp_path / "small.png", 40, 31))
    assert small == "small.png: It is too small: 40\xa0×\xa031\xa0px. The model needs 32 px a side."
    narrow = answer(page, save_picture(tmp_path / "narrow.png", 1000, 31))
    assert narrow == "narrow.png: It is too small: 1000\xa0×\xa031\xa0px. The model needs 32 px a side."
    Image.new("1", (10_000, 5001)).save(tmp_path / "large.png")
    assert "too large: 10000\xa0×\xa05001\xa0px, but at most 50 million pixels" in answer(page, tmp_path / "large.png")
    assert isinstance(answer(page, pictures[0]), float)


def test_a_model_that_is_missing_or_another(open_page, tmp_path, pictures):
    (tmp_path / "other.onnx").write_bytes(b"<html>not a model</html>")
    missing = f"The model is missing. Run “topiq export {MODEL} {MODEL}.onnx” in the folder of this page."
    for file, message in ((None, missing), (tmp_path / "other.onnx", "not a model that “topiq export” wrote")):
        page = open_page(file)
        sync_api.expect(page.get_by_role("alert")).to_contain_text(message)
        assert message in answer(page, pictures[0])
