"""The adapters of other toolboxes beside the toolboxes themselves."""

from __future__ import annotations

import dataclasses
import pickle
import re
import socket
import sys
import threading
import urllib.request

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from topiq_metrics.contenders import (
    TOOLBOXES,
    MetricUnavailableError,
    ToolboxPredictor,
    find_toolbox_metrics,
    get_toolbox_metric,
    list_toolbox_metrics,
    missing_toolboxes,
)
from topiq_metrics.contenders.offline import DownloadRefusedError, no_downloads
from topiq_metrics.errors import ImageTooSmallError
from topiq_metrics.inference import open_predictor
from topiq_metrics.scoring import Item, score_items

# The toolboxes warn of what is theirs to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


def scene(seed: int, height: int = 192, width: int = 208) -> torch.Tensor:
    """Smooth patches with edges between them, nowhere black: ``(3, H, W)`` in [0.1, 0.9]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 12, 12, generator=generator)
    smooth = F.interpolate(coarse, (height, width), mode="bicubic")[0]
    edges = F.interpolate(torch.rand(1, 1, 40, 40, generator=generator), (height, width))[0]
    return (0.5 * smooth + 0.5 * edges).clamp(0, 1) * 0.8 + 0.1


def damaged(image: torch.Tensor, blur: int, noise: float = 0.0) -> torch.Tensor:
    grain = torch.randn(image.shape, generator=torch.Generator().manual_seed(9))
    return (F.avg_pool2d(image[None], blur, 1, blur // 2, count_include_pad=False)[0] + noise * grain).clamp(0, 1)


REFERENCES = torch.stack([scene(seed) for seed in range(3)])
IMAGES = torch.stack([damaged(REFERENCES[0], 3), damaged(REFERENCES[1], 5, 0.02), damaged(REFERENCES[2], 1, 0.1)])


def by_pyiqa(name):
    pyiqa = pytest.importorskip("pyiqa")
    metric = pyiqa.create_metric(name, device="cpu")
    return lambda images, references: metric(images, references).squeeze()


def by_piq(name, **options):
    function = getattr(pytest.importorskip("piq"), name)
    return lambda *images: function(*(x for x in images if x is not None), reduction="none", **options)


def by_torchmetrics(name, **options):
    from torchmetrics.functional import image

    return lambda *images: getattr(image, name)(*(x for x in images if x is not None), **options)


def one_by_one(score):
    return lambda images, references: torch.stack(
        [score(x[None], y[None]) for x, y in zip(images, references, strict=True)]
    )


def grey(score):
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    return lambda *images: score(*((x * luma).sum(1, keepdim=True) for x in images))


def bytes_of(score):
    return lambda *images: score(*(x * 255 for x in images))


def by_brisque():
    metric = pytest.importorskip("brisque").BRISQUE(url=False)
    scale = metric.scale_features
    metric.scale_features = lambda features: scale([np.asarray(feature).item() for feature in features])
    pixels = lambda image: (image * 255).round().byte().permute(1, 2, 0).numpy()  # noqa: E731
    return lambda images, _: torch.tensor([metric.score(pixels(image)) for image in images])


BY_HAND = {
    "pyiqa:psnr": lambda: by_pyiqa("psnr"),
    # What it makes of a batch depends on the processor, by 6e-6.
    "pyiqa:vif": lambda: one_by_one(by_pyiqa("vif")),
    "pyiqa:gmsd": lambda: by_pyiqa("gmsd"),
    "pyiqa:piqe": lambda: by_pyiqa("piqe"),
    "piq:vif_p": lambda: by_piq("vif_p"),
    "piq:multi_scale_ssim": lambda: by_piq("multi_scale_ssim"),
    "piq:mdsi": lambda: by_piq("mdsi"),
    "piq:total_variation": lambda: by_piq("total_variation"),
    "torchmetrics:ssim": lambda: by_torchmetrics(
        "structural_similarity_index_measure", data_range=1.0, reduction="none"
    ),
    "torchmetrics:vif": lambda: bytes_of(by_torchmetrics("visual_information_fidelity", reduction="none")),
    "torchmetrics:ergas": lambda: by_torchmetrics("error_relative_global_dimensionless_synthesis", reduction="none"),
    # These have no way to keep the images of a batch apart.
    "torchmetrics:psnrb": lambda: one_by_one(
        grey(by_torchmetrics("peak_signal_noise_ratio_with_blocked_effect", data_range=1.0))
    ),
    "torchmetrics:rmse_sw": lambda: one_by_one(by_torchmetrics("root_mean_squared_error_using_sliding_window")),
    "torchmetrics:total_variation": lambda: by_torchmetrics("total_variation", reduction="none"),
    "brisque:brisque": by_brisque,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_scores_are_those_of_the_toolbox(name):
    score = BY_HAND[name]()
    metric = get_toolbox_metric(name)
    references = REFERENCES if metric.mode == "FR" else None
    expected = score(IMAGES, references).float()
    predictor = metric.open()
    alone = predictor(IMAGES[:1], None if references is None else references[:1])
    together = predictor(IMAGES, references)
    assert together.shape == (3,)
    assert together.dtype == torch.float32
    assert len(set(together.tolist())) == 3
    torch.testing.assert_close(together, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(alone, expected[:1], rtol=1e-6, atol=1e-6)
    # Not those of the images before it, either, whatever their size.
    smaller = [x[:1, :, :180, :190] for x in (IMAGES, REFERENCES)]
    predictor(*(smaller if metric.mode == "FR" else smaller[:1]))
    torch.testing.assert_close(predictor(IMAGES, references), together, rtol=0, atol=0)


WITHOUT_WEIGHTS = {
    # And pyiqa's mad, which is slower than all others together.
    "pyiqa": "ssim ssimc psnr psnry fsim ms_ssim vif gmsd nlpd vsi cw_ssim",
    "piq": "psnr ssim multi_scale_ssim information_weighted_ssim vif_p fsim srsim gmsd multi_scale_gmsd vsi haarpsi "
    "mdsi dss",
    "torchmetrics": "psnr psnrb ssim ms_ssim uqi vif scc ergas sam rase rmse_sw d_lambda",
}


@pytest.mark.parametrize("toolbox", WITHOUT_WEIGHTS)
def test_damage_makes_full_reference_scores_worse(toolbox):
    pytest.importorskip(toolbox)
    reference = REFERENCES[0]
    stages = torch.stack([damaged(reference, 1, 0.01), damaged(reference, 5, 0.05), damaged(reference, 1, 0.12)])
    for name in WITHOUT_WEIGHTS[toolbox].split():
        metric = get_toolbox_metric(f"{toolbox}:{name}")
        assert metric.mode == "FR"
        scores = metric.open()(stages, reference.expand(3, -1, -1, -1)) * (1 if metric.higher_is_better else -1)
        assert scores[0] > scores[1:].max(), (name, scores)


def test_vif_is_fed_the_range_that_it_is_made_for():
    """On [0, 1], torchmetrics' figure is 0.3 above that of the others, who scale."""
    pytest.importorskip("piq")
    grey = [x.mean(1, keepdim=True).expand(-1, 3, -1, -1) for x in (IMAGES, REFERENCES)]
    theirs = get_toolbox_metric("torchmetrics:vif")
    assert theirs.takes == "RGB in 0 … 255"
    expected = get_toolbox_metric("piq:vif_p").open()(*grey)
    torch.testing.assert_close(theirs.open()(*grey), expected, rtol=0, atol=1e-3)
    assert (by_torchmetrics("visual_information_fidelity", reduction="none")(*grey) - expected).abs().max() > 0.2


