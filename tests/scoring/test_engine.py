from __future__ import annotations

import itertools
import pickle
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from topiq_metrics.errors import ImageTooLargeError
from topiq_metrics.images import SizePolicy, load_image
from topiq_metrics.images.color import Pixels
from topiq_metrics.inference import NetworkPredictor
from topiq_metrics.scoring import Item, batching, decoders, engine, prefetching, score_items
from topiq_metrics.scoring.budget import PixelBudget
from topiq_metrics.scoring.decoded import fit
from topiq_metrics.scoring.engine import Engine
from topiq_metrics.scoring.preparation import in_plain_words, is_memory_error, reason_for
from topiq_metrics.scoring.sources import open_source
from topiq_metrics.weights import load_network


def grey(path: Path, level: int, width: int = 40, height: int = 40) -> Item:
    Image.new("RGB", (width, height), (level, level, level)).save(path)
    return Item(path)


def score_one(path: Path, predictor, reference: Path | None = None):
    (row,) = score_items([Item(path, reference)], [predictor])
    return row


class TestRows:
    def test_one_for_each_item_in_their_order(self, tmp_path, fake):
        sizes = itertools.cycle([(40, 40), (64, 48), (40, 40), (33, 70)])
        items = [grey(tmp_path / f"{i:02}.png", 5 * i, *size) for i, size in zip(range(45), sizes, strict=False)]
        items.insert(7, Item(tmp_path / "missing.png"))
        items.append(items[3])
        rows = list(score_items(items, [fake()]))
        assert [row.path for row in rows] == [str(item.path) for item in items]
        for item, row in zip(items, rows, strict=True):
            if item.path.name == "missing.png":
                assert (row.status, row.scores) == ("error", {"topiq_nr-lite": None})
            else:
                assert row.scores["topiq_nr-lite"] == pytest.approx(5 * int(item.path.stem) / 255)
                assert (row.status, row.error) == ("ok", "")

    def test_width_and_height_are_those_of_the_upright_image(self, tmp_path, fake):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (90, 40)).save(tmp_path / "a.jpg", exif=exif)
        row = score_one(tmp_path / "a.jpg", fake(size="max_side=64"))
        assert (row.width, row.height, row.size) == (40, 90, "max_side=64")

    def test_no_items_no_rows(self, fake):
        assert list(score_items([], [fake()])) == []

    @pytest.mark.parametrize("count", [0, 2])
    def test_predictors_must_be_one_for_each_metric(self, count, fake):
        with pytest.raises(ValueError, match="Argument `predictors` must hold one for each metric, at least one"):
            score_items([], [fake() for _ in range(count)])

    def test_an_error_of_the_caller_is_passed_on(self, tmp_path, fake):
        def items():
            yield grey(tmp_path / "a.png", 1)
            raise LookupError("the list ends here")

        with pytest.raises(LookupError, match="the list ends here"):
            list(score_items(items(), [fake()]))


