"""What to cite for a metric and for a dataset: a line of text, from which the year and BibTeX are made."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from topiq_metrics.catalog import all_cards
from topiq_metrics.leaderboard.bibliography import PAPERS
from topiq_metrics.leaderboard.contender_facts import contender_facts


@dataclass(frozen=True)
class Citation:
    """A paper, ready to be shown and to be pasted.

    Attributes:
        text: authors, title, venue and year in one line.
        year: year of publication; None if it is not known.
        bibtex: an entry for a ``.bib`` file; empty if the text could not be parsed.
        url: address of the preprint, if there is one.
    """

    text: str
    year: int | None = None
    bibtex: str = ""
    url: str = ""


def citation_of_metric(metric: str) -> Citation | None:
    """What to cite for a metric, by its name on a board; None where that is not known."""
    facts = contender_facts(metric)
    if facts is not None and facts.paper:
        return parse_citation(PAPERS[facts.paper])
    toolbox, _, name = metric.rpartition(":")
    # pyiqa has some of ours by the same names.
    card = all_cards().get(name) if toolbox in ("", "pyiqa") else None
    if card is None or not card.paper:
        return None
    preprint = re.search(r"arXiv [\d.]+\d", card.paper)
    whole = next((text for text in PAPERS.values() if preprint is not None and preprint[0] in text), card.paper)
    return parse_citation(whole)


def citation_of_dataset(text: str) -> Citation | None:
    """What to cite for a dataset, of which its reader has ``text``; None where there is no paper."""
    return parse_citation(text) if text else None


def parse_citation(text: str) -> Citation:
    """A paper from ``A. Author, B. Author. Title. Journal 12(3):4-5, 2024, arXiv 2401.00001``.

    A conference has its year without a comma: ``CVPR 2024``. A text of another form is a citation without BibTeX.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        years = re.findall(r"\b(?:19|20)\d\d\b(?!\.\d)", text)
        return Citation(text, int(years[-1]) if years else None)
    arxiv = found["arxiv"] or found["preprint"]
    if found["preprint"]:
        kind, place = "misc", {}
    elif found["comma"]:
        kind, place = "article", {"journal": found["venue"]}
    else:
        kind, place = "inproceedings", {"booktitle": found["venue"]}
    fields = {
        "author": found["authors"].replace(", ", " and ").replace("et al", "others"),
        # Capitals of names such as NIQE stay.
        "title": f"{{{found['title']}}}",
        **place,
        **{name: found[name] for name in ("volume", "number")},
        "pages": (found["pages"] or "").replace("-", "--"),
        "year": found["year"],
        "eprint": arxiv,
        "archiveprefix": "arXiv" if arxiv else "",
    }
    lines = "".join(f"  {name} = {{{_tex(value)}}},\n" for name, value in fields.items() if value)
    url = f"https://arxiv.org/abs/{arxiv}" if arxiv else ""
    return Citation(text, int(found["year"]), f"@{kind}{{{_key(found)},\n{lines}}}\n", url)


# Authors end with a family name, titles may hold anything but a full stop before a space.
_FORM = re.compile(
    r"(?P<authors>[A-Z].*?(?:[^\W\d]{2,}|al))\. "
    r"(?P<title>.+)[.?] "
    r"(?:arXiv (?P<preprint>[\d.]+), |"
    r"(?P<venue>[A-Z].*?)(?: (?P<volume>\d+)(?:\((?P<number>[\d-]+)\))?(?::(?P<pages>[\d-]+))?)?(?P<comma>,)? )"
    r"(?P<year>\d{4})(?:, arXiv (?P<arxiv>[\d.]+))?"
)


def _key(found: re.Match[str]) -> str:
    """Of the entry: the first author's family name, the year, and the first word of the title that says something."""
    family = found["authors"].split(", ")[0].split()[-1]
    word = next((each for each in re.findall(r"\w+", found["title"]) if len(each) > 3), "")
    return re.sub(r"[^a-z0-9]", "", _ascii(f"{family}{found['year']}{word}").lower())


def _tex(text: str) -> str:
    return re.sub(r"([&%#_])", r"\\\1", text)


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
