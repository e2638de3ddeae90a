"""Tables of images and scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from reader_tester import save, write

from topiq_metrics.datasets import CSVDataset, DatasetError
from topiq_metrics.errors import ImageError


class TestCSVDataset:
    """Its facts are what the file says."""

    @pytest.fixture
    def make(self, tmp_path) -> Callable[[str], Path]:
        def write_labels(text: str) -> Path:
            save(tmp_path, "a/0.png", "a/1.PNG", "a/2.png", "ref/r.png", "ref/s.png")
            write(tmp_path, "mine.csv", text)
            return tmp_path / "mine.csv"

        return write_labels

    @pytest.mark.parametrize("higher_is_better", [True, False])
    def test_splits_and_references(self, higher_is_better, make):
        labels = make(
            "Image,reference,score,split,kind\r\na/0.png,ref/r.png,1,train,x\r\na\\1.png,ref/r.png,4.5,train,\r\n"
            "a/2.png,ref/s.png,2,test,y\r\n"
        )
        dataset = CSVDataset(labels, higher_is_better=higher_is_better)
        facts = dataset.facts
        assert (facts.name, facts.score_range, facts.references) == ("mine", (1.0, 4.5), 2)
        assert facts.higher_is_better is higher_is_better
        assert dict(facts.size) == {"train": 2, "test": 1}
        assert [record.score for record in dataset.records] == [1.0, 4.5, 2.0]
        assert dataset.records[0].extras == {"kind": "x"}
        (record,) = CSVDataset(labels, "test", higher_is_better=higher_is_better).records
        assert record.image.name == "2.png"
        assert record.reference is not None
        assert record.reference.name == "s.png"
        with pytest.raises(DatasetError, match=r"must be one of \('train', 'test'\), but got 'val'"):
            CSVDataset(labels, "val", higher_is_better=higher_is_better)

    def test_what_a_board_uses_is_found_in_any_case(self, make):
        labels = make("Image,MOS,Distortion,SCENE,Camera\na/0.png,1,blur,night,x\na/1.PNG,2,noise,day,y\n")
        first = CSVDataset(labels, higher_is_better=True).records[0]
        assert first.extras == {"distortion": "blur", "scene": "night", "Camera": "x"}
        twice = make("image,Scene,Distortion,distortion\na/0.png,3,blur,noise\n")
        (record,) = CSVDataset(twice, higher_is_better=True, score_column="Scene").records
        assert (record.score, record.extras) == (3, {"Distortion": "blur", "distortion": "noise"})

    def test_random_split(self, make):
        labels = make("image,score,group\na/0.png,1,x\na/1.png,2,x\na/2.png,3,y\n")
        parts = [CSVDataset(labels, part, higher_is_better=True, seed=4) for part in ("train", "test")]
        assert sorted(len({record.group for record in part.records}) for part in parts) == [1, 1]
        labels = make("image,score,group\na/0.png,1,x\na/1.png,2,x\n")
        with pytest.raises(DatasetError, match="mine: A split by image needs at least 2 of them, but got 1"):
            CSVDataset(labels, "test", higher_is_better=True, seed=4)

    def test_paths(self, make, tmp_path):
        labels = make(f"image,score\n{tmp_path / 'a/0.png'},1\n2.png,2\n")
        assert len(CSVDataset(labels, higher_is_better=True, root=tmp_path / "a")) == 2

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("t.csv", "image,score,reference\r\na\\0.png,3.5,ref\\r.png\r\n"),
            ("t.csv", "id, Path, MOS , reference\n7, a/0.png, 3.5, ref/r.png\n"),
            ("t.csv", "filename;rating;reference\na/0.png;3,5;ref/r.png\n"),
            ("t.tsv", "Image Name\tmean opinion score\treference\na/0.png\t3.5\tref/r.png\n"),
        ],
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_tables_of_other_systems(self, name, text, encoding, make, tmp_path):
        make("")
        (tmp_path / name).write_bytes(text.encode(encoding))
        dataset = CSVDataset(tmp_path / name, higher_is_better=True)
        (record,) = dataset.records
        assert (record.image, record.score) == (tmp_path / "a/0.png", 3.5)
        assert record.reference == tmp_path / "ref/r.png"
        assert set(record.extras) <= {"id"}
        assert dataset.missing == []

    @pytest.mark.parametrize(
        ("text", "scores"),
        [
            ("image\tscore\na/0.png\t3,5\na/1.PNG\t4\n", [3.5, 4]),
            ("sep=|\nimage|score\na/0.png|3,5\n", [3.5]),
            # Decimals throughout, as 0,750 and 3,5 tell.
            ("image;score\na/0.png;1,000\na/1.PNG;0,750\n", [1, 0.75]),
            ("image\tscore\na/0.png\t1,000\na/1.PNG\t3,5\n", [1, 3.5]),
            ("image;score\na/0.png;1000,000\n", [1000]),
        ],
    )
    def test_decimal_commas(self, text, scores, make):
        dataset = CSVDataset(make(text), higher_is_better=True)
        assert [record.score for record in dataset.records] == scores

    def test_scores_of_people_beside_those_of_a_metric(self, make):
        labels = make("image,mos,Score\na/0.png,4,0.5\n")
        message = r"mine\.csv has several columns that may hold the scores: Score, mos\. Say which .* \(--score-column"
        with pytest.raises(DatasetError, match=message):
            CSVDataset(labels, higher_is_better=True)
        (record,) = CSVDataset(labels, higher_is_better=True, score_column="mos").records
        assert (record.score, record.extras) == (4, {"Score": "0.5"})

    def test_columns_may_be_named(self, make):
        labels = make("image,photo,score,JOD,reference,original\nx.png,a/0.png,0,4,y.png,ref/r.png\n")
        columns = {"image_column": "photo", "score_column": "jod", "reference_column": "original"}
        (record,) = CSVDataset(labels, higher_is_better=True, **columns).records
        assert (record.image.name, record.score, record.reference.name) == ("0.png", 4, "r.png")
        assert record.extras == {"image": "x.png", "score": "0", "reference": "y.png"}
        for column in columns:
            with pytest.raises(DatasetError, match=r"mine\.csv has no column 'nope'; its columns are image, photo"):
                CSVDataset(labels, higher_is_better=True, **{column: "nope"})

    def test_images_that_are_not_there(self, make):
        labels = make("image,score,reference\na/0.png,1,ref/r.png\na\\9.png,2,ref/r.png\na/2.png,3,ref/x.png\n")
        dataset = CSVDataset(labels, higher_is_better=True)
        assert [record.score for record in dataset.records] == [1, 2, 3]
        assert dataset.missing == ["line 3: a\\9.png", "line 4: ref/x.png"]
        with pytest.raises(ImageError, match="there is no such file"):
            dataset[1]
        dataset = CSVDataset(labels, higher_is_better=True, partial=True)
        assert [record.score for record in dataset.records] == [1]
        assert len(dataset.missing) == 2

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("image,x\na/0.png,1\n", r"mine.csv has none of the columns score, mos, .*; its columns are image, x\."),
            ("image,score\na/0.png,1\n\na/1.png,x\n", r"mine\.csv, line 4: expected a number as score, but got 'x'"),
            ("", r"mine\.csv is empty\."),
            ("\n\n", r"mine\.csv is empty\."),
            ("image,score\na/0.png,1_0\n", r"line 2: expected a number as score, but got '1_0'"),
            ("image;score\na/0.png;850\na/1.PNG;1,000\n", r"line 3: the comma in '1,000' may stand between thousands"),
            ("image\tscore\na/0.png\t-1,000,000\n", r"line 2: the comma in '-1,000,000' may stand .* decimal points"),
            ("image;score\na/0.png;1,000,5\n", r"line 2: expected a number as score, but got '1\.000\.5'"),
            ("image,score\na/0.png,1\na/1.png,\n", r"line 3: expected a value for each of \('image', 'score'\)"),
            (
                "image,score\na/8.png,1\na/9.png,1\n",
                r"mine.csv names 'a/8.png', which is not in '.*', nor are the other 1",
            ),
            ("image,score\na/9.png,1\n", "mine: mine.csv names 'a/9.png', which is not in"),
            ("image,score\n", "mine.csv has no rows"),
            ("image,score,split\na/0.png,1,train\na/2.png,1,\n", "expected a split in every row, or no column 'split'"),
            ("image,score,Score\na/0.png,1,2\n", "mine.csv has the column 'score' more than once"),
            ("image,score,kind,kind\na/0.png,1,2,3\n", "mine.csv has the column 'kind' more than once"),
            ("image,score\n.,1\n", r"names '\.', which is not in '.*'\."),
            ("image,score\na,1\n", r"names 'a', which is not in '.*'\."),
            (
                "image,score\na/0.png,1\na/2.png,2\n\na\\0.PNG,3\n",
                r"line 5: 'a.+0.PNG' is in the table already, on line 2",
            ),
            (
                "image,score,reference\na/0.png,1,ref/r.png\na/0.png,1,ref/s.png\n./a/0.png,2,ref/r.png\n",
                r"line 4: './a/0.png' is in the table already, on line 2",
            ),
        ],
    )
    def test_errors(self, text, message, make):
        with pytest.raises(DatasetError, match=message):
            CSVDataset(make(text), higher_is_better=True)


def test_an_image_that_is_named_from_two_folders(tmp_path, monkeypatch, save_picture):
    monkeypatch.chdir(tmp_path)
    save_picture(tmp_path / "0.png", 40, 40)
    Path("mine.csv").write_text(f"image,score\n0.png,1\n{tmp_path / '0.png'},2\n")
    with pytest.raises(DatasetError, match=r"line 3: '.*0\.png' is in the table already, on line 2"):
        CSVDataset("mine.csv", higher_is_better=True)
