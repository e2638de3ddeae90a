"""The page in a real browser that has no network."""

from __future__ import annotations

import random
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from topiq_metrics.scoring.report import MAX_TABLE_ROWS, Report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

METRICS = ("topiq_nr-lite", "lpips+")
PHOTOGRAPHS = sorted((Path(__file__).parents[3] / "docs" / "photographs" / "coffee").glob("*.jpg"))
MARKUP = ["<img src=x onerror=alert(1)>.jpg", "</script><script>alert(2)</script>.jpg", "caf\udce9.jpg"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    source = random.Random(0)
    report = Report(METRICS, {"weights": {"topiq_nr-lite": "<b>sha</b>"}, "shard": "1/2"}, title="A <i>job</i>")
    common = {"width": 448, "height": 298, "size": "max_side=512"}
    for i in range(60):
        path = str(PHOTOGRAPHS[i]) if i < len(PHOTOGRAPHS) else f"photos/{i}.jpg"
        scores = {"topiq_nr-lite": source.random(), "lpips+": source.random()}
        report.add({"path": path, **scores, **common, "status": "ok", "error": ""})
    for name in MARKUP:
        nothing = dict.fromkeys([*METRICS, "width", "height"])
        report.add({"path": name, **nothing, "size": "", "status": "error", "error": f"truncated: {name}"})
    path = tmp_path_factory.mktemp("report") / "report.html"
    report.write(path)
    return path


@pytest.fixture
def open_page(browser):
    """Opens a file; at the end, asserts that it asked for nothing else and that the console stayed empty."""
    contexts, complaints = [], []

    def open_(path, width=1200, scheme="light"):
        view = {"width": width, "height": 800}
        contexts.append(browser.new_context(offline=True, viewport=view, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        # Pictures that are there are shown from their files.
        known = ("data:", PHOTOGRAPHS[0].parent.as_uri())
        page.on("request", lambda request: None if request.url.startswith(known) else requests.append(request.url))
        page.complaints = complaints
        requests = []
        page.goto(path.as_uri())
        complaints.extend(url for url in requests if url != path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def column(page, number):
    return page.locator(f"tbody tr > :nth-child({number} of :not(.tick, .picture))").all_inner_texts()


def test_every_section_is_there(open_page, report):
    page = open_page(report)
    assert page.title() == page.locator("h1").inner_text() == "A <i>job</i>"
    titles = page.locator("h2").all_inner_texts()
    assert titles == ["Outcome", *METRICS, "Errors by reason", "Rows", "Provenance"]
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1
    assert page.locator(".badge").all_inner_texts() == ["higher is better", "lower is better"]
    assert "63" in page.locator("#outcome").inner_text()
    assert page.get_by_role("img", name="Histogram of 60 scores of lpips+").count() == 1
    assert page.locator("#metric-0 .gallery li").count() == 24
    images = page.locator("#metric-0 .gallery img")
    assert images.count() > 0
    assert all(image.evaluate("node => node.naturalWidth") == 160 for image in images.all())
    assert {image.get_attribute("alt") for image in images.all()} <= set(map(str, PHOTOGRAPHS))
    assert "<b>sha</b>" in page.locator("#provenance").inner_text()


def test_columns_sort_both_ways_and_back(open_page, report):
    page = open_page(report)
    page.get_by_label("Rows a page").select_option("100")
    original = column(page, 1)
    button = page.get_by_role("button", name="topiq_nr-lite")
    header = page.locator("th", has=button)
    assert header.get_attribute("aria-sort") is None
    button.focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    scores = [float(text) for text in column(page, 2)[:60]]
    assert scores == sorted(scores)
    assert column(page, 2)[60:] == ["–"] * 3
    button.click()
    assert header.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(page, 2)[:60]] == scores[::-1]
    assert column(page, 2)[60:] == ["–"] * 3
    button.click()
    assert column(page, 1) == original
    page.get_by_role("columnheader", name="path").get_by_role("button").click()
    paths = [path for path in column(page, 1) if path.startswith("photos/")]
    assert paths == sorted(paths, key=lambda path: int(path[7:-4]))
    for name in ("lpips+", "pixels", "size rule", "status", "error"):
        page.get_by_role("columnheader", name=name).get_by_role("button").click()
        assert page.locator("[aria-sort]").all_inner_texts()[0].startswith(name)


def test_search_and_pages(open_page, report):
    page = open_page(report)
    expect = sync_api.expect
    found = page.locator(".found")
    assert found.inner_text() == "63 rows"
    assert len(column(page, 1)) == 25
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Last").click()
    assert len(column(page, 1)) == 13
    assert page.get_by_text("Page 3 of 3").is_visible()
    assert page.get_by_role("button", name="Next").is_disabled()
    page.get_by_label("Search").fill("COFFEE")
    expect(found).to_have_text(f"{len(PHOTOGRAPHS)} of 63 rows")
    page.get_by_role("combobox", name="Status").select_option("error")
    expect(found).to_have_text("0 of 63 rows")
    assert page.get_by_text("No row matches.").is_visible()
    page.get_by_label("Search").fill("")
    expect(found).to_have_text("3 of 63 rows")


def test_markup_in_names_is_text(open_page, report):
    page = open_page(report)
    group = page.locator("summary", has_text="truncated")
    assert not page.locator(".examples").is_visible()
    group.focus()
    page.keyboard.press("Enter")
    examples = page.locator(".examples").inner_text()
    page.get_by_role("button", name="Show in the table").click()
    sync_api.expect(page.locator(".found")).to_have_text("3 of 63 rows")
    for name in (*MARKUP[:2], r"caf\xe9.jpg"):
        assert name in examples
        assert f"truncated: {name}" in examples
        assert name in column(page, 1)
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("script").count() == 2


def test_the_policy_forbids_markup_from_text(open_page, report):
    page = open_page(report)
    outcome = page.evaluate("(() => { try { document.body.innerHTML = '<b>x</b>' } catch (e) { return e.name } })()")
    assert outcome == "TypeError"
    assert page.complaints.pop().startswith("This document requires 'TrustedHTML'")


# The colour of every text against what lies behind it: the lowest contrast, by WCAG's formula, and its text.
CONTRAST = """(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = rgb(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((node) => node.checkVisibility() && !node.disabled)
    .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
    .filter((node) => !["SCRIPT", "OPTION", "title"].includes(node.tagName))
    .map((node) => {
      const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent];
    })
    .sort((a, b) => a[0] - b[0])[0];
})()"""


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read(scheme, width, open_page, report, tmp_path):
    page = open_page(report, width, scheme)
    page.locator("summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrast, text = page.evaluate(CONTRAST)
    assert contrast >= 4.5, text
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    with Image.open(tmp_path / "page.png") as image:
        corner = image.convert("L").getpixel((2, 2))
        assert corner > 200 if scheme == "light" else corner < 60
        assert len(image.convert("RGB").getcolors(1 << 24)) > 2000


def test_a_large_job_stays_quick_and_says_what_it_shows(open_page, tmp_path):
    report = Report(METRICS[:1])
    source = random.Random(0)
    for i in range(MAX_TABLE_ROWS + 1000):
        report.add({"path": f"{i % 97}/{i}.jpg", METRICS[0]: source.random(), "status": "ok"})
    report.write(tmp_path / "large.html")
    page = open_page(tmp_path / "large.html")
    note = page.locator("#rows .card-head").inner_text()
    assert " of 51,000 rows: the best and the worst, and an even sample of the rest." in note
    for button in page.locator("thead button").all():
        button.click(timeout=5000)
    assert len(column(page, 1)) == 25
    page.get_by_label("Search").fill("96/")
    sync_api.expect(page.locator(".found")).to_contain_text(" of ", timeout=5000)


@pytest.mark.parametrize("records", [[], [{"path": "a.jpg", "topiq_nr-lite": 0.5, "status": "ok"}]])
def test_a_tiny_job(records, open_page, tmp_path):
    report = Report(METRICS)
    for record in records:
        report.add(record)
    report.write(tmp_path / "tiny.html")
    page = open_page(tmp_path / "tiny.html")
    assert page.locator("section").count() == 6
    assert len(column(page, 1)) == 1


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A report beside a folder of pictures with awkward names, and one of a kind that browsers don't show."""
    monkeypatch.chdir(tmp_path)
    names = ["a #1.png", "javascript:alert(3).png", 'b, "quoted".png', "c.tif"]
    report = Report(METRICS)
    (tmp_path / "photos").mkdir()
    for i, name in enumerate(names):
        Image.new("RGB", (300, 200), (40 * i, 90, 90)).save(tmp_path / "photos" / name)
        scores = {METRICS[0]: i / 4, METRICS[1]: 1 - i / 4}
        report.add({"path": f"photos/{name}", **scores, "width": 300, "height": 200, "size": "", "status": "ok"})
    nothing = dict.fromkeys([*METRICS, "width", "height"])
    report.add({"path": "photos/gone.png", **nothing, "size": "", "status": "error", "error": "missing: it is"})
    report.write("report.html")
    return tmp_path / "report.html", [f"photos/{name}" for name in (*names, "gone.png")]


@pytest.fixture
def open_beside(open_page, monkeypatch, photos):
    """Opens the report; its pictures are asked for, and nothing else."""

    def open_(**options):
        monkeypatch.setattr(f"{__name__}.PHOTOGRAPHS", [photos[0].parent / "photos" / "any"])
        return open_page(photos[0], **options)

    return open_


def test_scores_filter_and_what_is_shown_is_a_list(open_beside, photos, tmp_path):
    _, names = photos
    page = open_beside()
    rows = page.locator("tbody tr")
    page.get_by_label("Score from").fill("0.25")
    page.get_by_label("to", exact=True).fill("0.5")
    sync_api.expect(rows).to_have_count(2)
    assert column(page, 1) == names[1:3]
    page.get_by_role("combobox", name="Scores of").select_option("lpips+")
    sync_api.expect(rows).to_have_count(2)
    assert column(page, 1) == names[2:4]
    with page.expect_download() as download:
        page.get_by_role("button", name="Download paths").click()
    download.value.save_as(tmp_path / "list.txt")
    assert (tmp_path / "list.txt").read_text().splitlines() == names[2:4]


def test_what_is_ticked_is_a_list(open_beside, photos, tmp_path):
    _, names = photos
    page = open_beside()
    state = page.locator(".selection p")
    sync_api.expect(state).to_have_text("nothing ticked: 5 rows shown")
    for name in (names[0], names[2]):
        page.get_by_label(f"Tick {name}", exact=True).check()
    page.get_by_label("Search").fill("gone")
    sync_api.expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Tick all that are shown").click()
    sync_api.expect(state).to_have_text("3 rows ticked")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download rows").click()
    download.value.save_as(tmp_path / "rows.csv")
    from topiq_metrics.scoring.selecting.saved_rows import SavedRows

    saved = list(SavedRows(tmp_path / "rows.csv"))
    assert [row["path"] for row in saved] == [names[0], names[2], names[4]]
    assert [row[METRICS[0]] for row in saved] == [0, 0.5, None]
    page.get_by_role("button", name="Untick all").click()
    assert "nothing ticked" in state.inner_text()


def file_of(link) -> Path:
    return Path(unquote(urlsplit(link.evaluate("(a) => a.href")).path))


def test_pictures_enlarge_and_lead_to_their_files(open_beside, photos):
    path, names = photos
    page = open_beside()
    view = page.locator("dialog")
    image = view.locator("img")
    natural = "(image) => image.decode().then(() => image.naturalWidth)"
    page.locator("tbody").get_by_role("button", name=f"Enlarge {names[0]}").click()
    sync_api.expect(view).to_be_visible()
    assert image.evaluate(natural) == 300
    link = view.get_by_role("link")
    for name in names[:3]:
        sync_api.expect(link).to_have_text(name)
        assert file_of(link) == path.parent / name
        assert image.evaluate(natural) == 300
        page.keyboard.press("ArrowRight")
    # The browser does not know TIFF.
    sync_api.expect(view).to_contain_text("the thumbnail: the file cannot be shown here")
    assert image.evaluate(natural) == 160
    sync_api.expect(view.get_by_role("button", name="Next")).to_be_disabled()
    page.keyboard.press("Escape")
    sync_api.expect(view).to_be_hidden()
    row = page.locator("tbody").get_by_role("link", name="javascript:alert(3).png")
    assert file_of(row) == path.parent / names[1]
    assert page.locator("tbody a").count() == 4
