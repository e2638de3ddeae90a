"""How a stored image lies, as EXIF tells."""

from __future__ import annotations

from PIL import ExifTags, Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FIRST_ON_ITS_SIDE = 5


def turn_to_upright(image: Image.Image) -> Image.Transpose | None:
    """What turns an image upright; None where it is, or where its EXIF is damaged."""
    return _TURNS.get(_orientation(image))


def lies_on_its_side(image: Image.Image) -> bool:
    """Whether height and width change places when an image is turned upright."""
    return _FIRST_ON_ITS_SIDE <= _orientation(image) <= max(_TURNS)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - damaged EXIF fails in any way, and the pixels are good without it
        return 1
    return value if isinstance(value, int) else 1
