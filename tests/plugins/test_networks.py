"""pyiqa's options, calls and state dicts, with our network behind them."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from topiq_metrics import errors, topiq_no_reference
from topiq_metrics.catalog import CARDS
from topiq_metrics.weights import load_network

NAMES = (
    "topiq_nr",
    "topiq_fr",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("topiq_iaa", "topiq_iaa_res50")),
)
KEY = "semantic_model.conv1.weight"


@pytest.fixture
def theirs(pyiqa):
    """pyiqa's own class."""
    return pyiqa.archs.topiq_arch.CFANet


@pytest.fixture
def ours(pyiqa):
    """What pyiqa builds for ``CFANet``."""
    return pyiqa.utils.registry.ARCH_REGISTRY.get("CFANet")


@pytest.fixture
def small(theirs, ours):
    """A function that gives both networks with the same random weights, the smallest that there are."""

    def build(**changes):
        changes = {"use_ref": False, "pretrained": False, "backbone_pretrain": False, "inter_dim": 64, **changes}
        torch.manual_seed(0)
        reference = theirs(**changes).eval()
        with torch.no_grad():
            for key, tensor in reference.state_dict().items():
                if tensor.is_floating_point() and not key.endswith(".running_var"):
                    tensor.add_(0.05 * torch.randn_like(tensor))
        net = ours(**changes).eval()
        net.load_state_dict(reference.state_dict())
        return reference, net

    return build


@pytest.mark.parametrize("name", NAMES)
def test_scores_and_states_are_pyiqas(pyiqa, reference, checkpoint, options, parity, name):
    size = (64, 64) if name == "topiq_iaa" else (90, 64)
    images = parity.sample_images(size, 2, CARDS[name].mode == "FR")
    metric = pyiqa.create_metric(name, device="cpu", **{**options(name), "pretrained_model_path": checkpoint(name)})
    theirs = reference(name)
    with torch.no_grad():
        expected = theirs(*images)
    scores = metric(*images)
    assert scores.shape == (2, 1)
    with torch.no_grad():
        plain = metric.net.net(*(metric.net._fit(image) for image in images))
    assert parity.relative_error(plain.view(2, 1), expected) <= parity.TOLERANCE
    # Folding rounds elsewhere, and random weights amplify it: up to 1.3e-5 was seen.
    assert parity.relative_error(scores, expected) <= 2 * parity.TOLERANCE
    assert (expected.max() - expected.min()).item() > 0.05

    state, known = metric.net.state_dict(), theirs.state_dict()
    assert state.keys() == known.keys()
    assert all(torch.equal(state[key], known[key]) for key in known)
    theirs.load_state_dict(state, strict=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"test_img_size": (48, 80), "default_mean": (0.1, 0.2, 0.3), "default_std": (0.5, 0.6, 0.7)},
        {"num_class": 7, "inter_dim": 32, "num_heads": 8, "dprate": 0.5, "model_name": "of_mine"},
        {"use_ref": True, "in_size": (32, 32), "crop_size": 32},
        *(
            pytest.param(changes, marks=pytest.mark.slow)
            for changes in (
                {"default_mean": (0.1, 0.2, 0.3), "default_std": (0.5, 0.6, 0.7)},
                {"test_img_size": 48},
                {"test_img_size": [80, 48]},
                {"in_size": (32, 32), "crop_size": 32},
                {"num_heads": 8, "dprate": 0.5, "model_name": "of_mine"},
                {"num_class": 7, "inter_dim": 32},
                {"use_ref": True},
            )
        ),
    ],
    ids=str,
)
def test_options_mean_what_they_mean_in_pyiqa(small, parity, changes):
    reference, net = small(**changes)
    images = parity.sample_images((64, 96), 2, changes.get("use_ref", False))
    with torch.no_grad():
        for wanted in ({}, {"return_dist": True}, {"return_mos": False, "return_dist": True}):
            expected, got = reference(*images, **wanted), net(*images, **wanted)
            assert type(got) is type(expected)
            pairs = zip(got, expected, strict=True) if isinstance(got, list) else [(got, expected)]
            assert all(parity.relative_error(a, b) <= parity.TOLERANCE for a, b in pairs)
        assert (
            parity.relative_error(net.forward_cross_attention(*images), reference.forward_cross_attention(*images))
            <= 1e-5
        )


def test_every_option_is_known(theirs):
    from topiq_metrics.plugins.pyiqa import options

    assert set(inspect.signature(theirs).parameters) == set(options._FIXED) | options._FREE
    assert all(inspect.signature(theirs).parameters[name].default == value for name, value in options._FIXED.items())


