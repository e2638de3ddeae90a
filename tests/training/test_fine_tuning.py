"""From a CSV file of images and scores to weights that work everywhere by path: the walk of the docs, on tiny ones."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from PIL import Image

from topiq_metrics import create_metric
from topiq_metrics.datasets import DatasetError
from topiq_metrics.images import load_image
from topiq_metrics.training.data import QualityData
from topiq_metrics.training.distortions import distort
from topiq_metrics.training.module import QualityModule
from topiq_metrics.training.recipe import fine_tuning_recipe
from topiq_metrics.weights import load_network, read_metadata, resolve
from topiq_metrics.weights.hashes import sha256_of

NAME = "topiq_nr-lite"
TINY = ("data.crop=64", "data.batch_size=16", "data.workers=0", "optimizer.epochs=1")


def tiny(*more: str) -> list[str]:
    return [word for setting in (*TINY, *more) for word in ("--set", setting)]


@pytest.fixture(scope="module")
def ratings(tmp_path_factory, save_picture) -> Path:
    """300 pictures, rated from 1 to 5, the more blurred the lower."""
    root = tmp_path_factory.mktemp("ratings")
    rows = []
    for i in range(300):
        path = save_picture(root / "scans" / f"{i + 1:04}.png", 80, 72, seed=i)
        severity = (i * 7 % 300) / 299
        blurred = distort(load_image(path), "blur", severity, seed=0)
        Image.fromarray((blurred * 255).round().byte().permute(1, 2, 0).numpy()).save(path)
        rows.append((f"scans/{i + 1:04}.png", f"{5 - 4 * severity:.3f}"))
    with (root / "ratings.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("image", "score"), *rows])
    return root / "ratings.csv"


@pytest.fixture(scope="module")
def few(ratings) -> Path:
    """30 of them, the best and the worst as well."""
    header, *rows = ratings.read_text(encoding="utf-8").splitlines(keepends=True)
    rows.sort(key=lambda row: float(row.split(",")[1]))
    path = ratings.with_name("few.csv")
    path.write_text("".join([header, *rows[:290:10], rows[-1]]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def walk(ratings, topiq) -> dict[str, object]:
    """What the commands of the docs' walk give, by the command, in the folder of the ratings."""
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    section = text[text.index("## Fine-tune") : text.index("## Recipes")]
    results = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ratings.parent)
        for line in section.splitlines():
            if line.startswith("$ topiq "):
                command, *arguments = line.split()[2:]
                if command == "export" and not (find_spec("onnx") and find_spec("onnxruntime")):
                    continue
                results[command] = topiq(command, *arguments, *(tiny() if command == "train" else ()))
    return results


@pytest.fixture(scope="module")
def tuned(walk, ratings) -> Path:
    folder = Path("runs") / f"{NAME}-ratings"
    assert walk["train"].exit_code == 0, walk["train"].stderr
    assert walk["train"].stdout.splitlines() == [str(folder / f"{NAME}.safetensors"), str(folder / "report.md")]
    return ratings.parent / folder / f"{NAME}.safetensors"


def test_it_started_from_the_metric(tuned):
    """One epoch moves the scores, but not far."""
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before, after = (load_network(NAME, path)(images) for path in ("default", tuned))
    assert 0 < (before - after).abs().max() < 0.5
    keys = ("backbone.stem.0.weight", "head.6.weight")
    start, end = (load_network(NAME, path).state_dict() for path in ("default", tuned))
    for key in keys:
        assert 0 < (start[key] - end[key]).abs().max() < 0.05


def test_it_is_used_by_path(walk, tuned, ratings):
    image = load_image(ratings.parent / "scans" / "0001.png")[None]
    score = create_metric(NAME, weights=tuned, reduction="none")(image).item()
    assert score == pytest.approx(load_network(NAME, tuned)(image).item(), abs=1e-5)
    assert walk["score"].exit_code == 0, walk["score"].stderr
    assert f"{score:.4f}"[:5] in walk["score"].stdout


def test_it_knows_what_it_is(tuned, ratings):
    card = read_metadata(tuned)
    assert (card["name"], card["config"]["backbone"], card["size"]) == (NAME, "efficientnet_lite0", "max_side=512")
    assert (card["score_range"], card["higher_is_better"]) == ([0, 1], True)
    trained_on = card["trained_on"]
    assert trained_on["dataset"] == "ratings"
    assert trained_on["scores"] == {"low": 1, "high": 5, "higher_is_better": True}
    assert sum(trained_on["images"].values()) == 300
    start = card["fine_tuned_from"]
    assert (start["name"], start["sha256"]) == (NAME, sha256_of(resolve(NAME)))
    assert start["trained_on"]["dataset"] == "BIQ2021"
    assert "Apache-2.0" in card["license"]
    assert card["recipe"]["model"]["weights"] == "default"
    results = card["results"]
    assert results["test_srcc"] > 0.8
    assert results["test_plcc"] > results["test_plcc_before"]
    report = (tuned.parent / "report.md").read_text(encoding="utf-8")
    assert "| SRCC, of the weights that it started from | " in report
    assert "Opinion scores from 1 to 5 are scaled to 0 to 1, higher better." in report


