"""What a board says of a metric beside its scores: its training, its paper, and what does not fit."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from topiq_metrics.catalog import CARDS
from topiq_metrics.catalog.cards import PublishedResult
from topiq_metrics.contenders import list_toolbox_metrics
from topiq_metrics.datasets import all_datasets
from topiq_metrics.leaderboard.bibliography import PAPERS
from topiq_metrics.leaderboard.board import Board, BoardError, Cost, Entry, TestSet, load_board, save_board
from topiq_metrics.leaderboard.papers import Citation, citation_of_dataset, citation_of_metric, parse_citation
from topiq_metrics.leaderboard.ranking import MetricResult, Rules, as_records, judge
from topiq_metrics.leaderboard.trained_on import TrainedOn, trained_on
from topiq_metrics.statistics.bootstrap import Bootstrap

BOARDS = Path(__file__).parents[2] / "docs" / "boards"
COUNT = 30


def a_test_set(**fields: object) -> TestSet:
    given: dict[str, object] = {
        "dataset": "koniq-10k",
        "name": "KonIQ-10k",
        "split": "test",
        "split_hash": "0" * 16,
        "seed": None,
        "partial": False,
        "higher_is_better": True,
        "citation": "V. Hosu, H. Lin, T. Sziranyi, D. Saupe. KonIQ-10k. 2020",
        "license": "",
        "ids": [f"{index}.png" for index in range(COUNT)],
        "mos": [float(index) for index in range(COUNT)],
    }
    return TestSet(**{**given, **fields})  # type: ignore[arg-type]


def entry(metric: str, scores: list[float], of: TestSet, **fields: object) -> Entry:
    return Entry(of.key, metric, "topiq-metrics", "NR", True, "scored", scores=scores, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metric", "dataset", "split", "relation"),
    [
        ("topiq_nr", "koniq-10k", "test", "other part"),
        ("topiq_nr", "koniq-10k", "validation", "other part"),
        ("topiq_nr", "koniq-10k", "training", "this"),
        ("topiq_nr", "koniq-10k", "all", "this"),
        ("topiq_nr", "koniq-10k-1024x768", "test", "other part"),
        ("topiq_nr", "spaq", "all", "others"),
        ("topiq_nr", "live-challenge", "all", "others"),
        ("topiq_nr-lite", "biq2021", "train", "this"),
        ("topiq_nr-lite", "biq2021", "test", "other part"),
        ("topiq_nr-face-v1", "cgfiqa-40k", "test", "others"),
        ("lpips+", "bapps", "val", "other part"),
        ("lpips+", "bapps", "train", "this"),
        ("topiq_fr-lite", "kadid-10k", "all", "other part"),
        ("topiq_nr-face", "cgfiqa-40k", "test", "other part"),
        ("topiq_nr", "koniq-10k", "some fold", "this"),
        ("qfm_iqm-lite", "koniq-10k", "test", "unknown"),
        ("nobody:knows", "koniq-10k", "test", "unknown"),
    ],
)
def test_training_of_our_metrics(metric: str, dataset: str, split: str, relation: str) -> None:
    found = trained_on(metric, dataset, split)
    assert found.relation == relation
    assert found.knows_the_set == (relation in ("this", "other part"))
    assert bool(found.datasets) == (relation != "unknown")
    assert found.source == ("" if relation == "unknown" else "its card")


def test_a_random_split_is_not_that_of_the_weights() -> None:
    assert trained_on("topiq_nr-spaq", "spaq", "all").note == ""
    found = trained_on("topiq_nr-spaq", "spaq", "test", seed=3)
    assert (found.relation, found.datasets) == ("this", ("SPAQ",))
    assert "random split of seed 3 is not the one that these weights were trained with" in found.note
    assert trained_on("topiq_nr", "spaq", "test", seed=3).note == ""


def test_where_the_images_of_a_table_come_from_is_not_known() -> None:
    found = trained_on("topiq_nr", "photographs", "all", is_published=False)
    assert (found.relation, found.datasets) == ("unknown", ("KonIQ-10k",))
    assert trained_on("topiq_nr", "koniq10k", "all", is_published=False).relation == "this"
    assert trained_on("topiq_nr", "SPAQ", "all", is_published=False).relation == "others"


def test_every_card_that_names_a_dataset_is_understood() -> None:
    for card in CARDS.values():
        found = trained_on(card.name, "agiqa-3k", "all")
        assert (found.relation == "unknown") == (card.trained_on == "what you train it on"), card.name
        assert all(name in card.trained_on for name in found.datasets)


@pytest.mark.parametrize(
    ("metric", "dataset", "split", "relation", "names"),
    [
        ("pyiqa:ssim", "tid2013", "all", "nothing", ""),
        ("torchmetrics:clip_iqa", "koniq-10k", "test", "nothing", ""),
        ("piq:lpips", "bapps", "val", "other part", "BAPPS"),
        ("piq:lpips", "bapps-jnd", "val", "other part", "BAPPS"),
        ("piq:pieapp", "pieapp-test", "test", "other part", "PieAPP"),
        ("pyiqa:dists", "kadid-10k", "all", "this", "KADID-10k"),
        ("pyiqa:topiq_nr", "koniq-10k", "test", "other part", "KonIQ-10k"),
        ("pyiqa:topiq_nr-spaq", "spaq", "all", "this", "SPAQ"),
        ("pyiqa:brisque", "live", "all", "this", "LIVE"),
        ("pyiqa:brisque", "live-challenge", "all", "others", "LIVE"),
        ("pyiqa:brisque", "live-realigned", "all", "this", "LIVE"),
        ("pyiqa:liqe_mix", "live-md", "all", "others", "LIVE, CSIQ, KADID-10k, BID, LIVE Challenge, KonIQ-10k"),
        ("topiq_nr-spaq", "spaq-multimodal-test", "test", "this", "SPAQ"),
        ("topiq_fr", "kadid-10k-multimodal-test", "all", "this", "KADID-10k"),
        ("topiq_nr", "koniq-10k-multimodal-test", "all", "other part", "KonIQ-10k"),
        ("topiq_nr", "koniq-10k-multimodal-test-1024x768", "all", "other part", "KonIQ-10k"),
        ("topiq_iaa", "ava-multimodal-test", "test", "this", "AVA"),
        ("topiq_nr", "koniq-10k", "all", "this", "KonIQ-10k"),
        ("pyiqa:arniqa-tid", "tid2008", "all", "this", "TID2013"),
        ("pyiqa:unique", "bid", "all", "this", "LIVE, CSIQ, KADID-10k, BID, LIVE Challenge, KonIQ-10k"),
        ("pyiqa:qrealign", "koniq-10k", "all", "unknown", ""),
    ],
)
def test_training_of_others(metric: str, dataset: str, split: str, relation: str, names: str) -> None:
    found = trained_on(metric, dataset, split)
    assert (found.relation, ", ".join(found.datasets)) == (relation, names)


def test_which_part_is_not_always_said() -> None:
    found = trained_on("pyiqa:hyperiqa", "koniq-10k", "test")
    assert found.relation == "this"
    assert found.note == "Which part of KonIQ-10k these weights have learned from is not said."
    assert trained_on("pyiqa:hyperiqa", "koniq-10k", "all").note == ""


def test_every_metric_of_a_toolbox_is_known() -> None:
    usable = [metric for metric in list_toolbox_metrics() if not metric.unavailable and not metric.is_ours]
    assert {metric.toolbox for metric in usable} >= {"pyiqa", "piq", "torchmetrics"}
    silent = {metric.name for metric in usable if trained_on(metric.name, "none", "all").relation == "unknown"}
    assert all(name.startswith("pyiqa:qrealign") for name in silent), silent
    without = {metric.name.partition(":")[2] for metric in usable if citation_of_metric(metric.name) is None}
    assert without <= {"psnr", "psnry", "entropy", "laion_aes", "rmse_sw", "ergas", "sam", "rase"}


def test_papers_of_our_metrics() -> None:
    for card in CARDS.values():
        citation = citation_of_metric(card.name)
        assert citation is not None
        assert citation.year is not None
    for name in ("topiq_iaa", "lpips-vgg+", "qfm_iqm-lite"):
        citation = citation_of_metric(name)
        assert citation is not None
        assert (citation.year, bool(citation.bibtex)) == (2024, True)
    assert citation_of_metric("pyiqa:topiq_nr") == citation_of_metric("topiq_nr")
    citation = citation_of_metric("topiq_nr")
    assert citation is not None
    assert citation.url == "https://arxiv.org/abs/2308.03060"
    assert "author = {C. Chen and J. Mo and" in citation.bibtex
    assert "volume = {33},\n  pages = {2404--2418},\n" in citation.bibtex


def test_bibtex_is_well_formed() -> None:
    citations = {text: parse_citation(text) for text in PAPERS.values()}
    citations |= {reader.facts.citation: parse_citation(reader.facts.citation) for reader in all_datasets().values()}
    keys = {}
    for text, citation in citations.items():
        entry = citation.bibtex
        found = re.match(r"@(article|inproceedings|misc)\{([a-z0-9]+),\n", entry)
        assert found, text
        assert keys.setdefault(found[2], text) == text
        assert entry.count("{") == entry.count("}")
        assert not re.search(r"(?<!\\)[&%#]", entry), entry
        assert str(citation.year) in text
        # What is between the authors and the venue is the title.
        title = re.search(r"title = \{\{(.*)\}\}", entry)
        assert title is not None
        assert f". {title[1]}. " in text or f". {title[1]}? " in text


def test_a_journal_a_conference_and_a_preprint() -> None:
    journal = parse_citation("A. One, B. C. Two-Three. A title: of x. Journal Y & Z 12(3):4-5, 2019, arXiv 1901.00001")
    assert journal.bibtex == (
        "@article{one2019title,\n  author = {A. One and B. C. Two-Three},\n  title = {{A title: of x}},\n"
        "  journal = {Journal Y \\& Z},\n  volume = {12},\n  number = {3},\n  pages = {4--5},\n  year = {2019},\n"
        "  eprint = {1901.00001},\n  archiveprefix = {arXiv},\n}\n"
    )
    assert journal.url == "https://arxiv.org/abs/1901.00001"
    conference = parse_citation("A. Öne, et al. Some title. CVPR workshops 2020")
    assert conference.bibtex.startswith("@inproceedings{one2020some,\n  author = {A. Öne and others},\n")
    assert "booktitle = {CVPR workshops},\n" in conference.bibtex
    preprint = parse_citation("A. One. Some title. arXiv 2401.00001, 2024")
    assert preprint.bibtex.startswith("@misc{")
    assert "booktitle" not in preprint.bibtex
    assert parse_citation("benchmarks/boards.py; the score is the level") == Citation(
        "benchmarks/boards.py; the score is the level"
    )


def test_a_text_of_another_form_is_a_citation_with_its_year() -> None:
    text = "Chen et al., TOPIQ, IEEE TIP 33:2404-2418, 2024, arXiv 2308.03060"
    assert citation_of_dataset(text) == Citation(text, 2024)
    assert citation_of_dataset("") is None


def test_what_a_file_keeps(tmp_path: Path) -> None:
    of = a_test_set(paper=citation_of_dataset("A. One. Some set. CVPR 2020"))
    known = entry(
        "topiq_nr",
        of.mos,
        of,
        trained_on=TrainedOn("others", ("A", "B"), "a paper", "a note"),
        citation=Citation("Somebody 2020", 2020),
        cost=Cost(milliseconds=2.0, cpu_seconds=0.004, load=1.5, cores=2),
    )
    save_board(Board([of], [known]), tmp_path / "board.json")
    again = load_board(tmp_path / "board.json")
    assert again.entries == [known]
    assert again.test_sets[0].paper == of.paper

    document = json.loads((tmp_path / "board.json").read_text())
    document["entries"][0]["trained_on"]["relation"] = "everything"
    (tmp_path / "board.json").write_text(json.dumps(document))
    with pytest.raises(BoardError, match="topiq_nr was trained on 'everything'"):
        load_board(tmp_path / "board.json")


def test_an_earlier_file_is_filled_in(tmp_path: Path) -> None:
    of = a_test_set()
    save_board(Board([of], [entry("topiq_nr", of.mos, of)]), tmp_path / "board.json")
    document = json.loads((tmp_path / "board.json").read_text())
    del document["subjects"][0]["paper"], document["entries"][0]["trained_on"], document["entries"][0]["citation"]
    for name in ("cpu_seconds", "load", "cores"):
        del document["entries"][0]["cost"][name]
    (tmp_path / "board.json").write_text(json.dumps(document))
    board = load_board(tmp_path / "board.json")
    assert board.entries[0].trained_on.relation == "other part"
    assert board.entries[0].citation == citation_of_metric("topiq_nr")
    assert board.test_sets[0].paper == citation_of_dataset(of.citation)
    assert board.entries[0].cost == Cost()


def test_the_board_of_the_documentation_knows_who_knows_its_photographs() -> None:
    board = load_board(BOARDS / "no-reference.json")
    relations = {entry.metric: entry.trained_on.relation for entry in board.entries}
    assert relations["topiq_nr-lite"] == "other part"
    assert relations["topiq_nr"] == "others"
    assert relations["pyiqa:niqe"] == "nothing"


def test_a_metric_that_goes_the_other_way() -> None:
    of = a_test_set()
    wrong = [-mos for mos in of.mos]
    unsure = [(-1.0) ** index * index - 0.1 * index for index in range(COUNT)]
    (ranking,) = judge(
        Board([of], [entry("right", of.mos, of), entry("wrong", wrong, of), entry("unsure", unsure, of)]),
        Rules(bootstrap=Bootstrap(resamples=200)),
    )
    inverted = {each.entry.metric: each.inverted for each in ranking.results}
    assert inverted == {"right": False, "wrong": True, "unsure": False}
    rows = {row["metric"]: row for row in as_records([ranking])}
    assert rows["wrong"]["inverted"]
    assert rows["right"]["trained_on"]["relation"] == "unknown"


def test_which_published_figure_disagrees() -> None:
    of = a_test_set()
    scores = [float(mos**3) for mos in of.mos]
    (ranking,) = judge(Board([of], [entry("cubed", scores, of)]), Rules(bootstrap=Bootstrap(resamples=200)))
    (result,) = ranking.results
    assert result.plcc_raw.value < 0.95
    assert result.figure("fitted_plcc").value > 0.97

    def disagrees(plcc: float, srcc: float) -> tuple[str, ...]:
        published: MetricResult = replace(result, published=PublishedResult("KonIQ-10k test", plcc, srcc))
        return published.disagrees_on

    assert disagrees(result.plcc_raw.value, 1.0) == ()
    # With the fitted one, what is published would be taken for a disagreement.
    assert disagrees(result.figure("fitted_plcc").value, 1.0) == ("plcc",)
    assert disagrees(result.plcc_raw.value, 0.5) == ("srcc",)