@pytest.mark.parametrize(
    "changes",
    [
        {"semantic_model_name": "resnet18"},
        {"num_attn_layers": 2},
        {"activation": "relu"},
        {"out_act": True},
        {"block_pool": "avg"},
        {"num_crop": 2},
    ],
    ids=str,
)
def test_what_is_not_covered_is_left_to_pyiqa(theirs, ours, changes):
    net = ours(use_ref=False, pretrained=False, backbone_pretrain=False, inter_dim=32, **changes)
    assert type(net) is theirs


def test_weights_of_a_later_pyiqa_are_left_to_it(theirs, ours, pyiqa, monkeypatch):
    loaded = []
    monkeypatch.setitem(pyiqa.archs.topiq_arch.default_model_urls, "later", "https://hub.test/later-01234567.pth")
    monkeypatch.setattr(
        pyiqa.archs.topiq_arch, "load_pretrained_network", lambda net, url, *rest, **more: loaded.append(url)
    )
    assert type(ours(use_ref=False, backbone_pretrain=False, model_name="later", inter_dim=32)) is theirs
    assert loaded == ["https://hub.test/later-01234567.pth"]


def test_arguments_are_checked_as_by_pyiqa(small, ours):
    with pytest.raises(TypeError, match="of_mine"):
        ours(of_mine=1)
    _, net = small(use_ref=True)
    with pytest.raises(AssertionError, match="reference"):
        net(torch.rand(1, 3, 64, 64))
    with pytest.raises(ValueError, match="return_mos"):
        net(torch.rand(1, 3, 64, 64), return_mos=False)


def test_it_is_an_object_of_pyiqas_class(small, theirs, ours):
    _, net = small()
    assert isinstance(net, theirs)
    assert isinstance(net, ours)
    assert {name for name, _ in net.named_parameters()} < set(net.state_dict())


class TestState:
    @pytest.mark.parametrize("wrap", [False, True], ids=["alone", "in a parent"])
    def test_misfits_are_named_as_in_the_file(self, small, wrap):
        reference, net = small()
        module, prefix = (nn.ModuleDict({"child": net}), "child.") if wrap else (net, "")
        unused = "attn_blks.0.layers.0.self_attn.out_proj.bias"
        state = {prefix + key: value for key, value in reference.state_dict().items() if key not in {KEY, unused}}
        state[f"{prefix}of_mine.weight"] = torch.zeros(1)
        with pytest.raises(RuntimeError) as info:
            module.load_state_dict(state)
        for part in (f'"{prefix}{KEY}"', f'"{prefix}{unused}"', f'"{prefix}of_mine.weight"'):
            assert part in str(info.value)
        result = module.load_state_dict(state, strict=False)
        assert result.unexpected_keys == [] or result.unexpected_keys == [f"{prefix}of_mine.weight"]

    def test_other_shapes(self, small):
        _, net = small()
        state = net.state_dict()
        for key in (KEY, "attn_blks.0.layers.0.self_attn.in_proj_bias"):
            with pytest.raises(RuntimeError, match="size mismatch"):
                net.load_state_dict(state | {key: torch.zeros(3)})

    def test_nested_and_moved(self, small):
        reference, net = small()
        parent = nn.Sequential(net)
        parent.to(torch.float64)
        state = parent.state_dict()
        assert state.keys() == {f"0.{key}" for key in reference.state_dict()}
        assert state[f"0.{KEY}"].dtype == torch.float64
        parent.load_state_dict(state)

    def test_copies(self, small, tmp_path):
        _, net = small()
        images = torch.rand(1, 3, 64, 64)
        path = tmp_path / "state.pt"
        torch.save(net.state_dict(), path)
        copies = copy.deepcopy(net), pickle.loads(pickle.dumps(net))
        for parameter in net.parameters():
            nn.init.zeros_(parameter)
        with torch.no_grad():
            first, second = (copied(images) for copied in copies)
            assert torch.equal(first, second)
            assert not torch.equal(first, net(images))
            net.load_state_dict(torch.load(path, weights_only=True))
            assert torch.equal(first, net(images))

    def test_a_metric_is_copied(self, pyiqa, options):
        metric = pyiqa.create_metric("topiq_nr", device="cpu", **options("topiq_nr", inter_dim=32))
        images = torch.rand(1, 3, 64, 64)
        assert torch.equal(copy.deepcopy(metric)(images), metric(images))
        assert torch.equal(pickle.loads(pickle.dumps(metric))(images), metric(images))