def test_rows_say_what_made_them(tuned, ratings, topiq):
    output = tuned.parent / "rows.jsonl"
    result = topiq("score", ratings.parent / "scans" / "0003.png", "-m", NAME, "--weights", tuned, "-o", output)
    assert result.exit_code == 0, result.stderr
    (beside,) = (path for path in tuned.parent.glob("rows.jsonl*") if path != output)
    about = beside.read_text(encoding="utf-8")
    assert sha256_of(tuned) in about
    assert read_metadata(tuned)["license"] in about


def test_an_exported_file_says_what_it_is(walk, tuned, ratings):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    assert walk["export"].exit_code == 0, walk["export"].stderr
    about = {entry.key: entry.value for entry in onnx.load(ratings.parent / "tuned.onnx").metadata_props}
    assert (about["trained_on"], about["weights_sha256"]) == ("ratings", sha256_of(tuned))
    assert about["license"] == read_metadata(tuned)["license"]


def test_on_from_a_file(tuned, few, tmp_path, topiq):
    arguments = ("-o", tmp_path / "run", "--weights", tuned, "--lower-is-better", *tiny())
    result = topiq("train", NAME, "--data", few, *arguments)
    assert result.exit_code == 0, result.stderr
    card = read_metadata(tmp_path / "run" / f"{NAME}.safetensors")
    assert card["trained_on"]["scores"] == {"low": 1, "high": 5, "higher_is_better": False}
    assert card["fine_tuned_from"]["sha256"] == sha256_of(tuned)
    assert card["fine_tuned_from"]["fine_tuned_from"]["sha256"] == sha256_of(resolve(NAME))