@pytest.mark.quick
class TestNames:
    def test_every_metric_of_pyiqa_is_there_once(self):
        pyiqa = pytest.importorskip("pyiqa")
        from topiq_metrics.plugins.pyiqa import register

        register()
        names = [metric.name for metric in list_toolbox_metrics("pyiqa")]
        assert len(set(names)) == len(names)
        assert {name.removeprefix("pyiqa:") for name in names} == set(pyiqa.list_models()) - {
            "topiq_nr-lite",
            "topiq_fr-lite",
            "qfm_iqm-lite",
        }

    def test_a_metric_is_data(self):
        metric = get_toolbox_metric("torchmetrics:psnrb")
        assert pickle.loads(pickle.dumps(metric)) == metric
        assert dataclasses.asdict(metric)["takes"] == "luma (ITU-R BT.601) in [0, 1]"
        assert (metric.name_in_toolbox, metric.mode, metric.package) == ("psnrb", "FR", "torchmetrics")
        assert metric.version == __import__("torchmetrics").__version__

    def test_lists_are_of_one_toolbox_and_mode(self):
        listed = list_toolbox_metrics("torchmetrics", "NR")
        assert {(metric.toolbox, metric.mode) for metric in listed} == {("torchmetrics", "NR")}
        assert {metric.toolbox for metric in list_toolbox_metrics()} == set(TOOLBOXES) - set(missing_toolboxes())

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("torchmetrics:sim", r"no metric named 'torchmetrics:sim'\. Did you mean .*'torchmetrics:ssim'"),
            ("topiq_nrlite", r"no metric named 'topiq_nrlite'\. Did you mean 'topiq_nr-lite'"),
            ("torchmetric:ssim", r"no toolbox named 'torchmetric'\. Did you mean 'torchmetrics'"),
        ],
    )
    def test_an_unknown_name_answers_with_names_near_it(self, name, message):
        with pytest.raises(ValueError, match=message):
            get_toolbox_metric(name)

    def test_a_name_without_its_toolbox_finds_it(self):
        pytest.importorskip("pyiqa")
        with pytest.raises(ValueError, match=r"Did you mean .*'pyiqa:niqe'"):
            get_toolbox_metric("niqe")

    def test_patterns_stand_for_many(self):
        names = [metric.name for metric in find_toolbox_metrics(["torchmetrics:*", "topiq_nr-lite"], "NR")]
        ours, *others = names
        assert ours == "topiq_nr-lite"
        assert others == [metric.name for metric in list_toolbox_metrics("torchmetrics", "NR")]
        assert [each.name for each in find_toolbox_metrics(["torchmetrics:ss?m", "torchmetrics:ssim"])] == [
            "torchmetrics:ssim"
        ]
        assert {each.toolbox for each in find_toolbox_metrics(["*"])} == set(TOOLBOXES) - set(missing_toolboxes())
        # What is named is meant, twice too, and whatever its mode.
        twice = find_toolbox_metrics(["torchmetrics:ssim", "torchmetrics:ssim"], "NR")
        assert [each.mode for each in twice] == ["FR", "FR"]
        with pytest.raises(ValueError, match=r"No metric of mode NR fits 'torchmetrics:ss\*'"):
            find_toolbox_metrics(["torchmetrics:ss*"], "NR")

    @pytest.mark.parametrize(
        ("toolbox", "extra"), [("pyiqa", "pyiqa"), ("piq", "benchmarks"), ("brisque", "benchmarks")]
    )
    def test_a_missing_toolbox_says_what_installs_it(self, toolbox, extra, monkeypatch):
        monkeypatch.setitem(sys.modules, toolbox, None)
        line = rf"{toolbox} is not installed: pip install 'topiq-metrics\[{extra}\]'"
        with pytest.raises(ModuleNotFoundError, match=line):
            get_toolbox_metric(f"{toolbox}:psnr")
        assert toolbox in missing_toolboxes()
        assert toolbox not in {metric.toolbox for metric in list_toolbox_metrics()}


