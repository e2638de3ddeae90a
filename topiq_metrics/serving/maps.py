"""Where an uploaded picture is good and where it is bad."""

from __future__ import annotations

from dataclasses import dataclass

from topiq_metrics.errors import ImageError
from topiq_metrics.explaining.inputs import Reader, check_pair, device_for
from topiq_metrics.explaining.quality import map_picture
from topiq_metrics.inference import Predictor
from topiq_metrics.scoring.decoders import Decoder
from topiq_metrics.scoring.preparation import is_lost_device
from topiq_metrics.serving.decoding import decode_whole
from topiq_metrics.weights import shared_network

_DECIMALS = 4


@dataclass(frozen=True)
class LocalMap:
    """The quality of each cell of a picture, on the scale of the metric's score.

    Attributes:
        metric: its name.
        score: of the picture, about the mean of the map.
        values: rows of cells, from the upper left; they tile the picture.
    """

    metric: str
    score: float
    values: list[list[float]]


def local_map(
    picture: tuple[str, bytes],
    reference: bytes | None,
    predictor: Predictor,
    *,
    device: str | None,
    max_memory: int | None,
    decoder: Decoder,
    max_pixels: int,
) -> LocalMap | None:
    """The map of a picture; None where it cannot be had, for the reasons of which the picture's row tells.

    Args:
        picture: name and file.
        reference: file, for a full-reference metric; another passes it over.
        predictor: of the metric, whose network is used.
        device: where that is.
        max_memory: for the network.
        decoder: decodes the files.
        max_pixels: the most pixels that a file may have.
    """
    name, data = picture
    card = predictor.card
    if card.mode == "FR" and reference is None:
        return None
    try:
        read = Reader.of(card.name, card, device=device_for(None, device))
        image = read.prepared(read.checked(decode_whole(data, name, decoder, max_pixels)))
        original = None
        if card.mode == "FR" and reference is not None:
            opened = decode_whole(reference, "the reference", decoder, max_pixels)
            original = read.prepared(read.checked(opened, "reference"))
        check_pair(image, original)
        net = shared_network(card.name, device=read.device)
        found = map_picture(net, card, image, original, max_memory)
    except (ImageError, RuntimeError, MemoryError) as error:
        if is_lost_device(error):
            raise
        return None
    rows = [[round(float(value), _DECIMALS) for value in row] for row in found.values]
    return LocalMap(found.metric, found.score, rows)