class TestMistakes:
    def test_weights_of_another_network(self, tuned, ratings, tmp_path, topiq):
        result = topiq("train", "topiq_nr", "--data", ratings, "-o", tmp_path / "run", "--weights", tuned)
        assert result.exit_code == 2
        assert "Give the file to the metric that it was trained for." in result.stderr
        assert not (tmp_path / "run").exists()

    def test_weights_that_are_not_there(self, ratings, tmp_path, topiq):
        arguments = ("-o", tmp_path / "run", "--weights", tmp_path / "none.pth")
        result = topiq("train", NAME, "--data", ratings, *arguments)
        assert result.exit_code == 2
        assert "none.pth does not exist" in result.stderr

    def test_unknown_metric(self, ratings, topiq):
        result = topiq("train", "topiq_nr-light", "--data", ratings)
        assert result.exit_code == 2
        assert "'name' in the recipe: There is no metric named 'topiq_nr-light'. Did you mean" in result.stderr

    def test_a_column_that_is_not_there(self, few, tmp_path, topiq):
        table = few.with_name("few.tsv")
        table.write_text(few.read_text(encoding="utf-8").replace(",", "\t"), encoding="utf-8")
        result = topiq("train", NAME, "--data", table, "-o", tmp_path / "run", "--score-column", "mos")
        assert (result.exit_code, "few.tsv has no column 'mos'; its columns are image, score" in result.stderr) == (
            2,
            True,
        )

    def test_file_that_is_not_there(self, tmp_path, topiq):
        result = topiq("train", NAME, "--data", tmp_path / "none.csv", "-o", tmp_path / "run")
        assert result.exit_code == 2
        assert "none.csv" in result.stderr

    def test_precision_that_the_machine_does_not_have(self, ratings, tmp_path, topiq):
        if torch.cuda.is_available():
            pytest.skip("A GPU has it.")
        arguments = ("-o", tmp_path / "run", "--precision", "16-mixed", *tiny())
        result = topiq("train", NAME, "--data", ratings, *arguments)
        assert result.exit_code == 2
        assert "16-mixed" in result.stderr


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_mixed_precision(few, tmp_path, topiq, monkeypatch, precision):
    """Its steps are quicker ones on a CPU, and what is saved scores as what was tested."""
    steps, networks = [], []
    step = QualityModule.training_step

    def watched(self, batch, index):
        networks.append(self.net)
        steps.append(any("_conv_forward" in vars(part) for part in self.net.modules()))
        return step(self, batch, index)

    monkeypatch.setattr(QualityModule, "training_step", watched)
    folder = tmp_path / "run"
    result = topiq("train", NAME, "--data", few, "-o", folder, "--precision", precision, *tiny())
    assert result.exit_code == 0, result.stderr
    on_cpu = networks[0].mean.device.type == "cpu"
    assert steps
    assert set(steps) == {precision == "bf16-mixed" and on_cpu}
    assert not any("_conv_forward" in vars(part) for part in networks[0].modules())
    card = read_metadata(folder / f"{NAME}.safetensors")
    assert card["recipe"]["optimizer"]["precision"] == precision
    with (folder / "test_scores.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == card["results"]["test_images"] > 1
    metric = create_metric(NAME, weights=folder / f"{NAME}.safetensors")
    for row in rows:
        (path,) = few.parent.rglob(Path(row["image"]).name)
        assert metric(load_image(path)[None]).item() == pytest.approx(float(row["score"]), abs=1e-4)


def test_with_references(tmp_path, topiq, save_picture):
    """The table of the test part holds all that scores it again."""
    rows = ["image,reference,score"]
    for i in range(12):
        clean = save_picture(tmp_path / "clean" / f"{i}.png", 72, 80, seed=i)
        for severity in (0.2, 0.5, 0.8):
            blurred = distort(load_image(clean), "blur", severity, seed=0)
            name = f"{i}_{severity}.png"
            Image.fromarray((blurred * 255).round().byte().permute(1, 2, 0).numpy()).save(tmp_path / name)
            rows.append(f"{name},clean/{i}.png,{1 - severity}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    folder = tmp_path / "run"
    result = topiq("train", "topiq_fr-lite", "--data", tmp_path / "pairs.csv", "-o", folder, *tiny())
    assert result.exit_code == 0, result.stderr
    with (folder / "test_scores.csv").open(encoding="utf-8", newline="") as stream:
        tested = list(csv.DictReader(stream))
    assert len(tested) % 3 == 0 < len(tested)
    metric = create_metric("topiq_fr-lite", weights=folder / "topiq_fr-lite.safetensors")
    for row in tested:
        assert row["reference"] == f"clean/{row['image'].split('_')[0]}.png"
        image, reference = (load_image(tmp_path / row[column])[None] for column in ("image", "reference"))
        assert metric(image, reference).item() == pytest.approx(float(row["score"]), abs=1e-4)
        # The scores of the table, scaled to 0 to 1.
        assert float(row["mos"]) == pytest.approx((0.8 - float(row["image"].split("_")[1][:3])) / 0.6, abs=1e-6)


class TestPicturesThatCannotBeScored:
    """They are found before the training, which would be lost at its end."""

    @pytest.fixture
    def table(self, few, tmp_path):
        """A copy of the few pictures with a split: the last one is the test part."""
        header, *rows = few.read_text(encoding="utf-8").split()
        lines = [f"{header},split"]
        for index, row in enumerate(rows):
            name = f"{index:02}.png"
            (tmp_path / name).write_bytes((few.parent / row.split(",")[0]).read_bytes())
            part = "test" if index == len(rows) - 1 else "validation" if index % 5 == 0 else "train"
            lines.append(f"{name},{row.split(',')[1]},{part}")
        path = tmp_path / "table.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    @pytest.fixture
    def refused(self, table, tmp_path, topiq):
        def train(name=NAME):
            result = topiq("train", name, "--data", table, "-o", tmp_path / "run", *tiny())
            assert result.exit_code == 2
            assert not (tmp_path / "run").exists()
            return result.stderr

        return train

    def test_damage(self, table, refused):
        last = max(table.parent.glob("*.png"))
        last.write_bytes(last.read_bytes()[:3000])
        assert f"{last}: the file is truncated or damaged" in (error := refused())
        assert "Mend it, or take its row out" in error

    @pytest.mark.parametrize("index", [0, 1, -1])
    def test_too_small_for_the_metric(self, table, refused, save_picture, index):
        path = sorted(table.parent.glob("*.png"))[index]
        save_picture(path, 24, 28)
        assert f"{path} is too small: the network needs 32 px a side" in refused()

    def test_no_aligned_face(self, table):
        recipe = fine_tuning_recipe("topiq_nr-face", "default", TINY)
        with pytest.raises(DatasetError, match=r"\d\d\.png has .* topiq_nr-face is for aligned faces of 512x512"):
            QualityData(recipe, table)

    @pytest.mark.parametrize("part", ["train", "validation", "test"])
    def test_a_reference_of_another_size(self, table, save_picture, part):
        save_picture(table.parent / "reference.png", 80, 73)
        header, *rows = table.read_text(encoding="utf-8").split()
        lines = [f"{header},reference"]
        for row in rows:
            name, _, split = row.split(",")
            lines.append(f"{row},{'reference.png' if split == part else name}")
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with pytest.raises(DatasetError, match=r"is not of the size of its reference .*reference\.png"):
            QualityData(fine_tuning_recipe("topiq_fr-lite", "default", TINY), table)


@pytest.mark.parametrize("suffix", [".parquet", ".txt"])
def test_a_table_of_another_kind(tmp_path, topiq, suffix):
    path = tmp_path / f"ratings{suffix}"
    path.write_text("image,score\n")
    result = topiq("train", NAME, "--data", path)
    assert result.exit_code == 2
    assert "is neither a folder nor a table of images and scores, which ends in .csv or .tsv" in result.stderr