class TestDownloads:
    @pytest.fixture
    def network(self, monkeypatch, tmp_path):
        """Caches without a file, and the addresses that were asked for."""
        asked = []

        def refuse(*address, **_):
            asked.append(address)
            raise OSError("the tests have no network")

        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("HOME", str(tmp_path))
        return asked

    @pytest.mark.parametrize(
        ("name", "file", "host"),
        [
            ("pyiqa:niqe", "chaofengc/IQA-PyTorch-Weights/niqe_modelparameters.mat", "huggingface.co"),
            ("pyiqa:hyperiqa", r"timm/resnet50\S+", "huggingface.co"),
            ("piq:lpips", r"\S+", "(download.pytorch.org|github.com)"),
            ("piq:brisque", "brisque_svm_weights.pt", "github.com"),
            ("torchmetrics:arniqa", r"\S+", "github.com"),
            ("torchmetrics:dists", r"vgg16-\S+", "download.pytorch.org"),
            ("topiq_fr", r"\S+cfanet_fr_kadid_res50-2c4cc61d.pth", "huggingface.co"),
        ],
    )
    def test_weights_that_are_not_here_are_the_reason(self, name, file, host, network, monkeypatch, tmp_path):
        toolbox = name.partition(":")[0]
        if toolbox in {"pyiqa", "piq"}:
            pytest.importorskip(toolbox)
        if toolbox == "pyiqa":
            monkeypatch.setattr("pyiqa.utils.download_util.DEFAULT_CACHE_DIR", str(tmp_path))
        opener = urllib.request.OpenerDirector.open
        with pytest.raises(MetricUnavailableError) as raised:
            get_toolbox_metric(name).open()
        assert raised.value.is_download
        expected = rf"^its weights {file} are not in the cache and would be downloaded from {host}$"
        assert re.match(expected, raised.value.reason), raised.value.reason
        assert network == []
        assert urllib.request.OpenerDirector.open is opener

    def test_files_that_are_published_by_a_url(self, network, monkeypatch, tmp_path):
        monkeypatch.setenv("TOPIQ_METRICS_CACHE", str(tmp_path))
        with pytest.raises(MetricUnavailableError, match=r"weights of lpips[+] .* were not found") as raised:
            get_toolbox_metric("lpips+").open()
        assert raised.value.is_download
        with pytest.raises(MetricUnavailableError) as raised:
            get_toolbox_metric("lpips+").open(weights=tmp_path / "none.pth")
        assert not raised.value.is_download
        assert network == []

    def test_whatever_a_metric_fetches_when_it_is_called_is_refused_too(self, network):
        def score(image, _):
            return urllib.request.urlopen("https://example.org/late.pth")

        predictor = ToolboxPredictor(get_toolbox_metric("torchmetrics:total_variation"), score, torch.device("cpu"))
        with pytest.raises(RuntimeError, match=r"its weights late.pth are not in the cache and would .* example.org"):
            predictor(IMAGES)
        assert network == []

    def test_what_it_may_download_is_not_refused(self, network, monkeypatch):
        def open_metric(metric, device, weights):
            urllib.request.urlopen("https://example.org/weights.pth")

        monkeypatch.setattr("topiq_metrics.contenders.torchmetrics_toolbox.open_metric", open_metric)
        with pytest.raises(MetricUnavailableError, match=r"no network") as raised:
            get_toolbox_metric("torchmetrics:total_variation").open(download=True)
        assert not raised.value.is_download
        assert network != []

    def test_other_libraries_are_stopped_at_the_socket(self, network):
        with no_downloads():
            with pytest.raises(DownloadRefusedError, match=r"would connect to example.org"):
                socket.create_connection(("example.org", 80))
            with socket.socket() as client, pytest.raises(DownloadRefusedError, match=r"would connect to 192.0.2.1"):
                client.connect(("192.0.2.1", 80))
        assert network == []
        with pytest.raises(OSError, match="no network"):
            socket.create_connection(("example.org", 80))

    def test_other_threads_go_on(self):
        found = []
        with no_downloads():
            thread = threading.Thread(target=lambda: found.extend(socket.getaddrinfo("127.0.0.1", 80)))
            thread.start()
            thread.join()
        assert found


