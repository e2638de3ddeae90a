from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from topiq_metrics.scoring.items import Item, size_of
from topiq_metrics.scoring.sources import SourceError, open_source

GREY = np.full((8, 12), 7, np.uint8)


def names(items):
    return [item.name for item in items]


def test_one_image():
    for image in (GREY, GREY[..., None], Image.fromarray(GREY), torch.from_numpy(GREY)[None]):
        source = open_source(image)
        (item,) = source.items()
        assert (item.name, source.count()) == ("image#0", 1)
        assert item.data is image
        assert item.held_bytes == 96
        assert size_of(item.data) == (12, 8)


def test_several_images_and_files():
    image = Image.fromarray(GREY)
    source = open_source([GREY, image, "a.png", torch.zeros(3, 8, 8), Item("b.png", data=b"b"), image])
    assert names(source.items()) == ["image#0", "image#1", "a.png", "image#2", "b.png", "image#3"]
    assert source.count() == 6


def test_a_batch_is_several_images():
    for batch in (np.zeros((20, 8, 8, 3), np.uint8), torch.zeros(20, 3, 8, 8)):
        assert names(open_source(batch).items()) == [f"image#{number}" for number in range(20)]
    assert names(open_source(np.array(["a.png", "b.png"])).items()) == ["a.png", "b.png"]
    with pytest.raises(TypeError, match=r"an image in memory, a data frame .* but got float64"):
        open_source(np.zeros(3))


def test_references_of_images_in_memory(tmp_path, touch):
    touch("r.png")
    items = open_source([GREY, GREY], references=tmp_path / "r.png").items()
    assert [item.reference for item in items] == [str(tmp_path / "r.png")] * 2
    with pytest.raises(SourceError, match="have no names by which references could be found"):
        open_source([GREY], references=tmp_path)


@pytest.mark.parametrize("library", ["pandas", "polars"])
class TestDataFrames:
    @pytest.fixture
    def frame(self, library):
        return pytest.importorskip(library, reason=f"{library} is not installed").DataFrame

    def test_paths(self, frame, read, tmp_path, touch):
        touch("a/1.png", "ref/1.png")
        data = frame({"id": [1, 2, 3], "Path": ["a\\1.png", None, "/b.png"], "ref": [None, "r.png", ""]})
        problem = "missing: dataframe#1 names no image"
        assert read(data, root=tmp_path, reference_column="ref") == [
            Item(f"{tmp_path}/a/1.png"),
            Item("dataframe#1", f"{tmp_path}/r.png", problem=problem),
            Item("/b.png"),
        ]
        assert names(read(data)) == ["a\\1.png", "dataframe#1", "/b.png"]
        assert names(read(frame({"photo": ["x.png"]}), image_column="photo")) == ["x.png"]
        (first, *_) = read(frame({"path": ["1.png"]}), references=tmp_path / "ref")
        assert first.reference == f"{tmp_path}/ref/1.png"

    def test_bytes_and_hugging_face_images(self, frame, read, picture):
        cells = [{"bytes": picture(1), "path": "x.png"}, {"bytes": None, "path": "y.png"}]
        data = frame({"image": cells, "jpg": [picture(2), picture(3)]})
        assert read(data) == [Item("dataframe#0", data=picture(1)), Item("y.png")]
        assert [item.data for item in read(data, image_column="jpg")] == [picture(2), picture(3)]
        # Beside images, paths are their names.
        assert names(read(frame({"image": [picture(2)], "path": ["a.png"]}))) == ["a.png"]
        assert names(open_source([data, frame({"image": [picture(4)]})]).items())[-1] == "dataframe-2#0"

    def test_names_that_repeat(self, frame, read, picture):
        table = frame({"name": ["0.png", "0.png"], "image": [picture(1), picture(2)]})
        with pytest.raises(SourceError, match=r"0\.png comes twice"):
            read(table)
        assert [item.name for item in read(table, path_column="")] == ["dataframe#0", "dataframe#1"]

    def test_what_cannot_be_used_is_an_error(self, frame, tmp_path):
        for data, options, message in [
            ({"a": [1]}, {}, "the data frame dataframe has none of the columns path, image, .*its columns are a"),
            ({"path": ["x"]}, {"reference_column": "b"}, "the data frame dataframe has no column 'b'"),
            ({"path": []}, {}, "There is no image in the data frame"),
            ({"path": [b"x"]}, {"references": tmp_path}, "holds images, not names"),
        ]:
            with pytest.raises(SourceError, match=message):
                open_source(frame(data), **options)
        with pytest.raises(SourceError, match="dataframe#0 holds int, but an image must be a path, the bytes"):
            list(open_source(frame({"path": [1]})).items())


def test_frames_of_images_in_memory(read):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    image = Image.fromarray(GREY)
    frame = pandas.DataFrame({"image": [image, None, float("nan")], "ref": [GREY, GREY, GREY]})
    first, *others = open_source(frame, reference_column="ref").items()
    assert (first.data, first.reference is not None) == (image, True)
    assert [item.problem.partition(":")[0] for item in others] == ["missing", "missing"]


def test_lazy_frames():
    polars = pytest.importorskip("polars", reason="polars is not installed")
    assert names(open_source(polars.LazyFrame({"path": ["a.png"]})).items()) == ["a.png"]
    assert names(open_source(polars.Series(["a.png", "b.png"])).items()) == ["a.png", "b.png"]
