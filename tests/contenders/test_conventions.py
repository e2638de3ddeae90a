"""What is said of the contenders, measured in the toolboxes that are installed: a release that does otherwise fails."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import importlib
import importlib.util
import io
import json
import math
from pathlib import Path

import pytest
import torch

from topiq_metrics.contenders import conventions, get_toolbox_metric, list_toolbox_metrics, missing_toolboxes, probes
from topiq_metrics.contenders.conventions import MEANINGS, REPOSITORIES, TESTED, convention_of, find_conventions
from topiq_metrics.contenders.conventions_text import as_csv, as_json, as_markdown, in_words
from topiq_metrics.contenders.known_conventions import CONVENTIONS

PAGE = Path(__file__).parents[2] / "docs" / "conventions.md"
PICTURE, NOISY_PICTURE = "c45591e26700", "598eb8bcd0ba"
COMPUTED = [each for each in CONVENTIONS if not each.needs_weights]

pytestmark = pytest.mark.filterwarnings("ignore")


def require(convention):
    toolbox = conventions.toolbox_of(convention)
    if toolbox in missing_toolboxes():
        pytest.skip(missing_toolboxes()[toolbox])
    return toolbox


@pytest.mark.parametrize("convention", COMPUTED, ids=lambda each: each.metric)
def test_a_toolbox_does_what_is_said_of_it(convention):
    require(convention)
    assert probes.differences(convention) == []


def test_every_contender_has_one():
    known = {each.metric for each in CONVENTIONS}
    assert len(known) == len(CONVENTIONS)
    listed = list_toolbox_metrics()
    assert {each.name for each in listed if not each.unavailable} - known == set()
    here = {each.toolbox for each in listed}
    assert {each.metric for each in CONVENTIONS if conventions.toolbox_of(each) in here} - {
        each.name for each in listed
    } == set()
    for each in CONVENTIONS:
        for field, meanings in MEANINGS.items():
            value = getattr(each, field)
            assert value is None or value in meanings or (field == "downsampling" and " " in value), each.metric
        # Facts that a probe finds out are there, but for MAD's, which takes seconds for each.
        if not each.needs_weights and each.metric != "pyiqa:mad":
            assert None not in {each.sample, each.flat, each.black, each.downsampling}, each.metric


def test_equal_images_and_swapping_are_said_of_comparisons_only():
    for metric in list_toolbox_metrics():
        convention = convention_of(metric.name)
        if metric.mode == "NR" and convention is not None:
            assert (convention.equal, convention.symmetric, convention.edge) == (None, None, None), metric.name
        elif convention is not None and not convention.needs_weights:
            assert convention.equal is not None, metric.name


@pytest.mark.parametrize("toolbox", ["piq", "torchmetrics"])
def test_metrics_are_told_the_range_where_they_can_be(toolbox):
    pytest.importorskip(toolbox)
    adapter = importlib.import_module(f"topiq_metrics.contenders.{toolbox}_toolbox")
    images = [probes.noisy_picture(), probes.picture()]
    for name, metric in adapter._METRICS.items():
        convention = convention_of(f"{toolbox}:{name}")
        told = metric.ranged if toolbox == "piq" else "data_range" in dict(metric.arguments)
        if convention.needs_weights:
            continue
        assert told == (convention.range == "told"), name
        if told and name != "psnrb":
            path, _, call = metric.home.partition(":") if toolbox == "torchmetrics" else ("", "", metric.call)
            home = importlib.import_module(f"torchmetrics.{path}" if path else "piq")
            found = getattr(home, call)(*(x * 255 for x in images), data_range=255.0)
            assert found.item() == pytest.approx(convention.sample, rel=1e-3), name


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda each: each.metric)
def test_a_source_is_a_file_of_its_toolbox(convention):
    require(convention)
    package, _, path = convention.source.partition("/")
    assert (Path(importlib.util.find_spec(package).origin).parent / path).is_file()


def test_dists_of_piq_shrinks_and_that_of_others_does_not(monkeypatch):
    """Said of networks whose weights are not needed to see it."""
    piq = pytest.importorskip("piq")
    assert "256" in convention_of("piq:dists").downsampling
    seen = []
    monkeypatch.setattr(
        "piq.perceptual.ContentLoss.forward", lambda _, x, y: seen.append((x.shape, y.shape)) or torch.ones(1)
    )
    dists = piq.DISTS.__new__(piq.DISTS)
    torch.nn.Module.__init__(dists)
    for side in (256, 320):
        dists(torch.rand(1, 3, side, side + 64), torch.rand(1, 3, side, side + 64))
    assert [shape[-2:] for shape, _ in seen] == [(256, 320), (256, 307)]

    from torchmetrics.functional.image import dists as theirs

    network = theirs.DISTSNetwork.__new__(theirs.DISTSNetwork)
    torch.nn.Module.__init__(network)
    network.alpha, network.beta, network.chns = torch.ones(1, 3, 1, 1), torch.ones(1, 3, 1, 1), [3]
    monkeypatch.setattr(theirs.DISTSNetwork, "forward_once", lambda _, x: seen.append(x.shape) or [x], raising=True)
    network(torch.rand(1, 3, 320, 384), torch.rand(1, 3, 320, 384))
    assert seen[-1][-2:] == (320, 384)
    assert convention_of("torchmetrics:dists").downsampling == "none"


class TestProbes:
    def test_the_picture_is_the_same_everywhere(self):
        def digest(image):
            return hashlib.sha256((image * 255).round().byte().numpy().tobytes()).hexdigest()[:12]

        assert (digest(probes.picture()), digest(probes.noisy_picture())) == (PICTURE, NOISY_PICTURE)

    def test_what_is_said_wrongly_is_found(self):
        said = dataclasses.replace(
            convention_of("torchmetrics:ssim"),
            range="any",
            colour="luma",
            downsampling="large",
            batch="each",
            edge=0.01,
            sample=0.58,
            equal=0.5,
            flat=conventions.VARIES,
            black=math.nan,
            symmetric=False,
        )
        found = "\n".join(probes.differences(said))
        for name in probes.PROBES:
            assert f"{name} is " in found
        assert "colour is channels, not luma" in found

    def test_a_release_that_does_otherwise_is_found(self, monkeypatch):
        home = importlib.import_module("torchmetrics.functional.image")
        theirs = home.structural_similarity_index_measure

        def of_luma(image, reference, **options):
            luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
            return theirs(*((x * luma).sum(1, keepdim=True) for x in (image, reference)), **options)

        monkeypatch.setattr(home, "structural_similarity_index_measure", of_luma)
        found = probes.differences(convention_of("torchmetrics:ssim"))
        assert "colour is luma, not channels" in found
        assert any(line.startswith("sample is ") for line in found)

    @pytest.mark.parametrize(
        ("expected", "found", "agree"),
        [
            (0.5, 0.5005, True),
            (0.5, 0.51, False),
            (math.inf, math.inf, True),
            (math.inf, 80.0, False),
            (80.0, math.inf, False),
            (math.nan, math.nan, True),
            (1.0, math.nan, False),
            (conventions.ERROR, conventions.ERROR, True),
            (1.0, conventions.VARIES, False),
            (True, False, False),
        ],
    )
    def test_agreement(self, expected, found, agree):
        assert probes.agree(expected, found) is agree


class TestFinding:
    def test_those_of_one_name_are_side_by_side(self):
        found = [each.metric for each in find_conventions(["torchmetrics:ssim", "piq:lpips", "*:ssim", "piq:psnr"])]
        assert found[0] == "piq:psnr"
        assert set(found[1:4]) == {"pyiqa:ssim", "piq:ssim", "torchmetrics:ssim"}
        assert found[4:] == ["piq:lpips"]
        assert len(find_conventions()) == len(CONVENTIONS)

    def test_an_unknown_name(self):
        with pytest.raises(ValueError, match=r"No conventions are known for 'piq:sim'\. Did you mean .*'piq:ssim'"):
            find_conventions(["piq:sim"])
        with pytest.raises(ValueError, match="No conventions are known for 'nobody:"):
            find_conventions(["nobody:*"])

    def test_another_release_is_told_of(self, monkeypatch):
        shown = find_conventions(["torchmetrics:ssim"])
        monkeypatch.setitem(TESTED, "torchmetrics", "0.1")
        assert conventions.other_releases(shown) == {"torchmetrics": __import__("torchmetrics").__version__}
        monkeypatch.setitem(TESTED, "torchmetrics", __import__("torchmetrics").__version__)
        assert conventions.other_releases(shown) == {}


class TestTexts:
    def test_the_page_is_up_to_date(self):
        """``topiq leaderboard conventions -o docs/conventions.md --force`` makes it."""
        assert PAGE.read_text(encoding="utf-8") == as_markdown(find_conventions())

    def test_json(self):
        def refuse(constant):
            raise AssertionError(constant)

        document = json.loads(
            as_json(find_conventions(["torchmetrics:psnr", "torchmetrics:vif"])), parse_constant=refuse
        )
        assert document["releases"] == {"torchmetrics": TESTED["torchmetrics"]}
        rows = {row["metric"]: row for row in document["conventions"]}
        assert rows["torchmetrics:psnr"]["equal"] == "inf"
        assert rows["torchmetrics:vif"]["black"] == "nan"
        assert document["meanings"]["range"][rows["torchmetrics:vif"]["range"]].startswith("is made for 0 … 255")

    def test_csv(self):
        rows = list(csv.DictReader(io.StringIO(as_csv(find_conventions()))))
        assert len(rows) == len(CONVENTIONS)
        row = next(row for row in rows if row["metric"] == "piq:ssim")
        assert (row["toolbox"], row["release"], row["colour"]) == ("piq", TESTED["piq"], "channels")
        assert float(row["sample"]) == convention_of("piq:ssim").sample

    def test_markdown(self):
        text = as_markdown(find_conventions(["piq:*"]))
        assert f"piq {TESTED['piq']}." in text
        assert REPOSITORIES["piq"] in text
        assert "torchmetrics:ssim" not in text
        assert "`byte`" not in text
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert {line.count("|") for line in rows} == {14, 8}
        assert "## Networks" not in as_markdown(find_conventions(["piq:ssim"]))
        assert "## Metrics without" not in as_markdown(find_conventions(["piq:lpips"]))

    @pytest.mark.parametrize(
        ("field", "value", "text"),
        [
            ("edge", 0.0018, "0.00"),
            ("equal", math.inf, "∞"),
            ("black", math.nan, "NaN"),
            ("sample", 0.58064, "0.5806"),
            ("flat", conventions.ERROR, "fails"),
            ("flat", conventions.VARIES, "uncertain"),
            ("symmetric", False, "no"),
            ("batch", None, ""),
        ],
    )
    def test_words(self, field, value, text):
        assert in_words(field, value) == text


def test_boards_know_the_metrics_by_these_names():
    assert get_toolbox_metric("torchmetrics:vif").takes == "RGB in 0 … 255"
    assert {each.metric for each in CONVENTIONS if each.range == "byte"} == {"torchmetrics:vif", "brisque:brisque"}
