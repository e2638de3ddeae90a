"""The page of a leaderboard: what it holds, and what it does in a real browser that has no network."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from topiq_metrics.leaderboard import plots
from topiq_metrics.leaderboard.board import Board, Cost, Entry, TestSet
from topiq_metrics.leaderboard.latex import as_latex
from topiq_metrics.leaderboard.page import leaderboard_page
from topiq_metrics.leaderboard.papers import Citation
from topiq_metrics.leaderboard.ranking import Rules, judge
from topiq_metrics.leaderboard.tables import as_csv, summary_as_csv
from topiq_metrics.leaderboard.trained_on import TrainedOn
from topiq_metrics.statistics.bootstrap import Bootstrap

QUICK = Rules(bootstrap=Bootstrap(resamples=30))
COUNT = 60
HOSTILE = "</script><script>alert(1)</script>"
EVIL = """<img src=x onerror=alert(2)> "quoted" & 'single' </td>"""
KINDS = ("blur", "noise", "<b>jpeg</b>")
BIBTEX = "@article{metric,\n  title = {{A & <b>metric</b>}},\n}\n"
UNMEASURED = Cost(None, None, None, None)


def make_test_set(dataset: str, kinds: Sequence[str], **options: Any) -> TestSet:
    mos = np.random.default_rng(len(dataset)).uniform(0, 1, COUNT)
    ids = [f"{dataset}/{index:02}.png" for index in range(COUNT - 1)] + [HOSTILE]
    return TestSet(
        **{
            "dataset": dataset,
            "name": dataset.upper(),
            "split": "all",
            "split_hash": "12f2",
            "seed": None,
            "partial": False,
            "higher_is_better": True,
            "citation": "Someone & others, 2020",
            "paper": Citation("Someone & others, 2020", 2020, BIBTEX.replace("metric", "dataset")),
            "license": "free",
            "ids": ids,
            "mos": [float(value) for value in mos],
            "distortions": [kinds[index % len(kinds)] for index in range(COUNT)] if kinds else [],
            **options,
        }
    )


def scored(of: TestSet, metric: str, noise: float, milliseconds: float, **options: Any) -> Entry:
    values = np.asarray(of.mos) + noise * np.random.default_rng(len(metric)).standard_normal(COUNT)
    given = {
        "toolbox": metric.split(":")[0],
        "mode": "NR",
        "higher_is_better": True,
        "status": "scored",
        "scores": [float(value) for value in values],
        "cost": Cost(milliseconds, 262144, 1_000_000, None),
        "provenance": {"versions": {"torch": "2.0"}, "weights_sha256": "d42db6", "note": EVIL, "size": "max_side=512"}
        | {"created": f"2026-11-2{len(metric) % 10}T11:00:00+00:00"},
    }
    return Entry(test_set=of.key, metric=metric, **{**given, **options})


def make_board() -> Board:
    first, second = make_test_set("first", KINDS), make_test_set("second", [])
    mos = [float(value) for value in first.mos]
    mos[5] += 1.5
    poor = [None, *np.random.default_rng(0).uniform(0, 1, COUNT - 1).tolist()]
    return Board(
        [first, second],
        [
            scored(
                *(first, "piq:good", 0.02, 40),
                scores=mos,
                trained_on=TrainedOn("other part", ("FIRST", "<i>others</i>"), "a paper"),
                citation=Citation("A metric, 2021", 2021, BIBTEX, "https://doi.org/10.1/1"),
            ),
            scored(first, "piq:twin", 0.02, 400, scores=[value + 1e-4 * (i % 2) for i, value in enumerate(mos)]),
            scored(first, "pyiqa:fair", 0.3, 5),
            scored(first, "pyiqa:poor", 3, 9, status="partial", reason="1 of 60 images\nhas no score", scores=poor),
            scored(first, EVIL, 0.5, 90, toolbox=HOSTILE),
            scored(first, "piq:pairs", 0.4, 7, mode="FR"),
            Entry(first.key, "pyiqa:away", "pyiqa", "NR", True, "unavailable", f"its weights are elsewhere {HOSTILE}"),
            scored(second, "piq:good", 0.1, 41),
            Entry(second.key, "piq:pairs", "piq", "FR", True, "unfit", "no references"),
        ],
    )


def picture(size: tuple[int, int] = (320, 200)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 80, 20)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def board() -> Board:
    return make_board()


@pytest.fixture(scope="module")
def page_file(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def thumbnails(of: TestSet, ids: Sequence[str]) -> Mapping[str, bytes]:
        return {name: picture() for name in ids if of.dataset == "first" and name != HOSTILE}

    path = tmp_path_factory.mktemp("page") / "board.html"
    text = leaderboard_page(board, judge(board, QUICK), thumbnails=thumbnails, title="A <i>board</i>")
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file; at the end, asserts that it asked for nothing else and that the console stayed empty."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_(path: Path, width: int = 1200, scheme: str = "light", **options: Any) -> Any:
        view = {"width": width, "height": 800}
        contexts.append(browser.new_context(offline=True, viewport=view, color_scheme=scheme, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda request: request.url.startswith(("data:", path.as_uri())) or complaints.append(request.url),
        )
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def data_of(text: str) -> Any:
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def metrics(page: Any) -> list[str]:
    return page.locator("#board tbody tr:visible th").all_inner_texts()


def summary_names(page: Any) -> list[str]:
    return page.locator("#summary tbody tr:visible th").all_inner_texts()


def column(page: Any, name: str) -> list[str]:
    place = page.locator("#board thead th").all_inner_texts().index(name)
    return page.locator(f"#board tr[data-entry] > :nth-child({place + 1})").all_inner_texts()


def test_everything_is_in_the_tables(page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file, java_script_enabled=False)
    assert page.title() == page.locator("h1").inner_text() == "A <i>board</i>"
    assert page.get_by_text("7 metrics (6 with scores) on 2 datasets, scored 2026-11-20 to 2026-11-29").is_visible()
    assert "FIRST 60 images · split 12f2 · MOS" in page.locator(".sets").inner_text()
    assert metrics(page) == ["piq:good", "piq:twin", "pyiqa:fair", EVIL, "pyiqa:poor", "piq:pairs", "piq:good"]
    row = page.locator("#board tbody tr").nth(1)
    assert re.match(r"piq:twin\s+FIRST\s+NR\s+2=\s+tied, against the first\s+unknown\s+0\.\d{4} \[", row.inner_text())
    assert all("tied" not in page.locator("#board tbody tr").nth(place).inner_text() for place in (0, 2))
    reasons = page.locator("#unscored details")
    assert [line.split("\n") for line in reasons.locator("summary").all_inner_texts()] == [
        ["unavailable", f"its weights are elsewhere {HOSTILE}", "1"],
        ["unfit", "no references", "1"],
    ]
    assert not page.get_by_text("pyiqa:away").is_visible()
    reasons.locator("summary").first.click()
    assert reasons.locator("li:visible").all_inner_texts() == ["pyiqa:away NR on FIRST"]
    assert "partial 1 of 60 images has no score" in page.locator("#board tbody tr").nth(4).inner_text()
    assert page.locator("#board").inner_text().count("59 images only") == 1
    assert not page.locator("#scatter").is_visible()
    assert not page.locator("[data-scripted]:visible").count()
    assert page.locator("#distortions thead").first.locator("th").all_inner_texts() == ["metric", "all", *KINDS]
    assert page.locator("#distortions table").count() == 2
    (cells,) = (line.locator("td") for line in page.locator("#significance tbody tr").all()[2:3])
    assert cells.all_inner_texts() == ["▼", "▼", "", "=", "▲"]
    assert cells.nth(0).get_attribute("aria-label") == "worse"
    assert page.locator("#significance .is-tied").first.inner_text() == "="
    provenance = page.locator("#provenance")
    for text in ("topiq-metrics-leaderboard, version 1", "logistic4", "30 samples", "Someone & others, 2020"):
        assert text in provenance.inner_text()
    provenance.locator("summary").first.click()
    assert "d42db6" in provenance.inner_text()
    assert EVIL in provenance.inner_text()


def test_columns_sort_both_ways_and_back(page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file)
    original = metrics(page)
    button = page.get_by_role("button", name="ms/image")
    header = page.locator("#board th", has=button)
    button.focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in column(page, "ms/image")] == [5, 7, 9, 40, 41, 90, 400]
    button.click()
    assert header.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(page, "ms/image")] == [400, 90, 41, 40, 9, 7, 5]
    button.click()
    assert metrics(page) == original
    page.get_by_role("button", name="status").click()
    assert page.locator("[aria-sort]").all_inner_texts() == ["status"]
    assert metrics(page)[0] == "pyiqa:poor"


def test_filters_join(page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file)
    found = page.locator("#filters .found")
    assert found.get_attribute("role") == "status"
    assert found.inner_text() == "7 rows, 2 without a score"
    page.get_by_label("Toolbox").select_option("piq")
    assert metrics(page) == ["piq:good", "piq:twin", "piq:pairs", "piq:good"]
    assert summary_names(page) == ["piq:good", "piq:twin", "piq:pairs"]
    page.get_by_role("combobox", name="Mode", exact=True).select_option(label="full-reference")
    assert found.inner_text() == "1 of 7 rows, 1 of 2 without a score"
    assert summary_names(page) == ["piq:pairs"]
    page.get_by_role("combobox", name="Dataset", exact=True).select_option(label="SECOND")
    assert metrics(page) == []
    assert page.locator("#unscored summary:visible").all_inner_texts() == ["unfit\nno references\n1"]
    page.get_by_label("Toolbox").select_option(HOSTILE)
    assert page.get_by_text("No metric matches.").is_visible()
    assert found.inner_text() == "0 of 7 rows, 0 of 2 without a score"


def test_search_and_status(page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file)
    search = page.get_by_label("Search")
    search.fill("PYIQA: fa")
    assert metrics(page) == summary_names(page) == ["pyiqa:fair"]
    search.fill("away")
    # What was searched for is unfolded.
    assert page.locator("#unscored li:visible").all_inner_texts() == ["pyiqa:away NR on FIRST"]
    search.fill("")
    page.get_by_label("Status").select_option("partial")
    assert metrics(page) == summary_names(page) == ["pyiqa:poor"]
    page.get_by_label("Status").select_option("unfit")
    assert metrics(page) == []
    assert page.locator("#unscored summary:visible").count() == 1


def test_a_dataset_alone_in_the_summary(page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file)
    heads = page.locator("#summary table").first.locator(".over th:visible")
    assert heads.all_inner_texts() == ["FIRST", "SECOND", "Mean", "Mean, weighted by size"]
    page.get_by_role("combobox", name="Dataset", exact=True).select_option(label="SECOND")
    assert heads.all_inner_texts() == ["SECOND"]
    row = page.locator("#summary tbody tr").first
    assert row.locator("td:visible").count() == 1 + 3
    # The full-reference metrics have not been tried on it.
    assert page.locator("#summary table:visible").count() == 1


def test_summary_on_the_page(page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file, java_script_enabled=False)
    table = page.locator("#summary table").first
    assert table.locator("thead tr").nth(1).locator("th").all_inner_texts() == [
        "metric",
        "learned from",
        *["SRCC", "PLCC", "PLCC, fitted"] * 4,
    ]
    # Only this one has been tried on both sets; the others follow.
    assert summary_names(page)[:2] == ["piq:good", "piq:twin"]
    good, twin, fair = (table.locator("tbody tr").nth(place).locator("td") for place in range(3))
    assert good.nth(1).locator("strong").inner_text() == twin.nth(1).locator("strong").inner_text()
    assert fair.nth(1).locator("u").count() == 1
    assert "†" in good.nth(1).inner_text()
    assert "=" in twin.nth(1).inner_text()
    assert good.nth(0).inner_text() == "FIRST, <i>others</i>"
    assert twin.nth(4).inner_text().strip() == "–"
    assert twin.nth(4).get_attribute("title") == "not on this board"
    assert twin.nth(7).get_attribute("title") == "no figure on SECOND"
    assert page.locator(".warning").inner_text() == "FIRST: piq:good, in first place, learned from its other part."


def test_files_and_copies(board: Board, page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file, permissions=["clipboard-read", "clipboard-write"])
    rankings = judge(board, QUICK)
    for section, text in (("#summary", summary_as_csv(rankings)), ("#board", as_csv(rankings))):
        with page.expect_download() as download:
            page.locator(section).get_by_role("button", name="CSV", exact=True).click()
        assert Path(download.value.path()).read_text(encoding="utf-8") == text
    read = "navigator.clipboard.readText()"
    page.get_by_role("button", name="Copy LaTeX").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate(read) == as_latex(rankings)
    page.locator("#board .cite").first.click()
    page.locator("#board .cite", has_text="Copied").wait_for()
    assert page.evaluate(read) == BIBTEX
    page.get_by_role("button", name="Copy all BibTeX").click()
    page.locator("#references .actions", has_text="Copied").wait_for()
    assert page.evaluate(read) == f"{BIBTEX.replace('metric', 'dataset')}\n{BIBTEX}"
    assert page.locator("#references").inner_text().count("Someone & others") == 1


@pytest.mark.parametrize("denied", ["undefined", "{ writeText: () => Promise.reject(new Error('no')) }"])
def test_copies_without_a_clipboard(denied: str, page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file)
    page.evaluate(f"Object.defineProperty(navigator, 'clipboard', {{ value: {denied} }})")
    # What the browser would put there.
    page.evaluate("document.addEventListener('copy', () => (window.copied = document.activeElement.value))")
    page.locator("#board .cite").first.click()
    page.wait_for_function("window.copied !== undefined")
    assert page.evaluate("window.copied") == BIBTEX
    assert page.locator("textarea").count() == 0


def test_hover_and_focus_show_an_image(page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file)
    plot, tip = page.locator("#scatter-plot"), page.locator("#scatter-plot .tip")
    assert page.get_by_role("img", name="piq:good on FIRST: opinion").locator("desc").count() == 1
    assert plot.locator(".dot").count() == COUNT
    assert plot.locator(".dot.is-outlier").count() == page.locator("#outliers li").count() == 6
    assert plot.locator(".curve").count() == 1
    assert not tip.is_visible()
    page.keyboard.press("Tab")
    page.locator("#entry").focus()
    page.keyboard.press("Tab")
    assert tip.locator("strong").inner_text() == page.locator("#outliers strong").first.inner_text()
    assert tip.locator("img").evaluate("async (node) => { await node.decode(); return node.naturalWidth }") == 160
    page.keyboard.press("ArrowRight")
    assert tip.locator("strong").inner_text() == page.locator("#outliers strong").nth(1).inner_text()
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    page.wait_for_timeout(100)
    plot.scroll_into_view_if_needed()
    dot = plot.locator(".dot.is-outlier").last.bounding_box()
    page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    assert tip.locator("strong").inner_text() == page.locator("#outliers strong").first.inner_text()
    assert re.search(r"opinion [\d.]+\s+score [\d.]+\s+fitted [\d.]+", tip.inner_text())
    page.mouse.move(1, 1)
    assert not tip.is_visible()


def test_a_metric_is_chosen(page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file)
    page.get_by_role("button", name=EVIL, exact=True).click()
    assert page.locator("#entry option:checked").inner_text() == EVIL
    assert page.locator("#scatter-about").inner_text().startswith(f"{EVIL} on FIRST: SRCC 0.")
    assert page.evaluate("document.activeElement.id") == "scatter-plot"
    page.keyboard.press("End")
    assert page.locator("#scatter-plot .tip strong").inner_text() == HOSTILE
    assert page.locator("img[src=x]").count() == page.locator("td b, th b").count() == 0
    assert page.locator("script").count() == 2


def test_cost(page_file: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(page_file)
    plot = page.locator("#cost-plot")
    assert plot.locator(".dot").count() == 5
    assert plot.locator("text.name").all_text_contents() == ["piq:good", "pyiqa:fair"]
    assert "On the line: pyiqa:fair, piq:good." in plot.locator("desc").text_content()
    page.locator("#cost-measure").focus()
    page.keyboard.press("Tab")
    assert re.match(r"pyiqa:fair\s+SRCC 0.\d+ \[.*\]\s+5 ms/image", plot.locator(".tip").inner_text())
    page.get_by_label("Dataset and mode").select_option(label="SECOND: no-reference")
    assert plot.locator(".dot").count() == 1
    page.locator("#cost-measure").select_option("GMACs")
    assert plot.inner_text() == "No metric has this cost."
    page.locator("#cost-measure").select_option("parameters")
    assert plot.locator(".dot").count() == 1


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows(
    scheme: str, width: int, page_file: Path, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(page_file, width, scheme)
    page.locator("#provenance summary").first.click()
    page.locator("#scatter-plot").focus()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for box in page.locator("svg").all():
        assert box.bounding_box()["width"] <= width
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    with Image.open(tmp_path / "page.png") as image:
        corner = image.convert("L").getpixel((2, 2))
        assert corner > 200 if scheme == "light" else corner < 60


class Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)


def test_names_are_no_markup(page_file: Path) -> None:
    parser = Collector()
    parser.feed(page_file.read_text(encoding="utf-8"))
    assert parser.tags.count("script") == 2
    assert not {"img", "i", "b"} & set(parser.tags)


def test_thumbnails_are_asked_for_outliers_only(board: Board) -> None:
    asked: dict[str, Sequence[str]] = {}

    def thumbnails(of: TestSet, ids: Sequence[str]) -> Mapping[str, bytes]:
        asked[of.dataset] = ids
        return {ids[0]: b"no picture", ids[1]: picture()}

    rankings = judge(board, QUICK)
    data = data_of(leaderboard_page(board, rankings, thumbnails=thumbnails))
    assert "first/05.png" in asked["first"]
    assert len(asked["second"]) == COUNT // 10
    assert all(len(each["pictures"]) == 1 for each in data["testSets"].values())
    assert "data:image" not in leaderboard_page(board, rankings)


def test_of_many_images_a_sample_is_drawn(
    board: Board, monkeypatch: pytest.MonkeyPatch, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    monkeypatch.setattr(plots, "MAX_POINTS", 30)
    text = leaderboard_page(board, judge(board, QUICK))
    first = data_of(text)["testSets"][board.test_sets[0].key]
    assert first["count"] == COUNT
    assert "first/05.png" in first["ids"]
    assert len(first["ids"]) == len(set(first["ids"])) <= 30
    assert first["mos"] == [
        float(f"{board.test_sets[0].mos[board.test_sets[0].ids.index(name)]:.5g}") for name in first["ids"]
    ]
    (tmp_path / "a.html").write_text(text, encoding="utf-8")
    page = open_page(tmp_path / "a.html")
    assert f"({len(first['ids'])} of 60 images)" in page.locator("#scatter-legend").inner_text()


@pytest.mark.parametrize("kept", [0, 1])
def test_a_board_with_little_on_it(kept: int, board: Board, open_page: Callable[..., Any], tmp_path: Path) -> None:
    away = next(entry for entry in board.entries if entry.status == "unavailable")
    one = replace(board.entries[0], scores=[0.5] * (COUNT - 1) + [None], cost=UNMEASURED, provenance={})
    small = Board(board.test_sets[:1], [away, one][: kept + 1])
    (tmp_path / "a.html").write_text(leaderboard_page(small, judge(small, QUICK)), encoding="utf-8")
    page = open_page(tmp_path / "a.html")
    assert metrics(page) == ["piq:good"] * kept
    assert page.locator("#unscored .name").all_text_contents() == ["pyiqa:away"]
    assert page.locator("#scatter").is_visible() == bool(kept)
    assert page.locator(".bar-nav li:visible").count() == (9 if kept else 7)
    (tmp_path / "b.html").write_text(leaderboard_page(Board([], []), []), encoding="utf-8")
    assert open_page(tmp_path / "b.html").locator("#filters .found").inner_text() == "0 rows"