class TestBatches:
    def test_images_of_one_size_share_batches(self, tmp_path, fake):
        items = [grey(tmp_path / f"{i}.png", i, 40 + 8 * (i % 2)) for i in range(20)]
        predictor = fake()
        list(score_items(items, [predictor]))
        assert sorted(predictor.batches) == [(2, 3, 40, 40), (2, 3, 40, 48), (8, 3, 40, 40), (8, 3, 40, 48)]

    def test_large_images_come_in_small_batches(self, tmp_path, fake, monkeypatch):
        monkeypatch.setattr(batching, "_BATCH_PIXELS", 3 * 64 * 64)
        items = [grey(tmp_path / f"{i}.png", i, 64, 64) for i in range(7)] + [grey(tmp_path / "b.png", 1, 300, 300)]
        predictor = fake()
        list(score_items(items, [predictor]))
        assert sorted(shape[0] for shape in predictor.batches) == [1, 1, 3, 3]

    def test_size_policy_comes_first(self, tmp_path, fake):
        items = [grey(tmp_path / f"{i}.png", i, 40 + i, 50) for i in range(4)]
        predictor = fake(size="square=32")
        list(score_items(items, [predictor]))
        assert predictor.batches == [(4, 3, 32, 32)]

    @pytest.mark.parametrize("size", ["native", "max_side=56"])
    def test_score_is_that_of_the_image_alone(self, size, tmp_path, lite_weights, save_picture):
        paths = [save_picture(tmp_path / f"{i}.png", 64 + 16 * (i % 2), 64, seed=i) for i in range(11)]
        predictor = NetworkPredictor("topiq_nr-lite", lite_weights, size=size, device="cpu")
        rows = list(score_items(open_source(tmp_path).items(), [predictor]))
        scores = {row.path: row.scores["topiq_nr-lite"] for row in rows}
        net = load_network("topiq_nr-lite", lite_weights)
        with torch.inference_mode():
            alone = {str(path): net(predictor.size.apply(load_image(path)[None])).item() for path in paths}
        assert max(alone.values()) - min(alone.values()) > 0.01
        for path, score in alone.items():
            assert scores[path] == pytest.approx(score, abs=1e-6 * max(1, abs(score)))

    def test_full_reference_score_is_that_of_the_pair_alone(self, tmp_path, fr_weights, save_picture):
        for i in range(3):
            save_picture(tmp_path / "images" / f"{i}.png", 64, 64, seed=i)
            save_picture(tmp_path / "references" / f"{i}.png", 64, 64, seed=i + 10)
        predictor = NetworkPredictor("topiq_fr", fr_weights, device="cpu")
        items = list(open_source(tmp_path / "images", references=tmp_path / "references").items())
        rows = list(score_items(items, [predictor]))
        net = load_network("topiq_fr", fr_weights)
        for item, row in zip(items, rows, strict=True):
            with torch.inference_mode():
                alone = net(load_image(item.path)[None], load_image(item.reference)[None]).item()
                swapped = net(load_image(item.reference)[None], load_image(item.path)[None]).item()
            assert row.scores["topiq_fr"] == pytest.approx(alone, abs=1e-6 * max(1, abs(alone)))
            assert abs(alone - swapped) > 1e-4


def _empty(path: Path) -> None:
    path.touch()


def _truncated(path: Path) -> None:
    Image.effect_noise((40, 40), 50).save(path, "JPEG", quality=95)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 300])


def _text(path: Path) -> None:
    path.write_text("This is not the image that you are looking for.")


def _twelve_bits(path: Path) -> None:
    Image.new("RGB", (40, 40)).save(path, "JPEG")
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xc0") + 4] = 12
    path.write_bytes(data)


def _camera_raw(path: Path) -> None:
    Image.new("RGB", (40, 40)).save(path, "TIFF", tiffinfo={254: 1, 50706: b"\1\4\0\0"})


def _sized(width: int, height: int):
    return lambda path: Image.new("RGB", (width, height)).save(path, "PNG")


BAD = {
    "missing": (lambda path: None, "missing: ", None),
    "empty": (_empty, "truncated: ", None),
    "truncated": (_truncated, "truncated: ", None),
    "text": (_text, "not-an-image: ", None),
    "unread": (_twelve_bits, "unsupported: ", None),
    "raw": (_camera_raw, "camera-raw: ", None),
    "folder": (Path.mkdir, "unreadable: ", None),
    "small": (_sized(20, 20), "too-small: the network needs 32 px a side, but 20x20 is 20x20", (20, 20)),
    "pixel": (_sized(1, 1), "too-small: ", (1, 1)),
    "line": (_sized(30000, 1), "too-small: ", (30000, 1)),
}


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("refused [Connect call failed ('127.0.0.1', 9)]", "refused [Connect call failed 127.0.0.1:9]"),
        ("a side below 32, but got shape (1, 3, 20, 64)", "a side below 32, but got shape 1x3x20x64"),
        ("OSError: ('broken', None)", "OSError: broken, None"),
        ("KeyError: ('II', (3,), (16, 16))", "KeyError: II, 3, 16x16"),
        ("http://a/b.png: (500, message='No', url='http://a/b.png')", "http://a/b.png: (500, message='No')"),
        ("http://a/b.png: [Errno 2] none: 'http://a/b.png'", "http://a/b.png: none"),
        ("as it is (357 bytes not processed) (AVIF, BMP)", "as it is (357 bytes not processed) (AVIF, BMP)"),
    ],
)
def test_plain_words(text, plain):
    assert in_plain_words(text, "http://a/b.png") == plain


def test_advice_is_for_callers():
    error = ImageTooLargeError("a.png: too large", "; raise `max_pixels`.")
    assert str(pickle.loads(pickle.dumps(error))) == "a.png: too large; raise `max_pixels`."
    assert reason_for(error) == "too-large: a.png: too large"


