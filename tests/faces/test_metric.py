"""The face metric and its functions, with faces in known places."""

from __future__ import annotations

import pickle
import sys

import pytest
import torch
from face_tester import FACES, TEMPLATE, StandIn, follow, photograph, tiny_network
from metric_tester import make_images
from torchmetrics import MetricCollection

from topiq_metrics.errors import NoFaceError
from topiq_metrics.faces import find_faces
from topiq_metrics.functional.face import topiq_face, topiq_faces
from topiq_metrics.metrics.face import TOPIQFace

CLOSE = {"rtol": 1e-4, "atol": 2e-5}
NUMBERS = (0, 1, 2, 3)


def make(reduction="none", *, numbers=None, **arguments):
    metric = TOPIQFace(aligned=False, reduction=reduction, detector=StandIn(FACES), net=tiny_network(), **arguments)
    if numbers is not None:
        metric.update([photograph(number) for number in numbers])
    return metric


def score_of(number, index=0):
    """The score of one face, by its crop alone."""
    crops = find_faces(photograph(number), StandIn(FACES), "all").crops
    with torch.no_grad():
        return float(tiny_network()(crops[index : index + 1]))


@pytest.fixture(scope="module")
def truth():
    """The scores of all faces; of the first photograph's, the second is the larger."""
    pytest.importorskip("facexlib", reason="the extra `face` is not installed")
    return {"small": score_of(0, 0), 0: score_of(0, 1), 2: score_of(2), 3: score_of(3)}


class TestAligned:
    def test_scores_are_those_of_the_network(self):
        faces = make_images(2, side=512)
        net = tiny_network()
        expected = net(faces)
        metric = TOPIQFace(net=net, reduction="none")
        torch.testing.assert_close(metric(faces), expected, **CLOSE)
        torch.testing.assert_close(topiq_face(list(faces), net=net, reduction=None), expected, **CLOSE)
        torch.testing.assert_close(topiq_face(faces, net=net), expected.mean(), **CLOSE)
        assert metric.is_differentiable
        assert (metric.last_faces, metric.images_without_face) == ([], 0)

    def test_gradients_reach_the_faces(self):
        faces = make_images(1, side=512).requires_grad_()
        metric = TOPIQFace(net=tiny_network())
        metric(faces).backward()
        (gradient,) = torch.autograd.grad(topiq_face(faces, net=tiny_network()), faces)
        torch.testing.assert_close(faces.grad, gradient)
        assert gradient.abs().max() > 0

    @pytest.mark.parametrize("images", [torch.rand(1, 3, 512, 511), [torch.rand(3, 512, 512), torch.rand(3, 20, 512)]])
    @pytest.mark.parametrize("function", [topiq_face, lambda images, net: TOPIQFace(net=net).update(images)])
    def test_another_size(self, images, function):
        with pytest.raises(ValueError, match=r"aligned faces of 512 x 512 pixels, but got shape .*aligned=False"):
            function(images, net=tiny_network())

    def test_the_size_rule_of_the_card_is_for_the_aligned_face(self):
        net = tiny_network("topiq_nr_swin-face")
        faces = make_images(1, side=512)
        small = torch.nn.functional.interpolate(faces, size=(384, 384), mode="bilinear", antialias=True)
        torch.testing.assert_close(topiq_face(faces, net=net), net(small)[0], **CLOSE)

    def test_needs_no_facexlib(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "facexlib.utils.face_restoration_helper", None)
        TOPIQFace(net=tiny_network())
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'topiq-metrics\[face\]'"):
            TOPIQFace(net=tiny_network(), aligned=False)

    def test_a_detector_has_no_use(self):
        with pytest.raises(ValueError, match="Argument `detector` is for photographs"):
            TOPIQFace(net=tiny_network(), detector=StandIn(FACES))


