from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import SourceError, hugging_face, open_source

datasets = pytest.importorskip("datasets", reason="the extra datasets is not installed")


@pytest.fixture(autouse=True)
def _quiet(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


@pytest.fixture
def make():
    def build(columns: dict, images: tuple[str, ...] = ("photo",)):
        kinds = {name: datasets.Image() if name in images else datasets.Value("string") for name in columns}
        return datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))

    return build


def cells(*images: bytes) -> list[dict]:
    return [{"bytes": image, "path": f"{number}.png"} for number, image in enumerate(images)]


def test_bytes_paths_and_what_is_missing(make, read, picture):
    broken = b"no image, which datasets would fail to decode"
    photos = [*cells(picture(1), broken), {"bytes": None, "path": "/abs/a.png"}, None, *cells(*[picture(2)] * 40)]
    dataset = make({"text": ["x"] * 44, "photo": photos})
    items = read(dataset)
    assert items[:4] == [
        Item("hf:dataset:train#0", data=picture(1)),
        Item("hf:dataset:train#1", data=broken),
        Item("/abs/a.png"),
        Item("hf:dataset:train#3", problem="missing: hf:dataset:train#3 names no image"),
    ]
    assert [item.name for item in items[4:]] == [f"hf:dataset:train#{row}" for row in range(4, 44)]
    assert open_source(dataset).count() == 44


def test_columns(make, read, picture):
    columns = {"photo": cells(picture(1)), "other": cells(picture(2)), "file": ["f.png"]}
    dataset = make(columns, ("photo", "other")).with_format("numpy")
    assert read(dataset, reference_column="other") == [Item("hf:dataset:train#0", picture(2), picture(1))]
    assert read(dataset, image_column="Other")[0].data == picture(2)
    assert read(dataset, image_column="file", root="photos") == [Item("photos/f.png")]
    with pytest.raises(SourceError, match="has no column 'nope'; its columns are photo, other, file"):
        open_source(dataset, image_column="nope")
    with pytest.raises(SourceError, match=r"has no column of images: .* its columns are file"):
        open_source(dataset.select_columns("file"))
    with pytest.raises(SourceError, match="holds images, not names"):
        open_source(dataset, references=__file__)


def test_a_saved_dataset_is_opened_by_its_name(tmp_path, make, read, picture, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train, test = (make({"photo": cells(*(picture(value) for value in values))}) for values in (range(3), range(3, 5)))
    datasets.DatasetDict(train=train, test=test).save_to_disk("many")
    test.save_to_disk("one")
    assert [item.name for item in read("hf:many")] == [f"hf:many:train#{row}" for row in range(3)]
    assert read("hf:many:test") == [Item(f"hf:many:test#{row}", data=picture(3 + row)) for row in range(2)]
    assert read("hf:many", split="test") == read("hf:many:test")
    assert read(["hf:many:test", "hf:many:test"]) == read("hf:many:test")
    assert [item.data for item in read(f"hf:{tmp_path}/one")] == [picture(3), picture(4)]
    assert read(datasets.load_from_disk("many"), split="test")[0].data == picture(3)
    with pytest.raises(SourceError, match="has no split 'nope'; its splits are train, test"):
        open_source("hf:many:nope")
    with pytest.raises(SourceError, match=r"The dataset hf:/no/where:train cannot be opened"):
        open_source("hf:/no/where")


def test_configurations(tmp_path, read, picture):
    root = tmp_path / "several"
    for name in ("small", "large"):
        (root / name).mkdir(parents=True)
        (root / name / "a.png").write_bytes(picture(len(name)))
    configs = "".join(f"- config_name: {name}\n  data_files: {name}/*\n" for name in ("small", "large"))
    (root / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    (item,) = read(f"hf:{root}:small:train")
    assert item.name == str(root / "small" / "a.png")
    for name in (str(root), f"{root}:train"):
        with pytest.raises(SourceError, match=r"available configs: \['small', 'large'\] \(hf:NAME:CONFIG:SPLIT\)$"):
            open_source(f"hf:{name}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b", ("a/b", None, "train")),
        ("a/b:test", ("a/b", None, "test")),
        ("a/b:large:test", ("a/b", "large", "test")),
        (f"c:{os.sep}d", (f"c:{os.sep}d", None, "train")),
        (f"c:{os.sep}d:test", (f"c:{os.sep}d", None, "test")),
    ],
)
def test_names(text, expected):
    assert hugging_face._parse(text, "train") == hugging_face._Named(*expected)


def test_fragments_of_a_saved_dataset_are_small(tmp_path, make, picture):
    import pickle

    make({"photo": cells(*[picture(0, 500)] * 2000)}).save_to_disk(tmp_path / "saved")
    fragments = list(open_source(f"hf:{tmp_path}/saved").fragments())
    assert len(fragments) > 1
    assert all(len(pickle.dumps(fragment)) < 1000 for fragment in fragments)


def test_streams(tmp_path, make, read, picture):
    dataset = make({"photo": cells(picture(1), picture(2)), "ref": cells(picture(3), picture(4))}, ("photo", "ref"))
    expected = [Item(f"hf:dataset:train#{row}", picture(3 + row), picture(1 + row)) for row in range(2)]
    stream = dataset.to_iterable_dataset()
    assert read(stream, reference_column="ref") == expected
    assert open_source(stream).count() is None
    dataset.to_parquet(tmp_path / "data" / "train.parquet")
    named = read(f"hf:{tmp_path}/data", reference_column="ref")
    assert [(item.data, item.reference) for item in named] == [(item.data, item.reference) for item in expected]


def _breaking(data):
    yield {"image": data}
    raise OSError("the line is dead")


def test_a_stream_that_breaks_is_told(picture):
    stream = datasets.IterableDataset.from_generator(_breaking, gen_kwargs={"data": picture()})
    with pytest.raises(SourceError, match="does not tell its columns: name the one of images with image_column"):
        open_source(stream)
    whole, last = open_source(stream, image_column="image").items()
    assert whole.data == picture()
    assert last.name.endswith("#1")
    assert last.problem.startswith("truncated: ")


def test_different_datasets_of_one_name_are_an_error(make, picture):
    one, other = make({"photo": cells(picture(1))}), make({"photo": cells(picture(2))})
    assert len(list(open_source([one, one]).items())) == 1
    with pytest.raises(SourceError, match="Two different sources are called hf:dataset:train: score them in two jobs"):
        open_source([one, other])


def test_an_empty_dataset_is_an_error(make):
    with pytest.raises(SourceError, match="There is no image in the dataset hf:dataset:train"):
        open_source(make({"photo": []}))


def test_nothing_of_it_is_loaded_before_it_is_needed():
    code = """
import json, sys
import topiq_metrics.scoring.sources.remote
from topiq_metrics.scoring.sources import open_source
list(open_source(["a.png"]).items())
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"datasets", "pyarrow", "fsspec", "torch", "numpy", "PIL"} & set(json.loads(run.stdout))


def _pictures(image, array):
    yield {"image": image, "ref": array}


def test_cells_in_memory(picture):
    image = Image.open(io.BytesIO(picture(7)))
    array = np.full((8, 8), 7, np.uint8)
    stream = datasets.IterableDataset.from_generator(_pictures, gen_kwargs={"image": image, "array": array})
    (item,) = open_source(stream, image_column="image", reference_column="ref").items()
    assert item.name.endswith("#0")
    assert (np.asarray(item.data) == array).all()
    assert (np.asarray(item.reference) == array).all()
