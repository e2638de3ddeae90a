"""What to cite for a metric and for a dataset: papers as data, as text and as BibTeX."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from topiq_metrics.catalog import all_cards


@dataclass(frozen=True)
class Citation:
    """A paper, ready to be shown and to be pasted.

    Attributes:
        text: authors, title, venue and year in one line.
        year: of the publication; None where it is not known.
        bibtex: an entry for a ``.bib`` file; empty where the paper is known as a text only.
        url: of the paper, where it has a DOI or is on arXiv.
    """

    text: str
    year: int | None = None
    bibtex: str = ""
    url: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper in its parts.

    Attributes:
        authors: with initials, the family name last; ``"others"`` at the end for more.
        title: as published.
        venue: a journal, or a conference with its year left out.
        year: of the publication.
        where: volume, number and pages of a journal, as text.
        doi: without the address before it.
        arxiv: number of the preprint.
        is_article: whether the venue is a journal.
    """

    authors: tuple[str, ...]
    title: str
    venue: str
    year: int
    where: str = ""
    doi: str = ""
    arxiv: str = ""
    is_article: bool = False

    @property
    def text(self) -> str:
        place = f"{self.venue} {self.where}, {self.year}" if self.where else f"{self.venue} {self.year}"
        return f"{', '.join(self.authors)}. {self.title}. {place}"

    @property
    def url(self) -> str:
        return (
            f"https://doi.org/{self.doi}" if self.doi else f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else ""
        )

    @property
    def key(self) -> str:
        """Of the BibTeX entry: the first author's family name, the year and the first long word of the title."""
        family = _ascii(self.authors[0].split()[-1])
        word = next((each for each in re.findall(r"[A-Za-z0-9]+", _ascii(self.title)) if len(each) > 3), "")
        return f"{family}{self.year}{word}".lower()

    @property
    def bibtex(self) -> str:
        journal = _JOURNAL.fullmatch(self.where)
        fields = {
            "author": " and ".join(self.authors),
            # Capitals of names such as NIQE stay.
            "title": f"{{{_tex(self.title)}}}",
            "journal" if self.is_article else "booktitle": _tex(self.venue),
            **({} if journal is None else {name: text for name, text in journal.groupdict().items() if text}),
            "year": str(self.year),
            "doi": self.doi,
            **({"eprint": self.arxiv, "archiveprefix": "arXiv"} if self.arxiv else {}),
        }
        lines = "".join(f"  {name} = {{{text}}},\n" for name, text in fields.items() if text)
        return f"@{'article' if self.is_article else 'inproceedings'}{{{self.key},\n{lines}}}\n"

    def citation(self, text: str = "") -> Citation:
        """What a board holds of it; ``text`` instead of its own."""
        return Citation(text or self.text, self.year, self.bibtex, self.url)


_JOURNAL = re.compile(r"(?P<volume>\d+)(?:\((?P<number>[\d-]+)\))?(?::(?P<pages>[\d-]+))?")


def citation_of_metric(metric: str) -> Citation | None:
    """What to cite for a metric, by its name on a board; None where that is not known."""
    card = all_cards().get(metric)
    if card is not None:
        key = next((key for start, key in _OF_CARDS.items() if card.name.startswith(start)), None)
        if not card.paper or key is None:
            return Citation(card.paper, _year(card.paper)) if card.paper else None
        return PAPERS[key].citation()
    return None


def citation_of_dataset(key: str, text: str) -> Citation | None:
    """What to cite for a dataset, by its key; ``text`` is its reader's citation."""
    known = _OF_DATASETS.get(key)
    if known is None:
        return Citation(text, _year(text)) if text else None
    return PAPERS[known].citation(text)


def _year(text: str) -> int | None:
    found = re.findall(r"\b(?:19|20)\d\d\b(?!\.\d)", text)
    return int(found[-1]) if found else None


def _tex(text: str) -> str:
    return re.sub(r"([&%#_])", r"\\\1", text)


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


PAPERS = {
    "topiq": Paper(
        ("C. Chen", "J. Mo", "J. Hou", "H. Wu", "L. Liao", "W. Sun", "Q. Yan", "W. Lin"),
        "TOPIQ: a top-down approach from semantics to distortions for image quality assessment",
        "IEEE Transactions on Image Processing",
        2024,
        "33:2404-2418",
        arxiv="2308.03060",
        is_article=True,
    ),
    "koniq": Paper(
        ("V. Hosu", "H. Lin", "T. Sziranyi", "D. Saupe"),
        "KonIQ-10k: an ecologically valid database for deep learning of blind image quality assessment",
        "IEEE Transactions on Image Processing",
        2020,
        "29:4041-4056",
        is_article=True,
    ),
}

_OF_CARDS = {"topiq": "topiq", "lpips": "topiq"}
_OF_DATASETS = {"koniq-10k": "koniq", "koniq-10k-1024x768": "koniq"}
