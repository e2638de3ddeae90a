"""Pictures ranked by a metric, with its own noise."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from topiq_metrics import explain, load_image, rank_images
from topiq_metrics.comparing import find_pictures, save_comparison
from topiq_metrics.comparing.pictures import short_names
from topiq_metrics.comparing.ranking import Views
from topiq_metrics.errors import ImageError, ImageNotFoundError, ImageTooSmallError
from topiq_metrics.explaining.inputs import Reader
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.loader import open_image
from topiq_metrics.training.distortions import distort


@pytest.fixture
def pictures(tmp_path, save_picture) -> list[Path]:
    """One picture, its copy, and what blur makes of it."""
    original = load_image(save_picture(tmp_path / "original.png", 160, 128, seed=1))
    paths = [tmp_path / "original.png"]
    for name, severity in (("copy", None), ("soft", 0.6), ("blurred", 0.9)):
        image = original if severity is None else distort(original, "blur", severity, seed=0)
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(paths[-1])
    return paths


class Scorer:
    """A network of which the answer is known: the mean of an image, minus that of its reference."""

    size = SizePolicy.parse("native")

    def __init__(self, *arguments, **options):
        pass

    def __call__(self, images, references=None):
        return images.mean().view(1) - (0 if references is None else references.mean().view(1))


def grey(path: Path, level: int, corner: int | None = None) -> Path:
    image = Image.new("RGB", (40, 40), (level,) * 3)
    if corner is not None:
        image.putpixel((0, 0), (corner,) * 3)
    image.save(path)
    return path


@pytest.mark.quick
class TestRanks:
    @pytest.fixture(autouse=True)
    def scorer(self, monkeypatch):
        monkeypatch.setattr("topiq_metrics.comparing.ranking.NetworkPredictor", Scorer)

    def test_best_first(self, tmp_path):
        paths = [grey(tmp_path / f"{level}.png", level) for level in (51, 153, 102)]
        found = rank_images(paths)
        assert [Path(image.path).name for image in found] == ["153.png", "102.png", "51.png"]
        assert [image.place for image in found] == [1, 2, 3]
        assert [image.score for image in found] == pytest.approx([0.6, 0.4, 0.2])
        assert all(image.ties == () for image in found)

    def test_alike_are_tied(self, tmp_path):
        paths = [grey(tmp_path / "a.png", 102), grey(tmp_path / "b.png", 102), grey(tmp_path / "c.png", 51)]
        first, second, third = rank_images(paths)
        assert (first.path, first.ties, first.place) == (str(paths[0]), (str(paths[1]),), 1)
        assert (second.path, second.ties, second.place) == (str(paths[1]), (str(paths[0]),), 1)
        assert (third.place, third.ties) == (3, ())

    def test_less_than_the_noise_is_no_difference(self, tmp_path):
        """A bright corner pixel is lost with its row, which moves the mean by 0.6 / 1600."""
        noisy, near = grey(tmp_path / "noisy.png", 102, corner=255), grey(tmp_path / "near.png", 102, corner=103)
        first, second = rank_images([near, noisy])
        assert first.path == str(noisy)
        assert first.noise == pytest.approx(0.6 / 1600, rel=0.01)
        assert second.noise == pytest.approx(1 / 255 / 1600, abs=1e-6)
        assert first.ties == (str(near),)
        assert second.place == 1

    def test_the_reference_moves_along(self, tmp_path):
        """The same pixel in both makes no noise."""
        paths = [grey(tmp_path / f"{level}.png", level, corner=255) for level in (102, 103)]
        reference = grey(tmp_path / "reference.png", 102, corner=255)
        first, second = rank_images(paths, reference)
        assert [first.score, second.score] == pytest.approx([1599 / 1600 / 255, 0], abs=1e-6)
        assert first.noise < 1e-5
        assert (first.place, second.place) == (1, 2)

    def test_lower_is_better(self, tmp_path):
        paths = [grey(tmp_path / f"{level}.png", level) for level in (51, 153)]
        first, second = rank_images(paths, paths[0], "lpips+")
        assert (first.path, second.path) == (str(paths[0]), str(paths[1]))


class TestMetrics:
    def test_the_bundled_one(self, pictures):
        found = rank_images(pictures)
        assert [Path(image.path).stem for image in found] == ["copy", "original", "soft", "blurred"]
        assert [image.place for image in found] == [1, 1, 3, 4]

    def test_pictures_in_memory(self, pictures, tmp_path):
        """Arrays, tensors, PIL images, bytes and batches are ranked as their files are."""
        wanted = rank_images(pictures[2:], pictures[0])
        pixels = [load_image(path) for path in pictures[2:]]
        arrays = [(image * 255).round().byte().permute(1, 2, 0).numpy() for image in pixels]
        batches = [
            (arrays, load_image(pictures[0])),
            (pixels, np.asarray(Image.open(pictures[0]))),
            (torch.stack(pixels), pictures[0].read_bytes()),
            (np.stack(arrays), str(pictures[0])),
            ([path.read_bytes() for path in pictures[2:]], Image.open(pictures[0])),
            ([Image.fromarray(arrays[0]), pixels[1].requires_grad_()], pictures[0]),
        ]
        for images, reference in batches:
            found = rank_images(images, reference)
            assert [image.path for image in found] == ["images[0]", "images[1]"]
            assert [image.score for image in found] == pytest.approx([image.score for image in wanted], abs=1e-6)
            assert [image.place for image in found] == [image.place for image in wanted]
        mixed = rank_images([pictures[2], arrays[1]], pictures[0])
        assert [image.path for image in mixed] == [str(pictures[2]), "images[1]"]
        paths = save_comparison(mixed, tmp_path / "out", pictures[0], network=True)
        assert {path.parent.name for path in paths[1:]} == {"soft", "images[1]"}

    def test_with_a_file(self, pictures, fr_weights):
        found = rank_images(pictures[1:], pictures[0], "topiq_fr", fr_weights)
        assert len(found) == 3
        assert all(image.noise >= 0 for image in found)

    def test_smallest_pictures(self, tmp_path, save_picture):
        paths = [save_picture(tmp_path / f"{seed}.png", 32, 32, seed=seed) for seed in range(2)]
        assert len(rank_images(paths)) == 2


class TestFolders:
    def test_its_pictures(self, pictures, tmp_path, monkeypatch):
        (tmp_path / "notes.txt").touch()
        names = [str(path) for path in sorted(pictures)]
        assert find_pictures([tmp_path]) == names
        assert find_pictures([f"{tmp_path}/*.png"]) == names
        monkeypatch.chdir(tmp_path)
        assert find_pictures(["."]) == [path.name for path in sorted(pictures)]

    def test_the_reference_is_no_competitor(self, pictures, tmp_path):
        others = [str(path) for path in sorted(pictures[1:])]
        assert find_pictures([tmp_path], pictures[0]) == others
        # Unless it is named.
        assert find_pictures([pictures[0]], pictures[0]) == [str(pictures[0])]

    def test_what_was_drawn_is_no_competitor(self, pictures, tmp_path, save_picture):
        output = tmp_path / "out"
        names = ("comparison.jpg", "comparison-2.jpg", "comparison.png", "a/sheet.png", "a/overlay-gate-level1.png")
        for name in names:
            save_picture(output / name, 64, 48)
        # As if they were somebody's own.
        assert len(find_pictures([tmp_path], output=output)) == len(pictures) + len(names) - 1
        for name in ("comparison.npz", "a/maps.npz"):
            (output / name).touch()
        mine = [str(save_picture(output / name, 64, 48)) for name in ("mine.png", "a/overlay-mine.png")]
        expected = sorted([*map(str, pictures), *mine])
        assert sorted(find_pictures([tmp_path], output=output)) == expected
        assert find_pictures([f"{output}/*.png"], output=output) == mine[:1]
        # Without it they are pictures, as of anybody.
        assert len(find_pictures([tmp_path])) == len(expected) + len(names)

    def test_what_is_below_it(self, pictures, tmp_path, save_picture):
        below = save_picture(tmp_path / "a" / "b.png", 64, 48)
        assert str(below) in find_pictures([tmp_path])

    def test_an_empty_one(self, tmp_path):
        with pytest.raises(ValueError, match="There is no image in the folder"):
            find_pictures([tmp_path])

    @pytest.mark.parametrize("name", ["none.png", "none", "none/none.png"])
    def test_a_name_of_nothing(self, name, pictures):
        with pytest.raises(ImageNotFoundError, match=f"^{name}: there is no such file or folder"):
            find_pictures([pictures[0], name])

    def test_a_url_is_left_to_who_reads_it(self):
        assert find_pictures(["https://a.org/b.png"]) == ["https://a.org/b.png"]


class TestMistakes:
    def test_a_folder_of_references(self, pictures, tmp_path, monkeypatch):
        monkeypatch.delattr("topiq_metrics.comparing.ranking.NetworkPredictor")
        for reference in (tmp_path, str(tmp_path)):
            with pytest.raises(ImageError, match="is a folder, but compare takes one reference picture"):
                rank_images(pictures, reference)
        with pytest.raises(ImageError, match=r"none\.png: there is no such file"):
            rank_images(pictures, tmp_path / "none.png")

    @pytest.mark.parametrize("module", ["pandas", "polars"])
    def test_a_data_frame(self, module, pictures):
        frame = pytest.importorskip(module).DataFrame({"path": [str(path) for path in pictures[:2]]})
        with pytest.raises(ValueError, match=r"but got a data frame: pass a column .*`list\(frame\['path'\]\)`"):
            rank_images(frame)
        assert len(rank_images(list(frame["path"]))) == 2

    def test_a_mapping(self, pictures):
        with pytest.raises(ValueError, match=r"but got dict: pass `list\(images\.values\(\)\)`"):
            rank_images({"a": pictures[0], "b": pictures[1]})

    def test_one_picture(self, pictures):
        with pytest.raises(ValueError, match="needs two images or more, but got 1"):
            rank_images(pictures[:1])

    def test_the_same_twice(self, pictures):
        with pytest.raises(ValueError, match=r"original\.png is named twice"):
            rank_images([pictures[0], *pictures[:2]])

    def test_a_metric_without_its_reference(self, pictures):
        with pytest.raises(ValueError, match="'topiq_fr' is a full-reference metric: name the reference"):
            rank_images(pictures, metric="topiq_fr")

    def test_a_reference_for_a_metric_without(self, pictures):
        with pytest.raises(ValueError, match="'topiq_nr' scores an image by itself: leave out the reference"):
            rank_images(pictures[1:], pictures[0], "topiq_nr")

    def test_another_size(self, pictures, tmp_path, save_picture, fr_weights):
        other = save_picture(tmp_path / "other.png", 100, 128)
        with pytest.raises(ImageError, match=r"other\.png has 100 x 128 pixels, but the reference .* has 160 x 128"):
            rank_images([pictures[1], other], pictures[0], "topiq_fr", fr_weights)

    def test_too_small(self, pictures, tmp_path, save_picture):
        small = save_picture(tmp_path / "small.png", 31, 40)
        with pytest.raises(ImageTooSmallError, match=r"small\.png is too small"):
            rank_images([pictures[0], small])

    def test_faces(self, pictures):
        with pytest.raises(ValueError, match="'topiq_nr-face' scores the faces that it finds"):
            rank_images(pictures, metric="topiq_nr-face")

    def test_a_name_instead_of_a_list(self):
        with pytest.raises(ValueError, match=r"must be a list of pictures, but got 'a\.png'"):
            rank_images("a.png")

    @pytest.mark.parametrize(
        ("images", "got"),
        [
            (np.zeros((40, 40, 3), np.uint8), r"one of \(40, 40, 3\)"),
            (torch.zeros(3, 40, 40), r"one of \(3, 40, 40\)"),
            (Image.new("RGB", (40, 40)), "Image"),
            (b"GIF89a", "bytes"),
            (3, "int"),
        ],
    )
    def test_one_picture_that_is_no_list(self, images, got):
        with pytest.raises(ValueError, match=f"must be a list of pictures, but got {got}"):
            rank_images(images)

    def test_an_array_that_is_no_picture(self):
        with pytest.raises(ImageError, match=r"images\[1\]: Argument `source` must be an array of shape"):
            rank_images([np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40, 2), np.uint8)])

    def test_no_name_of_a_metric(self, pictures):
        with pytest.raises(ValueError, match="There is no metric named ''"):
            rank_images(pictures, metric="")

    def test_no_score(self, pictures, monkeypatch):
        monkeypatch.setattr("topiq_metrics.comparing.ranking.NetworkPredictor", Scorer)
        monkeypatch.setattr(Scorer, "__call__", lambda *_: torch.full((1,), torch.nan))
        with pytest.raises(ImageError, match=r"original\.png has no score: the network gives nan"):
            rank_images(pictures)

    def test_no_picture(self, pictures, tmp_path):
        with pytest.raises(ImageError, match="none"):
            rank_images([pictures[0], tmp_path / "none.png"])


class TestShortNames:
    def test_as_seen_from_what_they_share(self):
        assert short_names(["/a/b/c.png", "/a/b/d/c.png"]) == ["c.png", str(Path("d/c.png"))]
        assert short_names(["x/1.png", "x/2.png"]) == ["1.png", "2.png"]

    def test_as_they_are(self):
        for names in (["1.png", "x/1.png"], ["/a/1.png", "x/1.png"], ["images[0]", "images[1]"]):
            assert short_names(names) == names
        urls = ["https://a.org/x/1.png", "https://a.org/x/2.png"]
        assert short_names(urls) == urls


class TestSaved:
    def test_all_on_a_page(self, pictures, tmp_path):
        done = []
        ranked = rank_images(pictures[1:], pictures[0], progress=lambda: done.append(1))
        paths = save_comparison(ranked, tmp_path / "out", pictures[0], progress=lambda: done.append(1))
        assert len(done) == 6
        assert paths == [tmp_path / "out" / "comparison.jpg", tmp_path / "out" / "comparison.npz"]
        with np.load(paths[1]) as arrays:
            assert list(arrays["names"]) == ["copy.png", "soft.png", "blurred.png"]
            assert list(arrays["scores"]) == pytest.approx([image.score for image in ranked], abs=1e-4)
            means = [arrays[f"map-{index}"].mean() for index in (1, 2, 3)]
        assert means[0] == 1 > means[1] > means[2]

    def test_pages(self, pictures, tmp_path, monkeypatch):
        monkeypatch.setattr("topiq_metrics.comparing.outputs.COLUMNS", 2)
        ranked = rank_images(pictures[1:])
        (tmp_path / "comparison-3.jpg").touch()
        paths = save_comparison(ranked, tmp_path, overwrite=True)
        assert [path.name for path in paths] == ["comparison.jpg", "comparison-2.jpg", "comparison.npz"]
        assert not (tmp_path / "comparison-3.jpg").exists()

    def test_files_of_others_stay(self, pictures, tmp_path):
        ranked = rank_images(pictures[1:])
        (tmp_path / "comparison-of-mine.jpg").write_text("mine")
        save_comparison(ranked, tmp_path)
        save_comparison(ranked, tmp_path, overwrite=True)
        assert (tmp_path / "comparison-of-mine.jpg").read_text() == "mine"

    def test_a_further_page_is_in_the_way(self, pictures, tmp_path):
        (tmp_path / "comparison-2.jpg").write_text("earlier")
        with pytest.raises(FileExistsError, match=r"comparison-2\.jpg already exists"):
            save_comparison(rank_images(pictures[1:]), tmp_path)
        assert (tmp_path / "comparison-2.jpg").read_text() == "earlier"

    def test_pictures_of_several_sizes(self, pictures, tmp_path, save_picture):
        other = save_picture(tmp_path / "again" / "other.png", 64, 64)
        assert len(save_comparison(rank_images([other, pictures[1]]), tmp_path / "out")) == 2

    def test_not_all_pictures_are_in_memory(self, pictures, tmp_path, monkeypatch):
        ranked = rank_images(pictures[1:], pictures[0])
        opened, alive = [], []
        read = Reader.open

        def watched(*args):
            image = read(*args)
            opened.append(weakref.ref(image))
            alive.append(sum(each() is not None for each in opened))
            return image

        monkeypatch.setattr(Reader, "open", watched)
        save_comparison(ranked, tmp_path / "out", pictures[0])
        # Each is read twice, to be mapped and to be drawn.
        assert len(opened) == 8
        assert max(alive) == 1

    def test_nothing_to_compare(self, tmp_path):
        with pytest.raises(ValueError, match="Argument `ranked` must be the result of `rank_images`, but is empty"):
            save_comparison([], tmp_path / "out")

    def test_a_picture_that_is_changed_meanwhile(self, pictures, tmp_path):
        ranked = rank_images(pictures[1:])

        def change() -> None:
            Image.new("RGB", (64, 64)).save(pictures[1])

        with pytest.raises(ImageError, match=r"copy\.png was changed while it was compared: it had 160x128 pixels"):
            save_comparison(ranked, tmp_path / "out", progress=change)
        assert not (tmp_path / "out").exists()

    def test_the_network(self, pictures, tmp_path):
        ranked = rank_images(pictures[1:])
        paths = save_comparison(ranked, tmp_path / "out", network=True)
        assert paths[0] == tmp_path / "out" / "comparison.png"
        assert {path.parent.name for path in paths[1:]} == {"copy", "soft", "blurred"}
        assert all(path.is_file() for path in paths)
        with Image.open(paths[0]) as comparison, Image.open(tmp_path / "out" / "copy" / "sheet.png") as sheet:
            assert comparison.width == sheet.width
            assert comparison.height == 3 * (sheet.height + 40)
            assert torch.equal(pixels(comparison)[40 : 40 + sheet.height], pixels(sheet))

    def test_names_that_are_the_same(self, pictures, tmp_path, save_picture):
        other = save_picture(tmp_path / "again" / "copy.png", 64, 64)
        paths = save_comparison(rank_images([other, pictures[1]]), tmp_path / "out", network=True)
        assert {path.parent.name for path in paths[1:]} == {"copy", "copy-2"}

    def test_other_arguments_than_before(self, pictures, tmp_path):
        ranked = rank_images(pictures[2:], pictures[0])
        with pytest.raises(ValueError, match=r"was ranked by a score of .* give the reference"):
            save_comparison(ranked, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_an_explanation_is_in_the_way(self, pictures, tmp_path):
        ranked = rank_images(pictures[2:])
        explain(pictures[2]).save(folder := tmp_path / "soft")
        with pytest.raises(FileExistsError, match="already exists"):
            save_comparison(ranked, tmp_path, network=True)
        assert not (tmp_path / "comparison.png").exists()
        assert folder.is_dir()

    @pytest.mark.parametrize(("network", "name"), [(False, "comparison.jpg"), (True, "comparison.png")])
    def test_an_earlier_one_is_kept(self, network, name, pictures, tmp_path):
        ranked = rank_images(pictures[2:])
        save_comparison(ranked, tmp_path / "out", network=network)
        before = (tmp_path / "out" / name).read_bytes()
        with pytest.raises(FileExistsError, match=rf"{name} already exists"):
            save_comparison(ranked[::-1], tmp_path / "out", network=network)
        assert (tmp_path / "out" / name).read_bytes() == before
        save_comparison(ranked[::-1], tmp_path / "out", network=network, overwrite=True)
        assert (tmp_path / "out" / name).read_bytes() != before


def pixels(image: Image.Image) -> torch.Tensor:
    return (load_image(image) * 255).permute(1, 2, 0)


class TestViews:
    def test_what_is_not_resized_is_there_once(self) -> None:
        whole, first, last = Views.of(open_image(torch.rand(3, 60, 70)), SizePolicy()).sized
        assert (first.shape, last.shape) == ((1, 3, 59, 69), (1, 3, 59, 69))
        assert {x.untyped_storage().data_ptr() for x in (first, last)} == {whole.untyped_storage().data_ptr()}

    @pytest.mark.parametrize("policy", ["native", "max_side=70", "max_side=50", "short_side=60", "short_side=100"])
    def test_each_is_what_the_policy_makes_of_it(self, policy: str) -> None:
        image, rule = torch.rand(3, 60, 70), SizePolicy.parse(policy)
        parts = image, image[:, 1:, 1:], image[:, :-1, :-1]
        for found, part in zip(Views.of(open_image(image), rule).sized, parts, strict=True):
            torch.testing.assert_close(found, rule.apply(part[None]), atol=2e-6, rtol=0)

    def test_grey_equals_itself_in_colour(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).integers(0, 256, (420, 611), dtype=np.uint8)
        names = [tmp_path / f"{name}.png" for name in ("grey", "colour", "reference")]
        Image.fromarray(values).save(names[0])
        for name in names[1:]:
            Image.fromarray(values).convert("RGB").save(name)
        first, second = rank_images(names[:2], names[2])
        assert (first.score, second.score, second.place) == (1, 1, 1)

    def test_a_reference_that_a_policy_would_blow_up(self) -> None:
        pictures, reference = [torch.rand(3, 64, 64) for _ in range(2)], torch.rand(3, 1, 200_000)
        with pytest.raises(ImageError, match="64 x 64 pixels, but the reference"):
            rank_images(pictures, reference, size="short_side=512")