class TestWeights:
    def test_released_weights_come_from_our_resolver(self, pyiqa, monkeypatch, options):
        class AskedError(Exception):
            pass

        def resolve(name):
            raise AskedError(name)

        monkeypatch.setattr("topiq_metrics.plugins.pyiqa.networks.resolve", resolve)
        names = [name for name, card in CARDS.items() if card.is_topiq]
        for name in names:
            with pytest.raises(AskedError, match=f"^{name}$"):
                pyiqa.create_metric(name, device="cpu", **({"align_crop_face": False} if "face" in name else {}))

    def test_errors_are_our_resolvers(self, pyiqa, monkeypatch, tmp_path):
        monkeypatch.setenv("TOPIQ_METRICS_WEIGHTS", str(tmp_path))
        (tmp_path / "cfanet_nr_koniq_res50-9a73138b.pth").write_bytes(b"something else")
        with pytest.raises(errors.WeightsHashError, match="9a73138b"):
            pyiqa.create_metric("topiq_nr", device="cpu")

    def test_a_path_is_loaded_strictly(self, small, ours, tmp_path):
        reference, _ = small()
        path, state = tmp_path / "state.pth", reference.state_dict()
        build = {"use_ref": False, "inter_dim": 64, "pretrained_model_path": str(path)}
        before = torch.get_rng_state()
        torch.save({"params": state}, path)
        assert torch.equal(ours(**build).state_dict()[KEY], state[KEY])
        assert torch.equal(torch.get_rng_state(), before)

        torch.save({"params": {key: value for key, value in state.items() if key != KEY}}, path)
        with pytest.raises(errors.WeightsMismatchError, match=rf"state\.pth(.|\n)*{KEY}"):
            ours(**build)
        with pytest.raises(errors.WeightsNotFoundError):
            ours(**{**build, "pretrained_model_path": str(tmp_path / "none.pth")})

    def test_weights_without_what_is_unused(self, small, ours, tmp_path):
        reference, _ = small()
        path = tmp_path / "state.pth"
        state = {
            key: value
            for key, value in reference.state_dict().items()
            if not key.startswith("attn_blks.0.layers.0.self")
        }
        torch.save(state, path)
        assert torch.equal(ours(use_ref=False, inter_dim=64, pretrained_model_path=path).state_dict()[KEY], state[KEY])

    def test_a_url(self, small, ours, pyiqa, monkeypatch, tmp_path):
        reference, _ = small()
        path, asked = tmp_path / "state.pth", []
        torch.save({"params": reference.state_dict()}, path)
        monkeypatch.setattr(pyiqa.archs.arch_util, "load_file_from_url", lambda url: asked.append(url) or str(path))
        net = ours(use_ref=False, inter_dim=64, pretrained_model_path="https://hub.test/state.pth")
        assert asked == ["https://hub.test/state.pth"]
        assert torch.equal(net.state_dict()[KEY], reference.state_dict()[KEY])

    def test_pyiqas_own_loading(self, pyiqa, checkpoint, options, reference, capsys):
        metric = pyiqa.create_metric("topiq_nr", device="cpu", **options("topiq_nr"))
        metric.load_weights(str(checkpoint("topiq_nr")))
        assert torch.equal(metric.net.state_dict()[KEY], reference("topiq_nr").state_dict()[KEY])

    def test_training_starts_from_imagenet(self, ours, pyiqa, monkeypatch):
        import timm

        arch, made = pyiqa.archs.topiq_arch, []

        def offline(function):
            def make(name, **arguments):
                assert arguments.pop("pretrained") is True
                made.append(function(name, **arguments))
                return made[-1]

            return make

        monkeypatch.setattr(timm, "create_model", offline(timm.create_model))
        monkeypatch.setattr(arch, "create_swin", offline(arch.create_swin))
        for name, key in (
            ("resnet50", "conv1.weight"),
            ("swin_base_patch4_window12_384", "layers.2.blocks.17.mlp.fc2.weight"),
        ):
            net = ours(semantic_model_name=name, use_ref=False, pretrained=False, inter_dim=32)
            assert torch.equal(net.state_dict()[f"semantic_model.{key}"], made[-1].state_dict()[key])
        assert len(made) == 2


