"""Whether a metric has learned from the very data that it is compared on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from topiq_metrics.catalog import all_cards

Relation: TypeAlias = Literal["this", "other part", "others", "nothing", "unknown"]
RELATIONS: tuple[Relation, ...] = ("this", "other part", "others", "nothing", "unknown")


@dataclass(frozen=True)
class TrainedOn:
    """What a metric has learned from, seen from a test set.

    Attributes:
        relation: ``"this"``: images of the test set are, or may be, among those learned from; ``"other part"``: another
            part of the same dataset; ``"others"``: other datasets; ``"nothing"``: no opinion score was ever learned
            from; ``"unknown"``: nobody says.
        datasets: names of those it has learned opinion scores from.
        source: where that is said.
        note: what else a reader must know.
    """

    relation: Relation = "unknown"
    datasets: tuple[str, ...] = ()
    source: str = ""
    note: str = ""

    @property
    def knows_the_set(self) -> bool:
        """Whether it has an advantage on this test set over metrics that do not know it."""
        return self.relation in ("this", "other part")


_UNKNOWN = TrainedOn()


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
    if learned is None:
        return _UNKNOWN
    names, source = learned
    if not names:
        return TrainedOn("nothing", (), source)
    family = _family(dataset)
    own = [name for name in names if _family(name) == family or family in _PARTS_OF.get(_family(name), ())]
    if not own:
        relation: Relation = "others" if is_published or family in _KNOWN else "unknown"
        note = "" if relation == "others" else "Where the images of this table come from is not known."
        return TrainedOn(relation, names, source, note)
    if split in _HELD_OUT.get(metric, ()) or (family in _OFFICIAL and _is_kept_for_tests(split)):
        return TrainedOn("other part", names, source)
    note = ""
    if seed is not None:
        note = (
            f"The random split of seed {seed} is not the one that these weights were trained with: images of it may be "
            "among those learned from."
        )
    return TrainedOn("this", names, source, note)


def _learned(metric: str) -> tuple[tuple[str, ...], str] | None:
    """The names of what it has learned from, and who says so; None where nobody does."""
    card = all_cards().get(metric)
    if card is None:
        return None
    names = _names_in(card.trained_on)
    return (names, "its card") if names else None


def _names_in(text: str) -> tuple[str, ...]:
    """The datasets that a text names, the first one first; a name within a longer one is none."""
    found = {place.start(): place[0] for place in _NAMES.finditer(text)}
    return tuple(dict.fromkeys(_SPELLED[found[start].lower()] for start in sorted(found)))


def _is_kept_for_tests(split: str) -> bool:
    return split.lower() in ("test", "testing", "val", "validation", "valid")


def _family(name: str) -> str:
    """A dataset by letters and digits alone: one for all of its sizes and kinds."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    plain = _ALIASES.get(plain, plain)
    return next((start for start in _FAMILIES if plain.startswith(start)), plain)


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
_KNOWN = frozenset(_family(name) for name in _DATASETS)
_OFFICIAL = frozenset(
    ("koniq10k", "flive", "ava", "biq2021", "cgfiqa40k", "pipal", "pieapp", "bapps", "uhdiqa", "piq23")
)
"""Those whose authors say which images are for tests; published weights keep to that."""
_PARTS_OF = {"tid2013": ("tid2008",), "tid2008": ("tid2013",)}
"""The same references under the same kinds of distortion."""
_HELD_OUT = {"topiq_nr-lite": ("held-out part of train",)}
"""Parts of a training split that the bundled weights have not seen; see their card in the documentation."""
