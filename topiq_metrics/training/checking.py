"""What would stop a training on pictures of one's own late, found before it begins."""

from __future__ import annotations

from collections.abc import Sequence

from topiq_metrics.catalog import ModelCard
from topiq_metrics.catalog.cards import FACE_SIDE
from topiq_metrics.datasets import DatasetError, Record
from topiq_metrics.errors import ImageError
from topiq_metrics.images import SizePolicy, load_image
from topiq_metrics.images.files import read_size


def check_images(records: Sequence[Record], tested: Sequence[Record], card: ModelCard) -> None:
    """Look at the header of each picture of a training, and read those that are scored only at its end.

    Raises:
        DatasetError: for the first picture that cannot be read or scored: that is damaged, of another size than its
            reference, too small for the metric or, for a metric of faces, no aligned face.
    """
    size = SizePolicy.parse(card.size)
    try:
        for record in records:
            _check_size(record, size, card)
        for record in tested:
            for path in (record.image, record.reference):
                if path is not None:
                    load_image(path)
    except ImageError as error:
        raise DatasetError(f"{error} Mend it, or take its row out.") from error


def _check_size(record: Record, size: SizePolicy, card: ModelCard) -> None:
    height, width = read_size(record.image)
    if card.mode == "FR" and record.reference is not None and read_size(record.reference) != (height, width):
        raise DatasetError(f"{record.image} is not of the size of its reference {record.reference}.")
    if card.scores_faces and (height, width) != (FACE_SIDE, FACE_SIDE):
        raise DatasetError(
            f"{record.image} has {width}x{height} px, but {card.name} is for aligned faces of {FACE_SIDE}x{FACE_SIDE}: "
            "cut them out of the photographs first (`topiq_metrics.faces`)."
        )
    if too_small := size.too_small(height, width):
        raise DatasetError(f"{record.image} is too small: {too_small}.")