class TestFaces:
    NAME = "topiq_nr_gfiqa_res50"

    @pytest.fixture(autouse=True)
    def helper(self, pyiqa, monkeypatch):
        """A face helper that takes the image's middle, and the arguments with which it is made."""
        made = []

        class Helper:
            def __init__(self, *args, **kwargs):
                made.append((args, kwargs))

            def clean_all(self):
                pass

            def get_face_landmarks_5(self, **kwargs):
                return self.faces

            def align_warp_face(self):
                height, width = self.input_img.shape[:2]
                self.cropped_faces = [self.input_img[height // 4 :, width // 4 :].astype(np.uint8)]

        Helper.faces = 1
        monkeypatch.setattr(pyiqa.archs.topiq_arch, "FaceRestoreHelper", Helper)
        return made

    @pytest.mark.filterwarnings("ignore:The faces will be aligned:UserWarning")
    def test_scores_are_pyiqas(self, small, parity, helper):
        reference, net = small(model_name=self.NAME, test_img_size=64)
        assert helper[0] == helper[1]
        (images,) = parity.sample_images((96, 128), 1, False)
        with torch.no_grad():
            assert parity.relative_error(net(images), reference(images)) <= parity.TOLERANCE
            aligned = net(images)
            net.align_crop_face = False
            assert not torch.equal(net(images), aligned)
            net.align_crop_face = True
        with pytest.raises(AssertionError, match="batch size 1"):
            net(images.expand(2, -1, -1, -1))
        net.face_helper.faces = 0
        with pytest.raises(AssertionError, match="No face"):
            net(images)

    def test_without_alignment_no_detector_is_needed(self, ours, helper):
        options = {"use_ref": False, "pretrained": False, "backbone_pretrain": False, "model_name": self.NAME}
        net = ours(**options, inter_dim=32, align_crop_face=False)
        assert helper == []
        assert net.eval()(torch.rand(2, 3, 64, 64)).shape == (2, 1)


class TestUse:
    @pytest.fixture
    def metric(self, pyiqa, options, checkpoint):
        return pyiqa.create_metric(
            "topiq_nr", device="cpu", **options("topiq_nr", pretrained_model_path=checkpoint("topiq_nr"))
        )

    def test_files_and_pictures(self, metric, tmp_path, save_picture):
        path = save_picture(tmp_path / "picture.png", 80, 64)
        with Image.open(path) as picture:
            tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
            scores = metric(str(path)), metric(picture), metric(tensor)
        assert all(score.shape == (1, 1) for score in scores)
        assert torch.allclose(scores[0], scores[1], atol=1e-6)
        assert torch.allclose(scores[0], scores[2], atol=1e-5)

    def test_inside_a_parent(self, metric):
        class Parent(nn.Module):
            def __init__(self):
                super().__init__()
                self.metric = metric

        parent, images = Parent(), torch.rand(1, 3, 64, 64)
        expected = metric(images)
        norms = [module for module in parent.modules() if isinstance(module, nn.BatchNorm2d)]
        statistics = [norm.running_mean.clone() for norm in norms]
        parent.train()
        assert metric.net.training
        assert norms
        assert not any(norm.training for norm in norms)
        metric(images)
        parent.eval()
        assert torch.equal(metric(images), expected)
        assert all(torch.equal(norm.running_mean, kept) for norm, kept in zip(norms, statistics, strict=True))

    def test_other_types(self, metric):
        images = torch.rand(1, 3, 64, 64)
        expected = metric(images)
        metric.to(torch.float64)
        got = metric(images.double())
        assert got.dtype == torch.float64
        assert torch.allclose(got.float(), expected, atol=1e-5)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_on_a_gpu(self, metric):
        images = torch.rand(2, 3, 64, 64)
        expected = metric(images)
        metric.to("cuda")
        got = metric(images)
        assert got.device.type == "cuda"
        assert torch.allclose(got.cpu(), expected, atol=1e-3)
        metric.net.load_state_dict(metric.net.state_dict())

    def test_grey_images(self, metric):
        grey = torch.rand(1, 1, 64, 64)
        assert torch.allclose(metric(grey), metric(grey.expand(-1, 3, -1, -1)), atol=1e-6)

    @pytest.mark.parametrize("name", ["topiq_nr", "topiq_fr"])
    def test_as_a_loss(self, pyiqa, options, checkpoint, parity, reference, name):
        loss = pyiqa.create_metric(
            name, as_loss=True, device="cpu", **options(name, pretrained_model_path=checkpoint(name))
        )
        images = parity.sample_images((64, 64), 2, name == "topiq_fr")
        image = images[0].requires_grad_()
        value = loss(*images)
        assert value.shape == ()
        value.backward()
        assert torch.isfinite(image.grad).all()

        theirs = copy.deepcopy(reference(name)).double()
        images = [image.detach().double().requires_grad_() for image in images]
        (gradient,) = torch.autograd.grad(loss.to(torch.float64)(*images), images[:1])
        (expected,) = torch.autograd.grad(theirs(*images).mean(), images[:1])
        assert expected.norm() > 0
        assert (gradient - expected).norm() <= 1e-6 * expected.norm()

    def test_the_target_is_the_distorted_image(self, pyiqa, options, checkpoint, parity, reference):
        metric = pyiqa.create_metric(
            "topiq_fr", device="cpu", **options("topiq_fr", pretrained_model_path=checkpoint("topiq_fr"))
        )
        distorted, clean = parity.sample_images((64, 64), 1, True)
        assert not torch.allclose(metric(distorted, clean), metric(clean, distorted), atol=1e-3)
        net = load_network("topiq_fr", checkpoint("topiq_fr"))
        with torch.no_grad():
            assert torch.allclose(metric(target=distorted, ref=clean)[:, 0], net(distorted, clean), atol=1e-5)


class TestCatalogueNetwork:
    def test_scores_are_ours(self, pyiqa, save_picture, tmp_path):
        metric = pyiqa.create_metric("topiq_nr-lite", device="cpu")
        assert (metric.metric_mode, metric.lower_better, metric.score_range) == ("NR", False, "~0, ~1")
        images = torch.rand(2, 3, 64, 600)
        scores = metric(images)
        assert scores.shape == (2, 1)
        assert torch.allclose(scores[:, 0], topiq_no_reference(images, reduction="none"), atol=1e-5)
        path = save_picture(tmp_path / "picture.png")
        with Image.open(path) as picture:
            assert torch.equal(metric(str(path)), metric(picture))

    def test_it_trains_without_the_size_rule(self, pyiqa):
        net = pyiqa.create_metric("topiq_nr-lite", device="cpu").net
        seen = []
        net.net.backbone.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-2:]))
        images = torch.rand(1, 3, 320, 640)
        net(images)
        net.train()
        net(images).sum().backward()
        assert seen == [(256, 512), (320, 640)]
        assert all(p.grad is not None for p in net.parameters() if p.requires_grad)

    def test_its_state_is_a_weights_file(self, pyiqa, tmp_path):
        metric = pyiqa.create_metric("topiq_nr-lite", pretrained=False, device="cpu")
        path = tmp_path / "lite.pth"
        torch.save({"params": metric.net.state_dict()}, path)
        net = load_network("topiq_nr-lite", path)
        again = pyiqa.create_metric("topiq_nr-lite", pretrained_model_path=str(path), device="cpu")
        images = torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            assert torch.allclose(metric(images)[:, 0], net(images), atol=1e-6)
        assert torch.equal(metric(images), again(images))
        again.net.load_state_dict(metric.net.state_dict())

    def test_errors(self, pyiqa):
        with pytest.raises(errors.ImageTooSmallError, match="too small"):
            pyiqa.create_metric("topiq_nr-lite", device="cpu")(torch.rand(1, 3, 16, 64))
        with pytest.raises(errors.WeightsNotFoundError, match="nowhere"):
            pyiqa.create_metric("topiq_nr-lite", pretrained_model_path="nowhere.pth", device="cpu")


@pytest.mark.parametrize("name", ["topiq_fr", "topiq_fr-lite"])
@pytest.mark.parametrize(
    ("images", "references"), [((4, 64, 64), (2, 64, 64)), ((2, 64, 64), (1, 64, 64)), ((2, 64, 96), (2, 64, 64))]
)
def test_images_that_do_not_fit_their_references(pyiqa, options, checkpoint, name, images, references):
    weights = {} if name == "topiq_fr-lite" else options(name, pretrained_model_path=checkpoint(name))
    metric = pyiqa.create_metric(name, device="cpu", **weights)
    shapes = [(count, 3, *sides) for count, *sides in (images, references)]
    with pytest.raises(ValueError, match="must have the same number, height and width, but got"):
        metric(*map(torch.rand, shapes))


@pytest.mark.parametrize("size", [(16, 20), (500, 10), (16, 16)])
def test_an_image_on_whose_size_the_networks_differ(ours, size):
    network = ours(use_ref=False, pretrained=False, backbone_pretrain=False, inter_dim=64).eval()
    with pytest.raises(errors.ImageTooSmallError, match="TOPIQ needs more than 16 px a side"):
        network(torch.rand(1, 3, *size))