class TestPredictor:
    def test_ours_is_the_one_that_scores_elsewhere(self, lite_weights):
        metric = get_toolbox_metric("topiq_nr-lite")
        expected = open_predictor("topiq_nr-lite", lite_weights, device="cpu")(IMAGES)
        torch.testing.assert_close(metric.open(weights=lite_weights)(IMAGES), expected, rtol=0, atol=0)

    def test_other_toolboxes_take_no_weights(self, lite_weights):
        with pytest.raises(ValueError, match="`weights` must be 'default' for 'torchmetrics:ssim'"):
            get_toolbox_metric("torchmetrics:ssim").open(weights=lite_weights)

    def test_there_is_no_such_device(self):
        with pytest.raises(ValueError, match="must be such as 'cpu'"):
            get_toolbox_metric("torchmetrics:ssim").open("abacus")

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("torchmetrics:fid", "it scores a set of images, not one"),
            ("pyiqa:fid", "it scores a set of images, not one"),
            ("pyiqa:topiq_nr-face", "it scores a face, not a photograph"),
            ("piq:kid", "it scores a set of images, not one"),
        ],
    )
    def test_what_scores_no_single_photograph_says_so(self, name, reason):
        pytest.importorskip(name.partition(":")[0])
        metric = get_toolbox_metric(name)
        assert metric.unavailable == metric.check() == reason

    def test_the_engine_scores_and_gives_reasons(self, tmp_path):
        for name, image in (("a", IMAGES[0]), ("r", REFERENCES[0]), ("small", IMAGES[0, :, :50, :60])):
            pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        Image.new("RGB", (208, 192)).save(tmp_path / "black.png")
        names = ["torchmetrics:ssim", "torchmetrics:ms_ssim", "torchmetrics:sam", "torchmetrics:total_variation"]
        reference = tmp_path / "r.png"
        items = [
            Item(tmp_path / "a.png", reference),
            Item(tmp_path / "black.png", reference),
            Item(tmp_path / "small.png", tmp_path / "small.png"),
        ]
        rows = list(score_items(items, [get_toolbox_metric(name).open() for name in names]))
        assert rows[0].status == "ok"
        assert set(rows[0].scores) == set(names)
        assert rows[1].error == "torchmetrics:sam: not-finite: the network's output is nan"
        assert rows[1].scores["torchmetrics:ssim"] is not None
        assert "torchmetrics:ms_ssim: too-small" in rows[2].error
        assert "needs 176 px a side, but got 60x50" in rows[2].error

    def test_what_a_metric_raises_is_one_line(self):
        def score(image, _):
            raise KeyError("nothing\nfound")

        predictor = ToolboxPredictor(get_toolbox_metric("torchmetrics:total_variation"), score, torch.device("cpu"))
        with pytest.raises(RuntimeError, match=r"^KeyError: .*$"):
            predictor(IMAGES)

    def test_a_metric_that_writes_into_its_input_spoils_none(self):
        predictor = ToolboxPredictor(
            get_toolbox_metric("torchmetrics:total_variation"),
            lambda image, _: image.zero_().sum(),
            torch.device("cpu"),
        )
        images = IMAGES.clone()
        predictor(images)
        assert torch.equal(images, IMAGES)

    def test_sizes_and_references_are_asked_for(self):
        predictor = get_toolbox_metric("torchmetrics:vif").open()
        with pytest.raises(ImageTooSmallError, match="needs 41 px a side, but got 50x40"):
            predictor(IMAGES[..., :40, :50], REFERENCES[..., :40, :50])
        with pytest.raises(ValueError, match="needs the images' references"):
            predictor(IMAGES)

    def test_pyiqa_has_its_own_networks_where_our_plugin_would_replace_them(self, monkeypatch):
        pyiqa = pytest.importorskip("pyiqa")
        from pyiqa.archs.topiq_arch import CFANet
        from pyiqa.utils.registry import ARCH_REGISTRY

        built = []

        def create_metric(*_, **__):
            built.append(ARCH_REGISTRY.get("CFANet"))
            raise OSError("enough seen")

        monkeypatch.setattr(pyiqa, "create_metric", create_metric)
        ours = ARCH_REGISTRY.get("CFANet")
        assert ours is not CFANet
        assert get_toolbox_metric("pyiqa:topiq_nr").check() == "OSError: enough seen"
        assert built == [CFANet]
        assert ARCH_REGISTRY.get("CFANet") is ours

    def test_random_crops_are_the_same_each_time(self):
        pytest.importorskip("pyiqa")
        from topiq_metrics.contenders.pyiqa_toolbox import _seeded

        before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        drawn = []
        for _ in range(2):
            with _seeded(torch.device("cpu")):
                drawn.append((torch.rand(1).item(), np.random.rand()))  # noqa: NPY002
        assert drawn[0] == drawn[1]
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
