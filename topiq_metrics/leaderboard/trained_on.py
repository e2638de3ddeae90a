"""Whether a metric was trained on the data that it is tested on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from topiq_metrics.catalog import all_cards
from topiq_metrics.datasets.splits import canonical_split
from topiq_metrics.leaderboard.contender_facts import ContenderFacts, contender_facts

Relation: TypeAlias = Literal["this", "other part", "others", "nothing", "unknown"]
RELATIONS: tuple[Relation, ...] = ("this", "other part", "others", "nothing", "unknown")


@dataclass(frozen=True)
class TrainedOn:
    """The training data of a metric, in relation to a test set.

    Attributes:
        relation: ``"this"``: images of the test set are in the training data, or may be (``note`` says why that is not
            known); ``"other part"``: another part of the same dataset is; ``"others"``: only other datasets are;
            ``"nothing"``: the metric was not trained on human scores; ``"unknown"``: not known.
        datasets: names of the datasets with the human scores that it was trained on.
        source: where this is stated.
        note: anything else needed to interpret it.
    """

    relation: Relation = "unknown"
    datasets: tuple[str, ...] = ()
    source: str = ""
    note: str = ""

    @property
    def knows_the_set(self) -> bool:
        """Whether it has an advantage on this test set over metrics that were not trained on its dataset."""
        return self.relation in ("this", "other part")


def trained_on(
    metric: str, dataset: str, split: str, *, seed: int | None = None, is_published: bool = True
) -> TrainedOn:
    """What is known of a metric's training, by its name on a board.

    Args:
        metric: its name, with its published weights.
        dataset: key or name of the test set's dataset.
        split: of the test set, ``"all"`` for the whole.
        seed: of the random split that the test set is a part of, else None.
        is_published: whether the dataset is a published one; where the images of a table come from, nobody says.
    """
    learned = _learned(metric)
    if learned is None or learned.learned is None:
        return TrainedOn()
    names, source = learned.learned, learned.source
    if not names:
        return TrainedOn("nothing", (), source, learned.note)
    family = _family(dataset)
    own = next((name for name in names if _family(name) == family), None) or next(
        (name for name in names if family in _SHARED.get(_family(name), ())), None
    )
    if own is None:
        if is_published or family in _KNOWN:
            return TrainedOn("others", names, source, learned.note)
        return TrainedOn("unknown", names, source, "Where the images of this table come from is not known.")
    if metric in _OTHER_PICTURES:
        return TrainedOn("other part", names, source, _OTHER_PICTURES[metric])
    if seed is not None:
        note = (
            f"The random split of seed {seed} is not the one that these weights were trained with: they may know "
            "images of it."
        )
        return TrainedOn("this", names, source, note)
    if _LIST in _plain(dataset):
        split = "test" if family in _LISTED_OF_TEST else "all"
    if split == "all" or canonical_split(split) == "train":
        return TrainedOn("this", names, source, learned.note)
    if learned.keeps_splits and canonical_split(split) in ("test", "validation"):
        return TrainedOn("other part", names, source, learned.note)
    return TrainedOn("this", names, source, f"Which part of {own} these weights have learned from is not said.")


def _learned(metric: str) -> ContenderFacts | None:
    """What it has learned from, and who says so; None where nobody does."""
    facts = contender_facts(metric)
    if facts is not None and facts.learned is not None:
        return facts
    toolbox, _, name = metric.rpartition(":")
    # pyiqa has those of the same name, with the same weights.
    card = all_cards().get(name) if toolbox in ("", "pyiqa") else None
    names = () if card is None else _names_in(card.trained_on)
    if card is None or not names:
        return None
    tested = {result.dataset for result in card.published}
    keeps = all(f"{each} test" in tested for each in names) or card.name in _KEEP_SPLITS
    return ContenderFacts("", names, "its card" if not toolbox else "the card of the same weights here", "", keeps)


def _names_in(text: str) -> tuple[str, ...]:
    """The datasets that a text names, the first one first; a name within a longer one is none."""
    found = {place.start(): place[0] for place in _NAMES.finditer(text)}
    return tuple(dict.fromkeys(_SPELLED[found[start].lower()] for start in sorted(found)))


def _family(name: str) -> str:
    """A dataset by letters and digits alone: one for all of its sizes, kinds, scores and test lists."""
    plain = _plain(name).replace(_LIST, "").removesuffix("realigned")
    plain = _ALIASES.get(plain, plain)
    return next((start for start in _FAMILIES if plain.startswith(start)), plain)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_DATASETS = (
    "AGIQA-3K",
    "AVA",
    "BAPPS",
    "BIQ2021",
    "CGFIQA-40k",
    "CSIQ",
    "FLIVE",
    "GFIQA-20k",
    "KADID-10k",
    "KonIQ-10k",
    "LIVE Challenge",
    "LIVE",
    "PIPAL",
    "PIQ23",
    "PieAPP",
    "SPAQ",
    "TID2008",
    "TID2013",
    "UHD-IQA",
)
_SPELLED = {name.lower(): name for name in _DATASETS}
_NAMES = re.compile(
    rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(_DATASETS, key=len, reverse=True)))})(?![\w-])", re.IGNORECASE
)
_ALIASES = {"livec": "livechallenge", "clive": "livechallenge", "livefb": "flive", "liveitw": "livechallenge"}
_FAMILIES = ("koniq10k", "flive", "pieapp", "bapps")
_LIST = "multimodaltest"
_LISTED_OF_TEST = ("koniq10k",)
"""Those whose list of test images is of their official test part."""
_KNOWN = frozenset(_family(name) for name in _DATASETS)
_SHARED = {"tid2013": ("tid2008",), "tid2008": ("tid2013",)}
"""The same references under the same kinds of distortion."""
_KEEP_SPLITS = ("topiq_nr-lite", "lpips+", "lpips-vgg+")
"""Those that have learned from the official training part alone, though no result on its test part was published."""
_OTHER_PICTURES = {"topiq_fr-lite": "It has learned the mean scores of kinds of distortion, on other pictures."}
"""Those that have learned from the opinion scores of a dataset, but not from its images."""
