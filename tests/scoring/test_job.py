"""A job as a library runs it: what it takes, what it refuses, where it goes on."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from topiq_metrics import score_images
from topiq_metrics.images import SizePolicy, load_image
from topiq_metrics.scoring import Item, OutputError, ScoreJob, SourceError, job
from topiq_metrics.scoring.items import name_digest
from topiq_metrics.scoring.provenance import MetricProvenance, describe_metrics
from topiq_metrics.scoring.selection import Selection, Shard


@pytest.fixture
def photos(tmp_path, save_picture) -> Path:
    for i in range(12):
        save_picture(tmp_path / "photos" / f"{i:02}.png", 64 + 16 * (i % 2), 48, seed=i)
    return tmp_path / "photos"


@pytest.fixture
def scored(monkeypatch) -> list[int]:
    """Counts the images that a network of no weights scores by their mean."""
    counts = []

    class FakePredictor:
        max_batch = 8

        def __init__(self, name, weights="default", *, size=None, device=None, backend=None) -> None:
            from topiq_metrics.catalog import get_card

            self.card, self.size = get_card(name), SizePolicy.parse(size or "native")

        def __call__(self, images: Tensor, references: Tensor | None = None, *, spare_memory=False) -> Tensor:
            counts.append(len(images))
            return (images if references is None else (images - references).abs()).mean(dim=(1, 2, 3))

    monkeypatch.setattr("topiq_metrics.inference.NetworkPredictor", FakePredictor)
    return counts


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_rows_are_a_data_frame_in_a_line(library, photos, scored):
    frames = pytest.importorskip(library, reason=f"{library} is not installed")
    frame = frames.DataFrame([row.as_dict() for row in score_images(photos, workers=0)])
    assert list(frame.columns) == ["path", "topiq_nr-lite", "width", "height", "size", "status", "error", "note"]
    assert list(frame["status"]) == ["ok"] * 12
    assert frame["topiq_nr-lite"].mean() > 0


class TestRows:
    def test_in_the_order_of_the_source(self, photos, scored):
        rows = list(score_images(photos, workers=0))
        assert [row.path for row in rows] == [str(photos / f"{i:02}.png") for i in range(12)]
        for row in rows:
            assert row.scores["topiq_nr-lite"] == pytest.approx(load_image(row.path).mean().item(), abs=1e-6)

    def test_of_the_bundled_model_are_the_functions(self, photos):
        from topiq_metrics import topiq_no_reference

        row, *_ = score_images(photos)
        expected = topiq_no_reference(load_image(row.path)[None]).item()
        assert row.scores["topiq_nr-lite"] == pytest.approx(expected, abs=1e-5)

    def test_of_several_sources_and_metrics(self, photos, scored):
        sources = [photos / "03.png", Item("in/memory.png", data=(photos / "00.png").read_bytes()), photos]
        rows = list(score_images(sources, ["topiq_nr-lite", "topiq_nr"], workers=0))
        assert [Path(row.path).name for row in rows][:3] == ["03.png", "memory.png", "00.png"]
        assert len(rows) == 13
        assert all(set(row.scores) == {"topiq_nr-lite", "topiq_nr"} for row in rows)

    def test_of_images_in_memory(self, photos, scored):
        files = [photos / f"{number:02}.png" for number in range(4)]
        rgb = [np.asarray(Image.open(path).convert("RGB")) for path in files]
        images = [
            Image.open(files[0]),
            rgb[1],
            rgb[2].astype(np.float32) / 255,
            torch.from_numpy(rgb[3].copy()).permute(2, 0, 1),
            rgb[0].astype(int),
            np.full((40, 40), 2.0),
        ]
        for workers in (0, 1):
            *rows, wrong, bright = score_images(images, workers=workers)
            assert [row.path for row in rows] == [f"image#{number}" for number in range(4)]
            for row, path in zip(rows, files, strict=True):
                assert row.scores["topiq_nr-lite"] == pytest.approx(load_image(path).mean().item(), abs=1e-6)
                assert (row.height, row.width) == load_image(path).shape[1:]
            assert (wrong.status, bright.status) == ("error", "error")
            assert "uint8, uint16 or float in [0, 1], but got dtype int64" in wrong.error
            assert "must be in [0, 1], but these are from 2 to 2" in bright.error

    def test_of_one_image_that_comes_often(self, photos, scored):
        image = Image.open(photos / "00.png")
        rows = list(score_images([image] * 40, workers=0))
        assert len({row.scores["topiq_nr-lite"] for row in rows}) == 1
        assert rows[-1].path == "image#39"

    def test_of_references_in_memory(self, photos, scored):
        pandas = pytest.importorskip("pandas", reason="pandas is not installed")
        image = Image.open(photos / "00.png")
        frame = pandas.DataFrame({"image": [image, image], "ref": [image, image.resize((40, 40))]})
        same, other = score_images(frame, "topiq_fr", reference_column="ref", workers=0)
        assert same.scores["topiq_fr"] == 0
        assert other.error.startswith("size-mismatch: ")
        assert other.error.endswith("its reference in the source 40x40")

    def test_of_references(self, photos, scored):
        rows = list(score_images(photos, "topiq_fr", references=photos, workers=0))
        assert {row.scores["topiq_fr"] for row in rows} == {0.0}

    def test_are_in_the_output_when_they_are_yielded(self, photos, scored, tmp_path):
        rows = score_images(photos, output=tmp_path / "out.csv", workers=0)
        first = next(rows)
        assert lines(tmp_path / "out.csv.part")[0]["path"] == first.path
        rows.close()
        assert not (tmp_path / "out.csv").exists()


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"metrics": []}, "must name at least one metric"),
            ({"metrics": "zzz"}, "There is no metric named 'zzz'"),
            ({"metrics": ["topiq_nr-lite", "topiq_nr"], "weights": "x"}, "`weights` requires a single metric"),
            ({"size": "huge"}, "Argument `size` must be 'native'"),
            ({"fallback_size": "huge"}, "Argument `size` must be 'native'"),
            ({"shard": "2/2"}, "A shard is i/n with i from 0 to n - 1, but got 2/2"),
            ({"shard": "half"}, "such as 0/8, but got 'half'"),
            ({"resume": True}, "Argument `resume` requires an `output`"),
            ({"output": "out.txt"}, r"must end in one of \('.csv', '.jsonl', '.json', '.parquet'\)"),
            ({"workers": -1}, "`workers` must be 0 or more"),
        ],
    )
    def test_at_once(self, arguments, message, photos, scored):
        with pytest.raises(ValueError, match=message):
            list(score_images(photos, **arguments))

    @pytest.mark.parametrize(
        ("device", "message"),
        [
            ("gpu", "`device` must be such as 'cpu' or 'cuda:1', but got 'gpu'"),
            ("cuda:99", "There is no device cuda:99 here"),
        ],
    )
    def test_of_a_device(self, device, message, photos):
        with pytest.raises(ValueError, match=message):
            score_images(photos, device=device)

    def test_of_an_empty_folder_leaves_no_output(self, tmp_path, scored):
        (tmp_path / "empty").mkdir()
        with pytest.raises(SourceError, match="There is no image in"):
            list(score_images(tmp_path / "empty", output=tmp_path / "out.csv", workers=0))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"metrics": ["topiq_nr-lite", "topiq_nr"]}, "Metrics: topiq_nr-lite there, topiq_nr-lite, topiq_nr here"),
            ({"size": "square=64"}, "Size policy of topiq_nr-lite: max_side=512 there, square=64 here"),
            ({"fallback_size": "square=64"}, "where memory does not suffice: none there, square=64 here"),
            ({"shard": "1/2"}, "Number of shards: 1 there, 2 here"),
        ],
    )
    def test_of_rows_of_another_kind(self, change, message, photos, scored, tmp_path, monkeypatch):
        def described(names, **options):
            # There are no weights of the other metric here.
            others = tuple(MetricProvenance(name, "native") for name in names[1:])
            return describe_metrics(names[:1], **options) + others

        monkeypatch.setattr(job, "describe_metrics", described)
        list(score_images(photos / "00.png", output=tmp_path / "out.csv", workers=0))
        before = (tmp_path / "out.csv").read_bytes()
        with pytest.raises(OutputError, match=message):
            list(score_images(photos, output=tmp_path / "out.csv", resume=True, workers=0, **change))
        assert (tmp_path / "out.csv").read_bytes() == before

    def test_of_other_references(self, photos, scored, tmp_path, monkeypatch):
        monkeypatch.setattr(job, "describe_metrics", lambda *_, **__: (MetricProvenance("topiq_fr", "native"),))
        options = {"output": tmp_path / "out.csv", "workers": 0}
        list(score_images(photos, "topiq_fr", references=photos, **options))
        with pytest.raises(OutputError, match=r"References: .*photos there, .*00\.png here"):
            list(score_images(photos, "topiq_fr", references=photos / "00.png", resume=True, **options))

    @pytest.mark.parametrize("several", [False, True])
    def test_of_an_output_that_is_the_source(self, several, photos, scored, tmp_path):
        table = tmp_path / "table.csv"
        table.write_text("path,mos\nphotos/00.png,3.5\n")
        with pytest.raises(OutputError, match=r"table.csv is one of the sources"):
            score_images([table] if several else str(table), output=tmp_path / "photos" / ".." / "table.csv", workers=0)
        assert table.read_text() == "path,mos\nphotos/00.png,3.5\n"

    def test_in_the_middle_of_a_source_come_after_the_rows_before(self, photos, scored, tmp_path):
        (tmp_path / "list.csv").write_text('path\nphotos/00.png\nphotos/01.png\n"photos/02.png\n')
        with pytest.raises(SourceError, match="cannot be read"):
            list(score_images(tmp_path / "list.csv", output=tmp_path / "out.csv", workers=0))
        assert [Path(row["path"]).name for row in lines(tmp_path / "out.csv.part")] == ["00.png", "01.png"]

    def test_of_other_weights(self, photos, tmp_path, lite_weights):
        list(score_images(photos / "00.png", output=tmp_path / "out.csv", workers=0))
        with pytest.raises(OutputError, match="Weights of topiq_nr-lite: "):
            list(score_images(photos, output=tmp_path / "out.csv", resume=True, weights=lite_weights, workers=0))


class TestResume:
    @pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
    def test_goes_on_where_it_stopped(self, suffix, photos, scored, tmp_path):
        if suffix == ".parquet":
            pytest.importorskip("pyarrow")
        whole = [row.path for row in score_images(photos, workers=0)]
        del scored[:]
        output = tmp_path / f"out{suffix}"
        rows = score_images(photos, output=output, resume=True, workers=0)
        first = [next(rows).path for _ in range(5)]
        rows.close()
        again = [row.path for row in score_images(photos, output=output, resume=True, workers=0)]
        assert first + again == whole
        assert list(score_images(photos, output=output, resume=True, workers=0)) == []

    def test_of_a_finished_job_takes_what_is_new(self, photos, scored, tmp_path, save_picture):
        output = tmp_path / "out.csv"
        list(score_images(photos, output=output, workers=0))
        before = output.read_text()
        assert list(score_images(photos, output=output, resume=True, workers=0)) == []
        assert output.read_text() == before
        save_picture(photos / "new.png")
        assert [row.path for row in score_images(photos, output=output, resume=True, workers=0)] == [
            str(photos / "new.png")
        ]
        assert output.read_text().startswith(before)
        assert len(lines(output)) == 13

    def test_with_nothing_left_loads_no_network(self, photos, scored, tmp_path, monkeypatch):
        list(score_images(photos, output=tmp_path / "out.csv", workers=0))

        def refuse(*args, **kwargs):
            raise AssertionError("there is nothing to score")

        monkeypatch.setattr("topiq_metrics.inference.NetworkPredictor", refuse)
        assert list(score_images(photos, output=tmp_path / "out.csv", resume=True)) == []

    def test_progress_tells_of_the_rows_before(self, photos, scored, tmp_path):
        (photos / "text.jpg").write_text("no image")
        list(score_images(photos, output=tmp_path / "out.csv", workers=0))
        (photos / "other.jpg").write_text("no image")
        resumed = ScoreJob(photos, output=tmp_path / "out.csv", resume=True, workers=0)
        assert resumed.count() == 14
        assert len(list(resumed.rows())) == 1
        progress = resumed.progress.as_dict(resumed.count())
        assert (progress["images"], progress["earlier"], progress["ok"], progress["error"]) == (14, 13, 12, 2)
        assert progress["reasons"] == {"not-an-image": 2}
        json.dumps(progress)


class TestShards:
    def test_are_disjoint_and_whole(self, photos, scored, monkeypatch):
        monkeypatch.chdir(photos.parent)
        whole = [row.path for row in score_images("photos", workers=0)]
        parts = [[row.path for row in score_images("photos", shard=f"{i}/3", workers=0)] for i in range(3)]
        assert sorted(itertools.chain(*parts)) == whole
        assert all(0 < len(part) < 12 for part in parts)

    def test_depend_on_the_name_only(self):
        held = [number for number in range(12) if Shard(1, 2).holds(f"photos/{number}.jpg")]
        assert held == [1, 2, 4, 5, 8, 10, 11]
        sizes = [sum(Shard(i, 7).holds(f"{n}.jpg") for n in range(7000)) for i in range(7)]
        assert sum(sizes) == 7000
        assert max(sizes) - min(sizes) < 250

    def test_of_torchrun(self):
        assert Shard.of_this_process({"RANK": "3", "WORLD_SIZE": "8"}) == Shard(3, 8)
        assert Shard.of_this_process({}) is None

    def test_fill_one_folder(self, photos, scored, tmp_path):
        pq = pytest.importorskip("pyarrow.parquet")
        for i in (1, 0):
            list(score_images(photos, shard=f"{i}/2", output=tmp_path / "out.parquet", workers=0))
        assert sorted(pq.read_table(tmp_path / "out.parquet")["path"].to_pylist()) == sorted(map(str, photos.iterdir()))

    def test_what_is_done_is_left_out(self):
        selection = Selection(Shard(), {name_digest("a.jpg")})
        assert [name for name in ("a.jpg", "b.jpg") if selection.keeps(name)] == ["b.jpg"]
        assert name_digest("caf\udce9.jpg") == name_digest("caf\\udce9.jpg")


def test_a_report_of_earlier_and_new_rows(photos, scored, tmp_path):
    (photos / "text.jpg").write_text("no image")
    list(score_images(photos / "00.png", output=tmp_path / "out.csv", workers=0))
    resumed = ScoreJob(photos, output=tmp_path / "out.csv", resume=True, report=tmp_path / "report.html", workers=0)
    list(resumed.rows())
    page = (tmp_path / "report.html").read_text()
    assert all(f"{i:02}.png" in page for i in range(12))
    assert "not-an-image" in page
    assert page.count("data:image/jpeg") >= 12
    assert next(iter(resumed.provenance.metrics)).weights.sha256 in page


@pytest.mark.parametrize("megabytes", [1200, pytest.param(800, marks=pytest.mark.slow)])
def test_memory_that_runs_out_is_a_row(megabytes, tmp_path, save_picture, lite_weights):
    """With the real network, in a process that may have little."""
    pytest.importorskip("resource")
    if not Path("/proc/self/status").exists():
        pytest.skip("the limit on memory is Linux's")
    small = save_picture(tmp_path / "small.png", 64, 64)
    large = tmp_path / "large.png"
    Image.new("RGB", (3000, 2500)).save(large)
    script = f"""
import re, resource, sys
from pathlib import Path
import torch
from topiq_metrics import score_images
from topiq_metrics.inference import NetworkPredictor
from topiq_metrics.inference import strips
torch.set_num_threads(1)
NetworkPredictor("topiq_nr-lite", {str(lite_weights)!r})(torch.rand(1, 3, 64, 64))
used = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + {megabytes}_000_000, -1))
for fallback in ("strips", None, "max_side=256"):
    if fallback == "strips":
        fallback = None
    else:
        # As with a network that does not come in strips.
        strips.has_strips = lambda net: False
    for row in score_images([{str(large)!r}, {str(small)!r}], weights={str(lite_weights)!r}, size="native",
                            fallback_size=fallback, workers=0, device="cpu"):
        print(row.status, row.size, row.error[:14], sep="|")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "ok|native|",
        "ok|native|",
        "error|native|out-of-memory:",
        "ok|native|",
        "ok|max_side=256|",
        "ok|native|",
    ], done.stderr