class TestBadFiles:
    @pytest.mark.parametrize("kind", BAD)
    @pytest.mark.parametrize("size", ["native", "max_side=512"])
    def test_row_with_the_reason(self, kind, size, tmp_path, fake):
        make, reason, pixels = BAD[kind]
        make(tmp_path / "a.jpg")
        row = score_one(tmp_path / "a.jpg", fake(size=size))
        assert row.status == "error"
        assert row.error.startswith(reason)
        assert row.scores == {"topiq_nr-lite": None}
        assert (row.width, row.height) == (pixels or (None, None))

    @pytest.mark.parametrize("kind", BAD)
    def test_reasons_are_for_people(self, kind, tmp_path, fake):
        path = tmp_path / "a.jpg"
        BAD[kind][0](path)
        error = score_one(path, fake()).error
        assert error.count(str(path)) <= 1
        assert not re.search(r"\[Errno|max_pixels|MAX_IMAGE_PIXELS|PIL image|\(\d+, \d+|\('", error)

    def test_a_name_that_is_too_long(self, tmp_path, fake):
        path = tmp_path / ("long" * 100)
        error = score_one(path, fake()).error
        assert error == f"unreadable: '{path}': cannot be opened (File name too long)"

    def test_the_job_goes_on(self, tmp_path, fake):
        items = []
        for kind, (make, _, _) in BAD.items():
            make(tmp_path / f"{kind}.jpg")
            items += [Item(tmp_path / f"{kind}.jpg"), grey(tmp_path / f"after-{kind}.png", 51)]
        rows = list(score_items(items, [fake()]))
        assert [row.status for row in rows] == ["error", "ok"] * len(BAD)
        assert [row.scores["topiq_nr-lite"] for row in rows[1::2]] == [pytest.approx(0.2)] * len(BAD)

    def test_no_permission_to_read(self, tmp_path, fake, monkeypatch):
        item = grey(tmp_path / "a.png", 1)

        def refuse(self, *args, **kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        row = score_one(item.path, fake())
        assert row.error.startswith("unreadable: ")
        assert "permission" in row.error

    def test_a_policy_must_not_enlarge_without_limit(self, tmp_path, fake):
        _sized(40000, 32)(tmp_path / "a.png")
        row = score_one(tmp_path / "a.png", fake(size="short_side=8192"))
        assert row.error.startswith("too-large: 40000x32 is 10240000x8192 under the size policy short_side=8192")

    def test_enlarging_does_not_make_an_image_fit(self, tmp_path, fake):
        _sized(300, 20)(tmp_path / "a.png")
        assert score_one(tmp_path / "a.png", fake(size="square=384")).error.startswith("too-small: ")


class TestMemoryThatDoesNotSuffice:
    """Images are 40 px high and 40, 48 or 56 px wide; there is no memory for those of 48."""

    @pytest.fixture
    def items(self, tmp_path) -> list[Item]:
        return [grey(tmp_path / f"{i}.png", 51, 40 + 8 * i) for i in range(3)]

    @staticmethod
    def network(images, references):
        if images.shape[-1] == 48:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes\nC++ stack")
        return images.mean(dim=(1, 2, 3))

    def test_is_an_error(self, items, fake):
        rows = list(score_items(items, [fake(function=self.network)]))
        assert [row.status for row in rows] == ["ok", "error", "ok"]
        assert rows[1].error.startswith("out-of-memory: RuntimeError: DefaultCPUAllocator: can't allocate memory")
        assert (rows[1].width, rows[1].height, rows[1].size) == (48, 40, "native")

    def test_is_scored_at_the_size_that_was_allowed(self, items, fake):
        predictor = fake(function=self.network)
        rows = list(score_items(items, [predictor], fallback="square=32"))
        assert [(row.status, row.size, row.error) for row in rows] == [
            ("ok", "native", ""),
            ("ok", "square=32", ""),
            ("ok", "native", ""),
        ]
        assert predictor.batches == [(1, 3, 40, 40), (1, 3, 40, 48), (1, 3, 40, 56), (1, 3, 40, 48), (1, 3, 32, 32)]
        # A second time, it is to be sparing.
        assert predictor.spared == [False, False, False, True, True]

    def test_only_for_the_metric_that_needs_it(self, items, fake):
        (row,) = score_items(items[1:2], [fake(function=self.network), fake("topiq_nr")], fallback="square=32")
        assert (row.status, row.size) == ("ok", "topiq_nr-lite:square=32;topiq_nr:native")

    def test_neither_size(self, items, fake):
        def network(images, references):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        (row,) = score_items(items[:1], [fake(function=network)], fallback="square=32")
        assert (row.status, row.size) == ("error", "native")
        assert row.error.startswith("out-of-memory: OutOfMemoryError: CUDA out of memory.")

    def test_in_decoding(self, items, fake, monkeypatch):
        apply, calls = SizePolicy.apply, []

        def fail_once(self, image):
            if image.shape[-1] == 48 and not calls:
                calls.append(1)
                raise RuntimeError("can't allocate memory: you tried to allocate 99 bytes")
            return apply(self, image)

        monkeypatch.setattr(SizePolicy, "apply", fail_once)
        rows = list(score_items(items, [fake()]))
        assert calls
        assert {row.status for row in rows} == {"ok"}
        assert [row.width for row in rows] == [40, 48, 56]

    @pytest.mark.parametrize(
        ("message", "memory"),
        [
            ("CUDA error: an illegal memory access was encountered", False),
            ("mat1 and mat2 shapes cannot be multiplied", False),
            ("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried", True),
            ("DefaultCPUAllocator: can't allocate memory", True),
            ("could not create a memory object", True),
            ("MPS backend out of memory", True),
        ],
    )
    def test_torchs_words_for_it(self, message, memory):
        assert is_memory_error(RuntimeError(message)) is memory


class TestOddFiles:
    def test_first_frame_of_an_animation(self, tmp_path, fake):
        frames = [Image.new("RGB", (40, 40), (level, level, level)) for level in (51, 255)]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        assert score_one(tmp_path / "a.gif", fake()).scores["topiq_nr-lite"] == pytest.approx(0.2)

    def test_extension_that_lies(self, tmp_path, fake):
        Image.new("RGB", (40, 40), (51, 51, 51)).save(tmp_path / "a.jpg", "PNG")
        assert score_one(tmp_path / "a.jpg", fake()).scores["topiq_nr-lite"] == pytest.approx(0.2)

    @pytest.mark.parametrize(("mode", "color"), [("L", 51), ("RGBA", (51, 51, 51, 255)), ("P", 51), ("I;16", 13107)])
    def test_other_modes(self, mode, color, tmp_path, fake):
        image = Image.new("L", (40, 40), 51).convert("P") if mode == "P" else Image.new(mode, (40, 40), color)
        image.save(tmp_path / "a.png")
        assert score_one(tmp_path / "a.png", fake()).scores["topiq_nr-lite"] == pytest.approx(0.2)


class TestEngine:
    def test_serves_one_call_after_the_other(self, tmp_path, fake):
        item = grey(tmp_path / "a.png", 51)
        with Engine([fake()]) as served:
            assert [len(list(served.rows([item] * count))) for count in (3, 0, 50)] == [3, 0, 50]

    def test_refuses_a_second_call_meanwhile(self, tmp_path, fake):
        item = grey(tmp_path / "a.png", 51)
        with Engine([fake()]) as served:
            first = served.rows([item] * 3)
            next(first)
            with pytest.raises(RuntimeError, match="finish iterating over their rows first"):
                next(served.rows([item]))
            assert len(list(first)) == 2

    @pytest.mark.parametrize("workers", [0, 2])
    def test_closing_in_the_middle_invents_no_errors(self, workers, tmp_path, fake):
        items = [grey(tmp_path / f"{i}.png", 51, 300, 300) for i in range(60)]
        served, rows = Engine([fake()], workers=workers), []
        with pytest.raises(RuntimeError, match="The job has ended"):  # noqa: PT012
            for row in served.rows(items):
                rows.append(row)
                served.close()
        assert {row.status for row in rows} == {"ok"}
        with pytest.raises(RuntimeError, match="The job has ended"):
            next(served.rows(items))

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_script_that_leaves_it_open_ends(self, workers, tmp_path):
        Image.new("RGB", (300, 300)).save(tmp_path / "a.png")
        script = f"""
import torch
from topiq_metrics.catalog import get_card
from topiq_metrics.images import SizePolicy
from topiq_metrics.scoring import Item, prefetching, score_items

class Predictor:
    card, size, max_batch = get_card("topiq_nr-lite"), SizePolicy(), 1
    def __call__(self, images, references=None):
        return images.mean(dim=(1, 2, 3))

prefetching._BUDGET_PIXELS = 100_000
rows = score_items([Item({str(tmp_path / "a.png")!r})] * 50, [Predictor()], workers={workers})
print(next(rows).status, flush=True)
raise SystemExit("a mistake of the user")
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (1, "ok\n")
        assert "a mistake of the user" in done.stderr

    def test_a_device_that_is_lost_ends_the_job(self, tmp_path, fake):
        def function(images, references):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        with pytest.raises(RuntimeError, match="illegal memory access"):
            list(score_items([grey(tmp_path / "a.png", 51)], [fake(function=function)]))


class TestReferences:
    @pytest.fixture
    def image(self, tmp_path) -> Path:
        return grey(tmp_path / "image.png", 51).path

    def both(self, image: Path, reference: Path | None, fake):
        (row,) = score_items([Item(image, reference)], [fake(), fake("topiq_fr")])
        return row

    def test_pair(self, image, tmp_path, fake):
        row = self.both(image, grey(tmp_path / "reference.png", 255).path, fake)
        assert row.scores == {"topiq_nr-lite": pytest.approx(0.2), "topiq_fr": pytest.approx(0.8)}
        assert (row.status, row.error) == ("ok", "")

    def test_without_a_reference_the_row_is_partial(self, image, fake):
        row = self.both(image, None, fake)
        assert row.scores == {"topiq_nr-lite": pytest.approx(0.2), "topiq_fr": None}
        assert row.status == "partial"
        assert row.error == "topiq_fr: no-reference: the source names none"

    def test_full_reference_alone_without_a_reference_is_an_error(self, image, fake):
        row = score_one(image, fake("topiq_fr"))
        assert (row.status, row.scores) == ("error", {"topiq_fr": None})
        assert row.error.startswith("no-reference: ")
        assert (row.width, row.height) == (40, 40)

    def test_other_size(self, image, tmp_path, fake):
        row = self.both(image, grey(tmp_path / "reference.png", 255, 40, 41).path, fake)
        assert row.status == "partial"
        assert "topiq_fr: size-mismatch: the image has 40x40, its reference" in row.error
        assert row.error.endswith("reference.png 40x41")

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            ("missing", "reference-missing: "),
            ("truncated", "reference-truncated: "),
            ("text", "reference-not-an-image"),
        ],
    )
    def test_bad_reference(self, kind, reason, image, tmp_path, fake):
        BAD[kind][0](tmp_path / "reference.png")
        row = self.both(image, tmp_path / "reference.png", fake)
        assert row.status == "partial"
        assert row.error.startswith(f"topiq_fr: {reason}")

    def test_bad_image_has_its_reason_once(self, tmp_path, fake):
        row = self.both(tmp_path / "missing.png", None, fake)
        assert row.status == "error"
        assert row.error.count("missing:") == 1

    def test_two_policies_are_both_in_the_row(self, image, tmp_path, fake):
        (row,) = score_items([Item(image)], [fake(size="max_side=32"), fake("topiq_nr", "native")])
        assert row.size == "topiq_nr-lite:max_side=32;topiq_nr:native"

    def test_one_policy_is_there_once(self, image, tmp_path, fake):
        (row,) = score_items([Item(image)], [fake(size="native"), fake("topiq_nr", "native")])
        assert row.size == "native"

    def test_a_side_may_be_too_short_for_one_policy_only(self, tmp_path, fake):
        item = grey(tmp_path / "a.png", 51, 200, 40)
        (row,) = score_items([item], [fake(size="native"), fake("topiq_nr", "max_side=40")])
        assert row.status == "partial"
        assert row.error.startswith("topiq_nr: too-small: the network needs 32 px a side, but 200x40 is 100x20 under")


class TestNetworkFailures:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_output_that_is_no_number(self, value, tmp_path, fake):
        items = [grey(tmp_path / f"{i}.png", 51 * i) for i in range(3)]

        def function(images, references):
            scores = images.mean(dim=(1, 2, 3))
            return torch.where((scores - 0.2).abs() < 0.01, value, scores)

        rows = list(score_items(items, [fake(function=function)]))
        assert [row.status for row in rows] == ["ok", "error", "ok"]
        assert rows[1].error == f"not-finite: the network's output is {value}"
        assert rows[1].scores == {"topiq_nr-lite": None}

    def test_a_batch_that_fails_is_scored_one_by_one(self, tmp_path, fake):
        items = [grey(tmp_path / f"{i}.png", 51 * i) for i in range(3)]

        def function(images, references):
            if len(images) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return images.mean(dim=(1, 2, 3))

        rows = list(score_items(items, [fake(function=function)]))
        assert [row.scores["topiq_nr-lite"] for row in rows] == [pytest.approx(0.2 * i, abs=1e-6) for i in range(3)]
        assert {row.status for row in rows} == {"ok"}

    def test_an_image_that_fails_alone_is_an_error(self, tmp_path, fake):
        items = [grey(tmp_path / f"{i}.png", 51 * i) for i in range(3)]

        def function(images, references):
            scores = images.mean(dim=(1, 2, 3))
            if ((scores - 0.2).abs() < 0.01).any():
                raise RuntimeError("no memory for this\nand a long explanation")
            return scores

        rows = list(score_items(items, [fake(function=function), fake("topiq_nr")]))
        assert [row.status for row in rows] == ["ok", "partial", "ok"]
        assert rows[1].error == "topiq_nr-lite: network-failed: RuntimeError: no memory for this"

    def test_a_mistake_in_a_predictor_is_not_hidden(self, tmp_path, fake):
        def function(images, references):
            raise TypeError("a mistake")

        with pytest.raises(TypeError, match="a mistake"):
            list(score_items([grey(tmp_path / "a.png", 1)], [fake(function=function)]))


class TestMemory:
    """How many images are decoded, but not yet given to the network."""

    def most_in_flight(self, predictor, monkeypatch, rows: int, side: int = 40) -> int:
        lock, loaded, most = threading.Lock(), 0, 0

        def decode(encoded, name, request, admit):
            nonlocal loaded, most
            admit(side, side)
            with lock:
                loaded += 1
                most = max(most, loaded - sum(shape[0] for shape in predictor.batches))
            return fit(Pixels(np.zeros((side, side), np.uint8), 255), name, ())

        def items():
            for number in itertools.count():
                # What was asked for is decoded before more is given, unless there is no room for it.
                deadline = time.monotonic() + 0.05
                while loaded < number and time.monotonic() < deadline:
                    time.sleep(0.001)
                yield Item(f"{number}.png")

        monkeypatch.setattr(decoders, "decode_encoded", decode)
        for _ in itertools.islice(score_items(items(), [predictor]), rows):
            pass
        return most

    def test_does_not_grow_with_the_job(self, fake, monkeypatch):
        predictor = fake()
        predictor.max_batch = 1000
        most = self.most_in_flight(predictor, monkeypatch, rows=200)
        assert engine._HELD_IMAGES <= most <= engine._HELD_IMAGES + prefetching._AHEAD_IMAGES + 1

    def test_is_bounded_by_pixels(self, fake, monkeypatch):
        monkeypatch.setattr(prefetching, "_BUDGET_PIXELS", 4 * 40 * 40)
        predictor = fake()
        predictor.max_batch = 1000
        assert self.most_in_flight(predictor, monkeypatch, rows=40) <= 4
        assert sum(shape[0] for shape in predictor.batches) >= 40

    def test_an_image_beyond_all_bounds_is_scored_alone(self, fake, monkeypatch):
        monkeypatch.setattr(prefetching, "_BUDGET_PIXELS", 100)
        predictor = fake()
        assert self.most_in_flight(predictor, monkeypatch, rows=20) == 1
        assert {shape[0] for shape in predictor.batches} == {1}

    def test_is_bounded_where_a_policy_enlarges(self, tmp_path, fake, monkeypatch):
        monkeypatch.setattr(prefetching, "_BUDGET_PIXELS", 100_000)
        held, enter = [], PixelBudget.enter

        def entered(self, number, pixels):
            enter(self, number, pixels)
            held.append(self._held)

        monkeypatch.setattr(PixelBudget, "enter", entered)
        items = [grey(tmp_path / f"{i}.png", i, 320, 40) for i in range(20)]
        predictor = fake(size="short_side=80")
        rows = list(score_items(items, [predictor]))
        assert {row.status for row in rows} == {"ok"}
        assert 80 * 640 <= max(held) <= 100_000
        assert {shape[0] for shape in predictor.batches} == {1}

    def test_is_bounded_by_the_bytes_of_items(self, fake, monkeypatch, save_picture, tmp_path):
        data = save_picture(tmp_path / "a.png", 48, 48).read_bytes()
        monkeypatch.setattr(prefetching, "_ENCODED_BYTES", 10 * len(data))
        taken, rows = 0, 0

        def items():
            nonlocal taken
            for number in range(100):
                taken += 1
                assert taken - rows <= 12
                yield Item(f"{number}.png", data=data)

        predictor = fake()
        predictor.max_batch = 1000
        for row in score_items(items(), [predictor]):
            assert row.status == "ok"
            rows += 1
        assert rows == 100

    def test_sizes_that_differ_widely(self, tmp_path, fake, monkeypatch):
        monkeypatch.setattr(prefetching, "_BUDGET_PIXELS", 20_000)
        random = np.random.default_rng(0)
        sides = random.choice([33, 40, 64, 90, 150, 300], size=(150, 2))
        items = [grey(tmp_path / f"{i:03}.png", i, *map(int, size)) for i, size in enumerate(sides)]
        items[60:60] = [Item(tmp_path / "missing.png"), Item("x", problem="missing: the cell is empty")]
        rows = list(score_items(items, [fake(), fake("topiq_nr", "max_side=64")]))
        assert [row.path for row in rows] == [item.name for item in items]
        assert [i for i, row in enumerate(rows) if row.status == "error"] == [60, 61]
        assert rows[61].error == "missing: the cell is empty"

    def test_metrics_of_one_policy_share_an_image(self, tmp_path, fake, monkeypatch):
        monkeypatch.setattr(prefetching, "_BUDGET_PIXELS", 4 * 40 * 40)
        item = grey(tmp_path / "a.png", 51)
        one, two = fake(), fake("topiq_nr")
        list(score_items([item] * 8, [one, two]))
        assert one.batches == two.batches == [(4, 3, 40, 40)] * 2

    def test_closing_early_ends_the_threads(self, tmp_path, fake):
        item = grey(tmp_path / "a.png", 51)
        before = threading.active_count()
        rows = score_items(itertools.repeat(item), [fake()])
        next(rows)
        rows.close()
        assert threading.active_count() == before

    def test_a_failure_ends_the_threads(self, tmp_path, fake):
        def function(images, references):
            raise TypeError("a mistake")

        item = grey(tmp_path / "a.png", 51)
        before = threading.active_count()
        with pytest.raises(TypeError):
            next(score_items(itertools.repeat(item), [fake(function=function)]))
        assert threading.active_count() == before


HEAVY = {"torchmetrics", "torchvision", "matplotlib", "scipy", "transformers", "rich", "typer", "huggingface_hub"}


def imported_with(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_it_is_light():
    assert not imported_with("import topiq_metrics.scoring") & HEAVY


def test_the_check_of_imports_can_fail():
    assert imported_with("import rich") & HEAVY


class TestNetworkPredictor:
    def test_scores_on_the_cpu_without_gradients(self, lite_weights):
        predictor = NetworkPredictor("topiq_nr-lite", lite_weights)
        scores = predictor(torch.rand(2, 3, 64, 64))
        assert scores.shape == (2,)
        assert (scores.device.type, scores.dtype, scores.requires_grad) == ("cpu", torch.float32, False)

    def test_network_is_shared(self, lite_weights):
        first, second = (NetworkPredictor("topiq_nr-lite", lite_weights) for _ in range(2))
        assert first.net is second.net

    def test_size_is_the_cards_or_the_callers(self, lite_weights):
        assert str(NetworkPredictor("topiq_nr-lite", lite_weights).size) == "max_side=512"
        assert str(NetworkPredictor("topiq_nr-lite", lite_weights, size="square=64").size) == "square=64"
        with pytest.raises(ValueError, match="Argument `size` must be 'native'"):
            NetworkPredictor("topiq_nr-lite", lite_weights, size="huge")

    def test_names_must_be_known(self):
        with pytest.raises(
            ValueError, match=r"There is no metric named 'topiq_nr-light'\. Did you mean 'topiq_nr-lite'"
        ):
            NetworkPredictor("topiq_nr-light", None)
