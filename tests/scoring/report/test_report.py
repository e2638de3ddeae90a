"""The file that a report becomes."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from PIL import Image

from topiq_metrics.scoring.report import Report, check_report
from topiq_metrics.scoring.rows import ScoreRow

METRIC = "topiq_nr-lite"
LOWER = "lpips+"


def record(path="a.jpg", score=0.5, error="", **others):
    status = "error" if error else "ok"
    return {**ScoreRow(path, {METRIC: score}, 640, 480, "max_side=512", status, error).as_dict(), **others}


def page_of(tmp_path, records=(), metrics=(METRIC,), images=None, **arguments):
    report = Report(metrics, **arguments)
    for one in records:
        report.add(one, (images or {}).get(one["path"]))
    report.write(tmp_path / "report.html")
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert not set("<>&") & set(text)
    assert text.isascii()

    def refuse(name):
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


def picture(path, color, size=(400, 200), **options):
    Image.new("RGB", size, color).save(path, **options)
    return str(path)


def thumbnail(data, tile):
    head, _, body = data["thumbnails"][tile["thumbnail"]].partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def test_an_empty_job(tmp_path):
    data = data_of(page_of(tmp_path))
    assert data["counts"] == {"total": 0, "ok": 0, "partial": 0, "error": 0}
    assert data["metrics"][0]["distribution"] is None
    assert data["rows"] == data["errors"] == data["thumbnails"] == data["provenance"] == []


def test_one_row(tmp_path):
    data = data_of(page_of(tmp_path, [record()]))
    (metric,) = data["metrics"]
    assert metric["count"] == 1
    assert [metric["distribution"][name] for name in ("low", "median", "mean", "high")] == [0.5] * 4
    assert (len(metric["best"]), len(metric["worst"])) == (1, 0)
    assert data["rows"] == [["a.jpg", 0.5, 640, 480, "max_side=512", "ok", "", "", 0, None]]


def test_a_note_is_a_cell_of_its_own(tmp_path):
    note = "profiles-differ: the image has no colour profile"
    data = data_of(page_of(tmp_path, [record(note=note)]))
    assert data["rows"] == [["a.jpg", 0.5, 640, 480, "max_side=512", "ok", "", note, 0, None]]
    assert data["errors"] == []


def test_a_job_of_errors(tmp_path):
    records = [record(f"{i}.jpg", None, f"{('missing', 'truncated')[i % 3 > 0]}: why {i}") for i in range(90)]
    data = data_of(page_of(tmp_path, [*records, record("n.jpg", None, status="error")]))
    assert data["counts"] == {"total": 91, "ok": 0, "partial": 0, "error": 91}
    assert [(group["reason"], group["count"]) for group in data["errors"]] == [
        ("truncated", 60),
        ("missing", 30),
        ("unknown", 1),
    ]
    assert data["errors"][1]["examples"][:2] == [["0.jpg", "missing: why 0"], ["3.jpg", "missing: why 3"]]


def test_a_reason_is_found_behind_a_metric(tmp_path):
    one = record("p.jpg", 0.3, status="partial", error=f"{LOWER}: no-reference: none; x: y", **{LOWER: None})
    data = data_of(page_of(tmp_path, [one], metrics=(METRIC, LOWER)))
    assert [group["reason"] for group in data["errors"]] == ["no-reference"]
    assert [metric["count"] for metric in data["metrics"]] == [1, 0]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1e300, "", "0.5"])
def test_what_is_no_score_is_none(score, tmp_path):
    one = record(score=None)
    data = data_of(page_of(tmp_path, [{**one, METRIC: score, "width": math.nan}], provenance={"x": math.nan}))
    assert data["rows"][0][1:3] == [None, None]
    assert data["metrics"][0]["count"] == 0
    assert data["provenance"] == [["x", "nan"]]


def test_the_card_says_which_end_is_best(tmp_path):
    records = [{**record(f"{i}.jpg", i / 100), LOWER: i / 100} for i in range(100)]
    higher, lower = data_of(page_of(tmp_path, records, metrics=(METRIC, LOWER)))["metrics"]
    assert (higher["higher"], lower["higher"]) == (True, False)
    assert [tile["name"] for tile in higher["best"]] == [f"{i}.jpg" for i in range(99, 87, -1)]
    assert higher["worst"] == lower["best"]
    assert higher["best"] == lower["worst"]


def test_no_image_is_best_and_worst(tmp_path):
    (metric,) = data_of(page_of(tmp_path, [record(f"{i}.jpg", i / 10) for i in range(5)]))["metrics"]
    assert [tile["name"] for tile in metric["best"]] == ["4.jpg", "3.jpg", "2.jpg"]
    assert [tile["name"] for tile in metric["worst"]] == ["0.jpg", "1.jpg"]


def test_thumbnails_are_small_and_hold_pixels_only(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "SECRET-EXIF"
    path = picture(tmp_path / "red.jpg", "red", exif=exif, comment="SECRET-COMMENT")
    data_bytes = Path(picture(tmp_path / "tall.png", "blue", (100, 900))).read_bytes()
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(Path(path).read_bytes()[:300])
    records = [record(path, 0.9), record("in.tar/blue.png", 0.8), record(str(broken), 0.7), record("gone.jpg", 0.6)]
    data = data_of(page_of(tmp_path, records, images={"in.tar/blue.png": data_bytes}))
    red, blue, *others = data["metrics"][0]["best"] + data["metrics"][0]["worst"][::-1]
    assert [tile["thumbnail"] for tile in others] == [None, None]
    red, blue = thumbnail(data, red), thumbnail(data, blue)
    assert (red.size, blue.size) == ((160, 80), (18, 160))
    assert red.getpixel((80, 40))[0] > 240
    assert blue.getpixel((8, 80))[2] > 240
    assert not red.getexif()
    assert not {"comment", "exif", "icc_profile"} & set(red.info)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory")])
def test_without_memory_there_is_no_thumbnail(error, tmp_path, monkeypatch):
    path = picture(tmp_path / "red.png", "red")

    def fail(*_, **__):
        raise error

    monkeypatch.setattr("topiq_metrics.pages.thumbnails.open_image", fail)
    (metric,) = data_of(page_of(tmp_path, [record(path, 0.9)]))["metrics"]
    assert [tile["thumbnail"] for tile in metric["best"]] == [None]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.timeout(60)
def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    records = [record(str(tmp_path / "pipe.jpg")), record(str(tmp_path)), record("nul\0.jpg"), record("s3://b/c.jpg")]
    (metric,) = data_of(page_of(tmp_path, records))["metrics"]
    assert {tile["thumbnail"] for tile in metric["best"] + metric["worst"]} == {None}


ODD = {
    "</script><script>alert(1)</script>.jpg": None,
    "<!--<script>.jpg": None,
    "a&lt;b\u2028\u2029.jpg": "a&lt;b\\u2028\\u2029.jpg",
    "line\nbreak\t\x1b[31m.jpg": "line\\nbreak\\t\\x1b[31m.jpg",
    "\u202egpj.exe": "\\u202egpj.exe",
    "caf\udce9 \udcff.jpg": "caf\\xe9 \\xff.jpg",
    "\ud800 ünïcödé 图.jpg": "\\ud800 ünïcödé 图.jpg",
    "@@script@@.jpg": None,
}


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_names_of_any_kind_are_data(name, tmp_path):
    plain = page_of(tmp_path, [record("a.jpg"), record("b.jpg", None, "c")], provenance={"d": "e"}, title="f")
    records = [record(name), record(name, None, f"{name}: {name}")]
    page = page_of(tmp_path, records, provenance={name: {name: [name, {name: name}]}}, title=name)
    assert page.lower().count("<script") == plain.lower().count("<script")
    assert page.count("</script") == plain.count("</script")
    data, shown = data_of(page), ODD[name] or name
    assert data["title"] == data["rows"][0][0] == data["metrics"][0]["best"][0]["name"] == shown
    assert data["errors"][0]["reason"] == shown
    assert data["provenance"] == [[shown, [[shown, [["1", shown], ["2", [[shown, shown]]]]]]]]


def test_rows_lead_to_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pages").mkdir()
    names = ["ünï #1?.png", "javascript:alert(1).png", "https://host/a b.png?c=d", "s3://bucket/a.png", "gone.png"]
    names += ["line\nbreak.png", "caf\udce9.png"] if sys.platform == "linux" else []
    for name in names:
        if "://" not in name and name != "gone.png":
            picture(tmp_path / name, "red")
    report = Report([METRIC])
    for name in names:
        report.add(record(name))
    report.write("pages/report.html")
    data = data_of((tmp_path / "pages" / "report.html").read_text())
    assert data["root"] == "../"
    found = {row[0]: row[-2:] for row in data["rows"]}
    assert [found[name] for name in names[:5]] == [
        [1, None],
        [1, None],
        ["https://host/a%20b.png?c=d", None],
        *[[0, None]] * 2,
    ]
    if sys.platform == "linux":
        assert found["line\\nbreak.png"] == [1, "line\nbreak.png"]
        assert found["caf\\xe9.png"] == ["caf%E9.png", "caf\udce9.png"]


def test_nothing_but_this_script_may_run(tmp_path):
    page = page_of(tmp_path, [record()])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; img-src data: file: 'self'; style-src 'sha256-")
    assert "unsafe" not in policy
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|srcdoc", script)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)


def test_very_long_text_loses_its_middle(tmp_path):
    data = data_of(page_of(tmp_path, [record("a" * 10_000 + ".jpg", None, "x" * 5000)]))
    path, *_, error, note, link, full = data["rows"][0]
    assert (note, link, full) == ("", 0, "")
    assert len(path) < 1010
    assert path.endswith("aaa.jpg")
    assert len(error) < 1010
    assert len(data["errors"][0]["reason"]) < 90


def test_provenance_is_made_readable(tmp_path):
    files = [{"name": "w.bin", "sha256": "ab", "license": ""}, {"sha256": "cd"}]
    given = {"a": None, "b": True, "c": 0, "d": ("x", "y"), "e": files, "f": [], "g": {"h": {}}, "i": [["j", 1]]}
    data = data_of(page_of(tmp_path, provenance=given))
    assert data["provenance"] == [
        ["b", "yes"],
        ["c", "0"],
        ["d", "x, y"],
        ["e", [["w.bin", [["sha256", "ab"]]], ["2", [["sha256", "cd"]]]]],
        ["i", [["1", "j, 1"]]],
    ]


def test_provenance_that_holds_itself(tmp_path):
    endless = {}
    endless["again"] = [endless]
    assert json.dumps(data_of(page_of(tmp_path, provenance=endless))["provenance"]).count("again") < 5


def test_the_time_span(tmp_path):
    start = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=1)))
    spans = {}
    for minutes in (20, 200):
        report = Report([METRIC])
        report.write(tmp_path / "r.html", started=start, finished=start + timedelta(minutes=minutes))
        spans[minutes] = data_of((tmp_path / "r.html").read_text(encoding="utf-8"))["span"]
    assert spans[20] == "2026-03-01 22:30 – 22:50 UTC, took 0:20:00"
    assert spans[200] == "2026-03-01 22:30 – 2026-03-02 01:50 UTC, took 3:20:00"
    assert data_of(page_of(tmp_path))["span"] == ""


def test_an_earlier_report_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    page_of(tmp_path)
    before = (tmp_path / "report.html").read_bytes()

    def fail(self, target):
        assert self.parent == tmp_path
        assert self.read_text(encoding="utf-8").endswith("</html>\n")
        raise OSError("no")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no"):
        page_of(tmp_path, [record()])
    assert (tmp_path / "report.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_place_that_cannot_take_a_report(tmp_path):
    (tmp_path / "folder.html").mkdir()
    assert check_report(str(tmp_path / "r.HTML")) == tmp_path / "r.HTML"
    for name, message in [
        ("r.csv", r"must end in \.html"),
        ("none/r.html", "There is no folder"),
        ("folder.html", "is a folder"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_report(tmp_path / name)
    with pytest.raises(ValueError, match="There is no folder"):
        Report([METRIC]).write(tmp_path / "none" / "r.html")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="may not be written"):
        check_report(tmp_path / "r.html")
    tmp_path.chmod(0o700)


def test_a_metric_that_is_unknown():
    with pytest.raises(ValueError, match="There is no metric named 'topiq_nrr'"):
        Report(["topiq_nrr"])