class TestPhotographs:
    def test_the_largest_face_of_each(self, truth):
        metric = make("none", numbers=(0, 2, 3))
        torch.testing.assert_close(metric.compute(), torch.tensor([truth[0], truth[2], truth[3]]), **CLOSE)
        assert len({round(score, 3) for score in truth.values()}) == 4

    def test_every_face(self, truth):
        metric = make("none", numbers=(2, 0), faces="all")
        torch.testing.assert_close(metric.compute(), torch.tensor([truth[2], truth["small"], truth[0]]), **CLOSE)
        assert [len(found) for found in metric.last_faces] == [1, 2]

    @pytest.mark.parametrize("faces", ["largest", "all"])
    def test_where_there_is_no_face(self, truth, faces):
        scores = [truth[0], truth[2], truth[3]] + ([truth["small"]] if faces == "all" else [])
        metrics = {kind: make(kind, numbers=NUMBERS, on_no_face="nan", faces=faces) for kind in ("mean", "sum", "none")}
        assert float(metrics["mean"].compute()) == pytest.approx(sum(scores) / len(scores), abs=2e-5)
        assert float(metrics["sum"].compute()) == pytest.approx(sum(scores), abs=2e-5)
        assert metrics["none"].compute().isnan().tolist() == [False] * (len(scores) - 2) + [True, False, False]
        for metric in metrics.values():
            assert metric.images_without_face == 1
            assert [len(found) for found in metric.last_faces] == [len(scores) - 2, 0, 1, 1]
            metric.update([photograph(1)])
            assert metric.images_without_face == 2
            metric.reset()
            assert metric.images_without_face == 0

    def test_only_photographs_without_a_face(self):
        assert make("mean", numbers=(1, 1), on_no_face="nan").compute().isnan()
        assert make("none", numbers=(1,), on_no_face="nan").compute().isnan().tolist() == [True]
        assert make("sum", numbers=(1,), on_no_face="nan").compute() == 0

    def test_an_error_where_there_is_no_face(self, truth):
        metric = make("sum", numbers=(2,))
        with pytest.raises(NoFaceError, match=r"No face was found in `preds\[1\]`, `preds\[3\]`") as caught:
            metric.update([photograph(number) for number in (0, 1, 2, 1)])
        assert caught.value.reason == "no-face"
        assert float(metric.compute()) == pytest.approx(truth[2], abs=2e-5)
        assert metric.images_without_face == 0

    def test_boxes(self):
        metric = make("mean")
        metric.update(torch.stack([photograph(0), photograph(3)]))
        first, second = metric.last_faces
        assert first.boxes.tolist() == [[0, 0, 120, 130]]
        assert first.confidences.tolist() == pytest.approx([0.99])
        torch.testing.assert_close(first.landmarks[0].numpy(), FACES[0][1].to_photograph(TEMPLATE).astype("float32"))
        assert float(second.scores) == pytest.approx(score_of(3), abs=2e-5)

    def test_sizes_dtypes_and_batches(self, truth):
        photographs = [photograph(2), (photograph(3) * 255).round().byte(), photograph(0, 200, 130).double()]
        together, apart = make(), make()
        together.update(photographs)
        for image in photographs:
            apart.update([image])
        torch.testing.assert_close(together.compute(), apart.compute(), **CLOSE)
        assert float(apart.compute()[0]) == pytest.approx(truth[2], abs=2e-5)

    def test_forward_gives_the_value_of_the_batch(self, truth):
        metric = make("mean", on_no_face="nan")
        assert float(metric([photograph(0), photograph(1)])) == pytest.approx(truth[0], abs=2e-5)
        assert float(metric([photograph(2), photograph(1)])) == pytest.approx(truth[2], abs=2e-5)
        assert float(metric.compute()) == pytest.approx((truth[0] + truth[2]) / 2, abs=2e-5)
        assert metric.images_without_face == 2

    def test_no_gradient(self):
        image = photograph(0)[None].requires_grad_()
        metric = make()
        assert not metric.is_differentiable
        for function in (metric, lambda preds: topiq_faces(preds, net=tiny_network(), detector=StandIn(FACES))):
            with pytest.raises(ValueError, match=r"requires a gradient, but .* `preds.detach\(\)`"):
                function(image)
        metric = make(numbers=(0,))
        metric.update(image)
        assert not metric.last_faces[0].scores.requires_grad

    def test_the_function(self, truth):
        images = [photograph(number) for number in NUMBERS]
        arguments = {"net": tiny_network(), "detector": StandIn(FACES)}
        found = topiq_faces(images, faces="all", on_no_face="nan", **arguments)
        assert [of_image.scores.tolist() for of_image in found] == [
            pytest.approx([truth["small"], truth[0]], abs=2e-5),
            [],
            pytest.approx([truth[2]], abs=2e-5),
            pytest.approx([truth[3]], abs=2e-5),
        ]
        assert found[1].boxes.shape == (0, 4)
        with pytest.raises(NoFaceError, match=r"`preds\[0\]`"):
            topiq_faces(photograph(1)[None], **arguments)
        with pytest.raises(ValueError, match="Argument `preds` must be a tensor"):
            topiq_faces(3, **arguments)

    @pytest.mark.parametrize("argument", [{"faces": "two"}, {"on_no_face": "skip"}])
    def test_unknown_choices(self, argument):
        (name,) = argument
        with pytest.raises(ValueError, match=f"Argument `{name}` must be one of"):
            make(**argument)
        with pytest.raises(ValueError, match=f"Argument `{name}` must be one of"):
            topiq_faces(photograph(0)[None], net=tiny_network(), detector=StandIn(FACES), **argument)


