"""The page in a real browser: drop, sort, choose, compare, export; by keyboard, on a phone, in dark and light."""

from __future__ import annotations

import base64
import csv
import importlib.util
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from topiq_metrics.catalog import get_card

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NR, FR = "topiq_nr-lite", "topiq_fr-lite"
TOKEN = "a-token-of-this-server"
MARKUP = "<img src=x onerror=alert(1)>.png"
SECONDS = 60_000


def contrast():
    """The script of the report's tests that finds the text with the least contrast."""
    path = Path(__file__).parents[1] / "scoring" / "report" / "test_browser.py"
    spec = importlib.util.spec_from_file_location("report_browser", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CONTRAST


@pytest.fixture(scope="module")
def site(run_server):
    with run_server(workers=2, request_bytes=2_000_000) as server:
        yield server


@pytest.fixture
def open_page(browser):
    """Opens the page of a server; at the end, asserts that it asked nobody else and that the console stayed empty."""
    contexts, complaints = [], []

    def open_(server, width=1200, scheme="light", fragment="", wait=True):
        view = {"width": width, "height": 800}
        contexts.append(browser.new_context(viewport=view, color_scheme=scheme, has_touch=width < 500))
        page = contexts[-1].new_page()
        page.set_default_timeout(SECONDS)
        sync_api.expect.set_options(timeout=SECONDS)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        own = (server.url, "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(own) else complaints.append(asked.url))
        page.complaints = complaints
        page.goto(f"{server.url}/{fragment}")
        if wait:
            page.locator("#metric-list input").first.wait_for()
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def files(pictures, suffix=".png", kind="image/png"):
    return [{"name": f"{name}{suffix}", "mimeType": kind, "buffer": data} for name, data in pictures.items()]


def names(page):
    return [text.split("\n")[0] for text in page.locator("#rows th").all_inner_texts()]


def column(page, number):
    return [text.strip() for text in page.locator(f"#rows tr > :nth-child({number})").all_inner_texts()]


def settled(page, count):
    sync_api.expect(page.locator("#rows tr")).to_have_count(count)
    sync_api.expect(page.locator("#stop")).to_be_hidden()


def drop(page, selector, pictures):
    """Drop files on an element, as a hand does."""
    transfer = page.evaluate_handle(
        """(pictures) => {
          const transfer = new DataTransfer();
          for (const [name, data] of pictures) {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            transfer.items.add(new File([bytes], name, { type: "image/png" }));
          }
          return transfer;
        }""",
        [(name, encoded(data)) for name, data in pictures.items()],
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.locator(selector).dispatch_event(kind, {"dataTransfer": transfer})


def encoded(data):
    return base64.b64encode(data).decode()


def saved(page, button):
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def test_dropped_pictures_are_ranked(open_page, site, coffee):
    page = open_page(site)
    drop(page, "#drop-pictures", {**coffee, MARKUP: coffee["blur-1"], "notes.txt": b"words"})
    settled(page, 11)
    assert "11 pictures · 1 with errors" in page.locator("#progress").inner_text()
    scores = [float(text) for text in column(page, 5)[:10]]
    assert scores == sorted(scores, reverse=True)
    row = site.score(("a", coffee["blur-1"])).json()["rows"][0]
    assert f"{row['scores'][NR]:.4f}" in column(page, 5)
    assert column(page, 3)[0] == "1"
    assert column(page, 3)[-1] == column(page, 5)[-1] == "–"
    # Two pictures of one score have one place.
    assert sorted(column(page, 3)[:10], key=int) != [str(place) for place in range(1, 11)]
    assert "not-an-image: " in page.locator("#rows th").last.inner_text()
    assert MARKUP in names(page)
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("#rows canvas").count() == 10


def test_columns_sort_by_keyboard(open_page, site, coffee):
    page = open_page(site)
    page.set_input_files("#pictures", files(coffee))
    settled(page, 9)
    button = page.locator("#columns").get_by_role("button", name="picture")
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator("[aria-sort=ascending]").inner_text() == "picture"
    sync_api.expect(page.locator("#rows th").first).to_have_text("0-original.png")
    assert names(page) == sorted(names(page))
    page.keyboard.press("Enter")
    sync_api.expect(page.locator("#rows th").first).to_have_text("underexposure-2.png")
    page.locator("#columns").get_by_role("button", name=NR).click()
    sync_api.expect(page.locator(f"#columns th[data-key='{NR}']")).to_have_attribute("aria-sort", "ascending")
    sync_api.expect(page.locator("#rows tr").first).not_to_contain_text("underexposure-2.png")
    scores = [float(text) for text in column(page, 5)]
    assert scores == sorted(scores)


def test_a_threshold_chooses_and_what_is_chosen_is_exported(open_page, site, coffee):
    page = open_page(site)
    page.set_input_files("#pictures", files({**coffee, 'a "b", c': coffee["blur-2"]}))
    settled(page, 10)
    scores = [float(text) for text in column(page, 5)]
    assert page.locator("#chosen").inner_text() == "10"
    bound = (scores[3] + scores[4]) / 2
    page.get_by_label("Score", exact=True).fill(f"{bound:.6f}")
    sync_api.expect(page.locator("#chosen")).to_have_text("4")
    assert page.locator("#rows tr.is-chosen").count() == 4
    slider = page.locator("#threshold")
    slider.focus()
    page.keyboard.press("End")
    sync_api.expect(page.locator("#chosen")).to_have_text("0")
    assert page.get_by_role("button", name="CSV").is_disabled()
    page.get_by_label("Score", exact=True).fill(f"{bound:.6f}")
    box = page.get_by_label('Choose a "b", c.png')
    box.focus()
    page.keyboard.press("Space")
    sync_api.expect(page.locator("#chosen-of")).to_have_text("of 10 chosen, 1 by hand")
    assert box.evaluate("node => node === document.activeElement")
    page.locator("#show").select_option("chosen")
    sync_api.expect(page.locator("#rows tr")).to_have_count(5)
    shown = names(page)
    rows = list(csv.DictReader(io.StringIO(saved(page, "CSV"))))
    assert [row["path"] for row in rows] == shown == saved(page, "names").splitlines()
    assert list(rows[0]) == ["path", NR, "width", "height", "size", "status", "error", "note"]
    assert [f"{float(row[NR]):.4f}" for row in rows] == column(page, 5)
    assert json.loads(saved(page, "JSON"))[0] == {
        **rows[0],
        NR: float(rows[0][NR]),
        "width": int(rows[0]["width"]),
        "height": int(rows[0]["height"]),
    }


def test_pairs_find_their_references_by_name(open_page, site, coffee):
    page = open_page(site)
    page.set_input_files("#pictures", files({"a": coffee["blur-1"], "b": coffee["jpeg-2"], "c": coffee["noise-1"]}))
    drop(page, "#drop-references", {"A.bmp": coffee["0-original"], "b.png": coffee["jpeg-1"]})
    sync_api.expect(page.locator("#references-note")).to_have_text("2 references: 2 of 3 pictures has one of its name.")
    assert page.get_by_role("checkbox", name=FR).is_checked()
    settled(page, 3)
    page.locator("#columns").get_by_role("button", name="picture").click()
    sync_api.expect(page.locator("#rows th").first).to_have_text("a.png")
    pair = site.score(("b", coffee["jpeg-2"]), reference=coffee["jpeg-1"]).json()["rows"][0]
    assert column(page, 6)[1:] == [f"{pair['scores'][FR]:.4f}", "no reference"]
    # Each metric has its own, whichever was asked for last.
    both = ";".join(f"{name}:{get_card(name).size}" for name in (NR, FR))
    rows = csv.DictReader(io.StringIO(saved(page, "CSV")))
    assert [row["size"] for row in rows] == [both, both, get_card(NR).size]
    page.get_by_role("button", name="Remove").click()
    sync_api.expect(page.locator("#rows tr").first).to_contain_text("no reference")
    # One alone is the reference of all.
    page.set_input_files("#references", files({"original": coffee["0-original"]}))
    settled(page, 3)
    assert len(set(column(page, 6))) == 3


def test_two_versions_under_a_slider(open_page, site, coffee, tmp_path):
    page = open_page(site)
    page.set_input_files("#pictures", files({"good": coffee["0-original"], "bad": coffee["blur-2"]}))
    settled(page, 2)
    page.get_by_role("button", name="Compare bad.png").click()
    sync_api.expect(page.locator("#verdict")).to_have_text(
        re.compile(r"^Right is better: 0\.\d{4} left, 0\.\d{4} right")
    )
    assert page.locator("#left-picture").get_attribute("alt") == "bad.png"
    clip = "node => getComputedStyle(node).clipPath"
    page.locator("#split").focus()
    page.keyboard.press("Home")
    assert page.locator("#left-picture").evaluate(clip) == "inset(0px 100% 0px 0px)"
    everything_right = page.locator("#sheet").screenshot()
    page.keyboard.press("End")
    everything_left = page.locator("#sheet").screenshot()
    page.mouse.move(*middle(page))
    page.mouse.down()
    page.mouse.up()
    assert 48 < float(page.locator("#split").input_value()) < 52
    half = page.locator("#sheet").screenshot()
    left, right, both = (pixels(shot) for shot in (everything_left, everything_right, half))
    width = both.shape[1]
    assert np.abs(both[:, : width // 3] - left[:, : width // 3]).max() <= 2
    assert np.abs(both[:, -width // 3 :] - right[:, -width // 3 :]).max() <= 2
    assert np.abs(left - right).mean() > 2
    page.locator("#zoom").select_option("2")
    assert page.locator("#sheet").evaluate("node => node.clientWidth") == 224
    page.locator("#left").select_option(label="good.png")
    page.locator("#right").select_option(label="good.png")
    sync_api.expect(page.locator("#verdict")).to_have_text("Choose two pictures.")
    page.keyboard.press("Escape")
    assert not page.locator("#pair").is_visible()


def test_where_a_picture_is_bad(open_page, site, coffee):
    page = open_page(site)
    page.set_input_files("#pictures", files({"good": coffee["0-original"], "bad": coffee["blur-2"], "no": b"words"}))
    settled(page, 3)
    peek = page.locator("#peek")
    page.get_by_role("button", name="Compare bad.png").hover()
    sync_api.expect(peek).to_be_visible()
    row = site.score(("a", coffee["blur-2"]), map=NR).json()["rows"][0]
    assert peek.inner_text().startswith(f"Where bad.png is bad, as {NR} sees it: {row['map']['score']:.4f}")
    cells = page.locator("#peek-map").evaluate("node => [node.height, node.width]")
    assert cells == [len(row["map"]["values"]), len(row["map"]["values"][0])]
    # Bright is bad.
    light = "node => { const p = node.getContext('2d').getImageData(0, 0, node.width, node.height).data;"
    light += " return [...p.filter((_, i) => i % 4 === 1)]; }"
    values = np.ravel(row["map"]["values"])
    greens = np.array(page.locator("#peek-map").evaluate(light))
    assert greens[values.argmin()] == greens.max()
    assert greens[values.argmax()] == greens.min()
    page.mouse.move(5, 5)
    sync_api.expect(peek).to_be_hidden()
    page.get_by_role("button", name="Compare no.png").hover()
    page.wait_for_timeout(500)
    assert not peek.is_visible()
    page.get_by_label("Choose good.png").focus()
    page.keyboard.press("Tab")
    sync_api.expect(peek).to_contain_text("Where good.png is bad")
    page.keyboard.press("Enter")
    sync_api.expect(peek).to_be_hidden()
    page.locator("#right").select_option(label="bad.png")
    page.locator("#pair-map").check()
    sync_api.expect(page.locator("#pair-scale")).to_contain_text("good")
    assert page.locator("#left-map").is_visible()
    assert page.locator("#right-map").is_visible()
    page.locator("#pair-metric").select_option(FR)
    sync_api.expect(page.locator("#pair-scale")).to_have_text("There is no map of these.")
    assert not page.locator("#left-map").is_visible()


def middle(page):
    box = page.locator("#sheet").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def pixels(shot):
    with Image.open(io.BytesIO(shot)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_formats_that_the_browser_does_not_show(open_page, site, coffee):
    stream = io.BytesIO()
    with Image.open(io.BytesIO(coffee["0-original"])) as image:
        image.save(stream, "TIFF")
    page = open_page(site)
    page.set_input_files("#pictures", files({"scan": stream.getvalue()}, ".tif", "image/tiff"))
    page.set_input_files("#pictures", files({"photo": coffee["blur-2"]}))
    settled(page, 2)
    natural = "node => [node.naturalWidth, node.naturalHeight]"
    assert page.get_by_role("button", name="Compare scan.tif").locator("img").evaluate(natural) == [112, 74]
    page.get_by_role("button", name="Compare scan.tif").click()
    sync_api.expect(page.locator("#verdict")).to_have_text(re.compile("^Left is better"))
    assert page.locator("#left-picture").evaluate(natural) == [112, 74]


def test_a_folder_and_files_that_are_too_large(open_page, site, coffee, tmp_path):
    folder = tmp_path / "shoot"
    (folder / "day 2").mkdir(parents=True)
    (folder / "day 2" / "a.png").write_bytes(coffee["blur-1"])
    (folder / "b.png").write_bytes(coffee["0-original"] + bytes(2_000_000))
    (folder / "readme.txt").write_text("words")
    page = open_page(site)
    page.set_input_files("#folder", folder)
    settled(page, 2)
    assert set(names(page)) == {"shoot/day 2/a.png", "shoot/b.png"}
    assert "too-large: " in page.locator("#rows").inner_text()
    assert "1 file of other kinds left out" in page.locator("#progress").inner_text()


def test_a_server_that_ends_and_comes_back(open_page, site, coffee):
    page = open_page(site)
    page.route("**/api/score", lambda route: route.abort())
    page.set_input_files("#pictures", files({"a": coffee["blur-1"]}))
    problem = page.locator("#problem")
    sync_api.expect(problem).to_contain_text("a.png could not be sent")
    page.unroute("**/api/score")
    page.get_by_role("button", name="Go on").click()
    settled(page, 1)
    assert not problem.is_visible()
    assert float(column(page, 5)[0])
    page.get_by_role("button", name="Clear").click()
    sync_api.expect(page.locator("#results")).to_be_hidden()
    assert "ERR_FAILED" in page.complaints.pop()


def test_a_token(open_page, run_server, coffee):
    with run_server(token=TOKEN) as server:
        page = open_page(server, wait=False)
        sync_api.expect(page.locator("#problem")).to_contain_text("asks for a token")
        page.get_by_label("Token of this server").fill(TOKEN)
        page.keyboard.press("Enter")
        page.set_input_files("#pictures", files({"a": coffee["blur-1"]}))
        settled(page, 1)
        assert "401" in page.complaints.pop()
        page = open_page(server, fragment=f"#token={TOKEN}")
        assert page.url == f"{server.url}/"
        page.reload()
        page.locator("#metric-list input").first.wait_for()
        assert not page.locator("#token-form").is_visible()


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read(scheme, width, open_page, site, coffee, tmp_path):
    page = open_page(site, width, scheme)
    script = contrast()
    for added in ({}, {**coffee, "no": b"words"}):
        if added:
            page.set_input_files("#pictures", files(added))
            settled(page, len(added))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        lowest, text = page.evaluate(script)
        assert lowest >= 4.5, text
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    with Image.open(tmp_path / "page.png") as image:
        corner = image.convert("L").getpixel((2, 2))
        assert corner > 200 if scheme == "light" else corner < 60
        assert len(image.convert("RGB").getcolors(1 << 24)) > 2000
    page.get_by_role("button", name="Compare two").click()
    sync_api.expect(page.locator("#verdict")).to_have_text(re.compile(r"better|apart"))
    box = page.locator("#pair").bounding_box()
    assert box["width"] <= width
    assert page.locator("#sheet").bounding_box()["height"] > 50
