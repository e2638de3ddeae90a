"""CSIQ: 30 references under six distortions (Larson & Chandler, Journal of Electronic Imaging 19(1), 2010)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from topiq_metrics.datasets.base import ALL, DatasetFacts, Extras, IQADataset, Record
from topiq_metrics.datasets.files import DatasetError, Folder, optional_number, read_columns, read_score, read_xlsx
from topiq_metrics.datasets.splits import BY_REFERENCE

# The types of the workbook, as file names have them.
_TAGS = {
    "noise": "AWGN",
    "blur": "BLUR",
    "contrast": "contrast",
    "fnoise": "fnoise",
    "jpeg": "JPEG",
    "jpeg 2000": "jpeg2000",
}
_TEXTS = ("csiq_label.txt", "csiq.DMOS.txt")
_WORKBOOKS = ("csiq.DMOS.xlsx", "csiq.beta.xlsx")
_OLDER = "csiq.beta.txt"
# The types of the older text, in the order of their numbers.
_NUMBERED = ("AWGN", "JPEG", "jpeg2000", "fnoise", "BLUR", "contrast")


class CSIQ(IQADataset):
    """``dst_imgs/{type}/{reference}.{type}.{level}.png`` with difference mean opinion scores 0…1, lower is better.

    The scores are read from a text file with lines such as ``1600.AWGN.1.png 0.061989``, else from the authors'
    workbook, else from their older text file ``csiq.beta.txt``.
    """

    facts = DatasetFacts(
        name="CSIQ",
        size={ALL: 866},
        score_range=(0.0, 1.0),
        higher_is_better=False,
        citation="E. C. Larson, D. M. Chandler. Most apparent distortion: full-reference image quality assessment and "
        "the role of strategy. Journal of Electronic Imaging 19(1), 2010",
        license="see its page",
        source="https://s2.smu.edu/~eclarson/csiq.html",
        references=30,
        split=BY_REFERENCE,
    )
    marks: ClassVar = (*_TEXTS, *_WORKBOOKS, _OLDER, "dst_imgs_all", "dst_imgs")

    def read(self, folder: Folder) -> Iterator[Record]:
        labels = folder.labels(*_TEXTS, *_WORKBOOKS, _OLDER)
        distorted = folder.folder("dst_imgs", "dst_imgs_all")
        file = labels.name.lower()
        read = _from_workbook if file.endswith(".xlsx") else _from_older if file == _OLDER else _from_text
        for (reference, kind, level), score, known in read(labels):
            name = f"{reference}.{kind}.{level}.png"
            image = folder.image(
                labels,
                f"{distorted}/{kind}/{name}",
                f"{distorted}/{name}",
                f"dst_imgs_all/{kind}/{name}",
                f"dst_imgs_all/{name}",
            )
            original = folder.image(labels, f"src_imgs/{reference}.png")
            if image is not None and original is not None:
                extras: Extras = {"distortion": kind.lower(), "level": float(level), **known}
                group = reference.lower()
                yield Record(image, score, ALL, original, id=name.lower(), group=group, extras=extras)


_Row = tuple[tuple[str, str, str], float, dict[str, float]]


def _from_text(labels: Path) -> Iterator[_Row]:
    for row in read_columns(labels, ("image", "dmos")):
        parts = row["image"].split(".")
        if len(parts) != 4:
            raise DatasetError(f"{labels}: expected a name like '1600.AWGN.1.png', but got {row['image']!r}.")
        yield (parts[0], *_kind_and_level(parts[1], parts[2], labels)), read_score(row["dmos"], row.place), {}


def _from_workbook(labels: Path) -> Iterator[_Row]:
    for row in read_xlsx(labels, ("image", "dst_type", "dst_lev", "dmos"), "all_by_image"):
        # Excel takes the name 1600 for a number.
        reference = row["image"].removesuffix(".0")
        kind, level = _kind_and_level(row["dst_type"], row["dst_lev"].removesuffix(".0"), labels)
        yield (reference, kind, level), read_score(row["dmos"], row.place), optional_number(row, std="dmos_std")


def _from_older(labels: Path) -> Iterator[_Row]:
    columns = ("image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos")
    for row in read_columns(labels, columns, "\t"):
        number = row["dst_idx"]
        if number not in {str(index) for index in range(1, len(_NUMBERED) + 1)}:
            raise DatasetError(f"{labels}: expected the number of a type, 1 to {len(_NUMBERED)}, but got {number!r}.")
        kind, level = _kind_and_level(_NUMBERED[int(number) - 1], row["dst_lev"], labels)
        yield (row["image"], kind, level), read_score(row["dmos"], row.place), optional_number(row, std="dmos_std")


def _kind_and_level(kind: str, level: str, labels: Path) -> tuple[str, str]:
    tags = {tag.lower(): tag for tag in _TAGS.values()} | _TAGS
    tag = tags.get(kind.lower())
    if tag is None or not level.isdecimal():
        raise DatasetError(f"{labels}: expected a type of {sorted(tags)} and a level, but got {kind!r} and {level!r}.")
    return tag, level