class TestState:
    def test_copies(self, truth):
        metric = make("none", numbers=(1, 2), on_no_face="nan")
        for copied in (metric.clone(), pickle.loads(pickle.dumps(metric))):
            copied.update([photograph(3)])
            expected = torch.tensor([torch.nan, truth[2], truth[3]])
            torch.testing.assert_close(copied.compute(), expected, equal_nan=True, **CLOSE)
            assert copied.images_without_face == 1
        assert len(metric.compute()) == 2

    def test_a_detector_that_is_a_module_stays_out(self):
        class Detector(torch.nn.Linear):
            detect = StandIn(FACES).detect

        metric = TOPIQFace(aligned=False, detector=Detector(2, 2), net=tiny_network())
        metric.update([photograph(0)])
        assert not list(metric.state_dict())
        assert not list(metric.parameters())

    def test_a_collection_keeps_apart_what_differs(self, truth):
        other = StandIn([FACES[2], *FACES[1:]])
        metrics = {"largest": make("sum"), "all": make("sum", faces="all"), "nan": make("sum", on_no_face="nan")}
        metrics["other"] = TOPIQFace(aligned=False, reduction="sum", detector=other, net=tiny_network())
        collection = MetricCollection(metrics)
        # All agree on the first batch.
        for number in (3, 0):
            collection.update([photograph(number)])
        values = {name: float(value) for name, value in collection.compute().items()}
        assert values["largest"] == values["nan"] == pytest.approx(truth[3] + truth[0], abs=5e-5)
        assert values["all"] == pytest.approx(truth[3] + truth["small"] + truth[0], abs=5e-5)
        assert values["other"] != pytest.approx(values["largest"], abs=1e-3)
        with pytest.raises(NoFaceError):
            collection.update([photograph(1)])


@pytest.mark.parametrize("faces", ["largest", "all"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_two_processes_with_uneven_faces(face_pool, reduction, faces):
    batches = [[(0, 1), (2,)], [(1, 1, 3)]]
    results = face_pool.run(follow, batches, {"reduction": reduction, "faces": faces})
    alone = make(reduction, on_no_face="nan", faces=faces)
    for number in (0, 1, 2, 1, 1, 3):
        alone.update([photograph(number)])
    for rank, (value, here, everywhere) in enumerate(results):
        torch.testing.assert_close(value, alone.compute(), equal_nan=True, **CLOSE)
        assert (here, everywhere) == (1 + rank, 3)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_process_without_photographs(face_pool, reduction):
    results = face_pool.run(follow, [[], [(2, 1)]], {"reduction": reduction})
    alone = make(reduction, numbers=(2, 1), on_no_face="nan")
    for value, _, everywhere in results:
        torch.testing.assert_close(value, alone.compute(), equal_nan=True, **CLOSE)
        assert everywhere == 1
