"""Which colours an image's file says it has, the way from them to sRGB, and whether those of a pair differ."""

from __future__ import annotations

import contextlib
import functools
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

from topiq_metrics.images.spaces import (
    ADOBE_RGB_CHROMATICITIES,
    HDR_CURVES,
    SRGB,
    SRGB_CHROMATICITIES,
    Chromaticities,
    Curve,
    Space,
    describe_curve,
    from_light,
    make_space,
    space_of_code_points,
    to_light,
)
from topiq_metrics.images.tags import Tags, read_tags

Profiles = Literal["apply", "ignore"]
"""What is done with what a file says of its colours: convert them to sRGB, or read the values as they are."""

_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}
_IN_WORDS = {"GRAY": "grey", "RGB ": "RGB"}
_UNREADABLE = "a colour profile that cannot be read"
_UNSPECIFIED = 2
_WHITE_POINT, _PRIMARY_CHROMATICITIES = 318, 319
_HDR_NAME = re.compile(r"\b(PQ|HLG)\b|\bST ?2084\b", re.IGNORECASE)
# As libpng: a gamma so close to that of sRGB is what writers of sRGB say.
_GAMMA_TOLERANCE = 0.05
_LEVELS = np.arange(256, dtype=np.uint8)
_REMEMBERED = "_topiq_metrics_tags"


@dataclass(frozen=True)
class Origin:
    """What the colours of an image were before they became sRGB.

    Attributes:
        name: of the profile or the colour space; empty where the file says nothing.
        grid: what becomes of a grid of its colours, as bytes of sRGB; empty where values stay as they are.
        hdr: the name of an HDR space whose values were read as if they were sRGB's; else empty.
        unused: in words, a profile that could not be applied; else empty.
    """

    name: str = ""
    grid: bytes = b""
    hdr: str = ""
    unused: str = ""

    def is_like(self, other: Origin) -> bool:
        """Whether the same values mean the same colours in both, up to two levels of 255."""
        if len(self.grid) != len(other.grid) or self.unused != other.unused:
            return False
        first, second = (np.frombuffer(each.grid, np.uint8).astype(int) for each in (self, other))
        return not first.size or bool(np.abs(first - second).max() <= 2)


def parse_profiles(profiles: str) -> Profiles:
    """Check the argument of that name.

    Raises:
        ValueError: if it is neither ``"apply"`` nor ``"ignore"``.
    """
    if profiles not in ("apply", "ignore"):
        raise ValueError(f"Argument `profiles` must be 'apply' or 'ignore', but got {profiles!r}.")
    return cast("Profiles", profiles)


def note_on_colors(image: Origin, reference: Origin | None = None) -> str:
    """What whoever reads a score should know of the colours: a word to sort by and a sentence, or nothing."""
    notes = [
        f"hdr: {what} is {origin.hdr}, and its values were read as if they were sRGB"
        for what, origin in (("the image", image), ("the reference", reference))
        if origin is not None and origin.hdr
    ]
    if reference is not None and not image.is_like(reference):
        limit = " as far as it can be applied" if image.unused or reference.unused else ""
        notes.append(
            f"profiles-differ: the image has {_called(image)}, its reference {_called(reference)}, and each was "
            f"converted to sRGB by its own{limit}"
        )
    return "; ".join(notes)


def _called(origin: Origin) -> str:
    if origin.unused:
        return origin.unused
    return f"the colour profile {origin.name!r}" if origin.name else "no colour profile"


def find_space(image: Image.Image) -> Space | None:
    """What the file of a Pillow image, or its ``info``, says of its colours; None where it says nothing, or sRGB.

    Files say it in several ways at once. A profile is preferred to code points, but for PNG's cICP; code points of HDR
    are what counts, whatever stands beside them. A profile that cannot be read counts if nothing else is there.
    """
    tags = _tags_of(image)
    points = _code_points(image.info.get("nclx_profile")) if tags is None else tags.code_points
    where = "nclx" if tags is None or tags.where == "ICC" else tags.where
    told = points is not None and points != (_UNSPECIFIED, _UNSPECIFIED)
    if tags is not None and tags.is_narrow and points is not None and points[1] not in HDR_CURVES:
        return Space(f"narrow range ({where})", is_narrow=True)
    if points is not None and told and (points[1] in HDR_CURVES or where == "cICP"):
        return space_of_code_points(*points, where)
    profile = image.info.get("icc_profile") or (tags.profile if tags is not None else b"")
    space = _space_of_profile(profile) if profile and isinstance(profile, bytes) else None
    if space is not None:
        return space
    if points is not None and told:
        return space_of_code_points(*points, where)
    # Where there are pieces of one only, Pillow's is None.
    unreadable = Space("") if profile or image.info.get("icc_profile", b"") is None else None
    return _space_in_png(image.info) or _space_in_tiff(image) or _space_in_exif(image) or unreadable


def _tags_of(image: Image.Image) -> Tags | None:
    """What the file says that Pillow passes over.

    It is remembered beside the image: once the pixels are loaded, Pillow has closed the file. (Not in ``info``, which
    goes on to whatever is computed from the image.) Of one that was loaded before, the file is opened once more.
    """
    if not hasattr(image, _REMEMBERED):
        streams: tuple[Any, ...] = (getattr(image, "fp", None), getattr(image, "_fp", None))
        for stream in streams:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                # What stands before a file passes over chunks that Pillow does not need.
                source = getattr(stream, "source", stream)
                source.tell()
                setattr(image, _REMEMBERED, read_tags(source))
                break
        else:
            with contextlib.suppress(OSError, ValueError), _file_of(image).open("rb") as file:
                setattr(image, _REMEMBERED, read_tags(file))
    found: Tags | None = getattr(image, _REMEMBERED, None)
    return found


def _file_of(image: Image.Image) -> Path:
    """
    Raises:
        OSError: it is of no file that is there.
    """
    name = getattr(image, "filename", "")
    path = Path(name) if name else None
    if path is None or not path.is_file():
        raise FileNotFoundError(name)
    return path


def to_srgb(image: Image.Image, space: Space | None) -> tuple[Image.Image, Origin]:
    """Convert an image of mode L, RGB or CMYK; CMYK becomes RGB in any case."""
    if space is not None and image.mode == "L" and space.curve is not None:
        return _grey_to_srgb(image, space)
    plain = image.convert("RGB") if image.mode == "CMYK" else image
    if space is None:
        return plain, Origin()
    way = _find_way(space.profile, image.mode)
    if isinstance(way, str):
        return plain, _left_out(space, way)
    return (image if way.transform is None else way.transform.apply(image)), Origin(space.name, way.grid)


def deep_to_srgb(values: npt.NDArray[Any], full_scale: int, space: Space | None) -> tuple[npt.NDArray[Any], Origin]:
    """Convert grey values that are deeper than 8 bits, as far as their curve is known; they are floats then."""
    if space is None or space.curve is None or space.curve == SRGB:
        return values, not_applied(space, "the picture is grey of 16 bits")
    converted = from_light(to_light(values / np.float32(full_scale), space.curve))
    return converted.astype(np.float32), Origin(space.name, _grey_table(space.curve).tobytes())


def not_applied(space: Space | None, why: str) -> Origin:
    """The origin of grey values of which no profile is applied."""
    if space is None or space.curve is not None:
        return Origin()
    ways = [_find_way(space.profile, mode) for mode in ("L", "RGB")]
    if any(isinstance(way, _Way) and way.transform is None for way in ways):
        return Origin(space.name)
    return _left_out(space, _UNREADABLE if _UNREADABLE in ways else why)


def _left_out(space: Space, why: str) -> Origin:
    named = f"the colour profile {space.name!r}, which was not applied ({why})"
    return Origin(unused=_UNREADABLE if why == _UNREADABLE else named)


def _grey_to_srgb(image: Image.Image, space: Space) -> tuple[Image.Image, Origin]:
    table = _grey_table(cast("Curve", space.curve))
    if np.abs(table.astype(int) - _LEVELS).max() <= 1:
        return image, Origin(space.name)
    return image.point(table.tolist()), Origin(space.name, table.tobytes())


def _grey_table(curve: Curve) -> npt.NDArray[np.uint8]:
    return np.round(from_light(to_light(_LEVELS / 255, curve)) * 255).astype(np.uint8)


@dataclass(frozen=True)
class _Way:
    """From a profile to sRGB; without a transform, values are those of sRGB already."""

    transform: ImageCms.ImageCmsTransform | None
    grid: bytes


@functools.lru_cache(maxsize=16)
def _find_way(profile: bytes, mode: str) -> _Way | str:
    """The way; or why there is none, where the profile is broken or not one of such pixels."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space, wanted = source.profile.xcolor_space, _PROFILE_SPACES[mode]
        if space != wanted:
            other = _find_way(profile, "RGB" if mode == "L" else "L") if {space, wanted} == {"GRAY", "RGB "} else ""
            if isinstance(other, _Way) and other.transform is None:
                return other
            return f"of {_IN_WORDS.get(space, space.strip())}, the picture is {_IN_WORDS.get(wanted, wanted)}"
        target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        transform = ImageCms.ImageCmsTransform(source, target, mode, "RGB")
    except (OSError, ValueError, TypeError):
        return _UNREADABLE
    step = 51 if mode == "CMYK" else 17
    levels = _LEVELS[None, :, None] if mode == "L" else _grid(step, len(mode))
    moved = np.array(transform.apply(Image.frombytes(mode, (levels.shape[1], 1), levels.tobytes())))
    if mode == "L":
        moved = moved[..., :1] if (moved == moved[..., :1]).all() else moved
    if mode != "CMYK" and np.abs(moved.astype(int) - levels).max() <= 1:
        # The profile is sRGB under another name.
        return _Way(None, b"")
    return _Way(transform, moved[:, :: 1 if mode == "L" else 7].tobytes())


def _grid(step: int, bands: int) -> npt.NDArray[np.uint8]:
    levels = _LEVELS[::step]
    return np.stack(np.meshgrid(*[levels] * bands), axis=-1).reshape(1, -1, bands)


@functools.lru_cache(maxsize=16)
def _space_of_profile(profile: bytes) -> Space | None:
    """None where it cannot be read."""
    is_readable = True
    try:
        name = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.profile_description or ""
    except (OSError, ValueError, TypeError):
        name, is_readable = "", False
    name = " ".join(name.replace("\0", " ").replace(";", ",").split())[:100] or "unnamed"
    code_points = _code_points_in(profile)
    named = _HDR_NAME.search(name.replace("_", " "))
    if code_points is not None:
        hdr = HDR_CURVES.get(code_points[1], "")
    else:
        hdr = "" if named is None else "HLG" if named[0].upper() == "HLG" else "PQ"
    if not is_readable and not hdr:
        return None
    return Space(f"{name} (ICC, {hdr})" if hdr else name, profile, hdr=hdr)


def _code_points_in(profile: bytes) -> tuple[int, int] | None:
    """Primaries and transfer characteristics of H.273 in a profile's tag ``cicp``."""
    for at in range(132, min(132 + 12 * int.from_bytes(profile[128:132], "big"), len(profile) - 11, 1332), 12):
        if profile[at : at + 4] == b"cicp":
            start = int.from_bytes(profile[at + 4 : at + 8], "big")
            content = profile[start : start + 12]
            if content[:4] == b"cicp" and len(content) == 12:
                return content[8], content[9]
    return None


def _code_points(nclx: Any) -> tuple[int, int] | None:
    """Of an image that pillow-heif has opened."""
    if not isinstance(nclx, dict):
        return None
    primaries, transfer = nclx.get("color_primaries"), nclx.get("transfer_characteristics")
    return (int(primaries), int(transfer)) if primaries is not None and transfer is not None else None


def _space_in_png(info: dict[Any, Any]) -> Space | None:
    gamma, points = info.get("gamma"), info.get("chromaticity")
    if "srgb" in info or not (gamma or points):
        return None
    curve: Curve = SRGB
    if isinstance(gamma, float) and 0.1 <= gamma <= 10 and abs(2.2 * gamma - 1) >= _GAMMA_TOLERANCE:
        curve = 1 / gamma
    white_first = _pairs(points) if isinstance(points, tuple) and len(points) == 8 else ()
    space = _of_primaries((*white_first[1:], white_first[0]), curve, "cHRM") if white_first else None
    return space or (None if curve == SRGB else _of_primaries(SRGB_CHROMATICITIES, curve, "gAMA"))


def _space_in_tiff(image: Image.Image) -> Space | None:
    tags: Any = getattr(image, "tag_v2", {})
    points, white = tags.get(_PRIMARY_CHROMATICITIES), tags.get(_WHITE_POINT)
    if not isinstance(points, tuple) or len(points) != 6:
        return None
    is_white = isinstance(white, tuple) and len(white) == 2
    try:
        chromaticities = (*_pairs(points), _pairs(white)[0] if is_white else SRGB_CHROMATICITIES[3])
    except (ValueError, TypeError, ZeroDivisionError):
        return None
    return _of_primaries(chromaticities, SRGB, "TIFF")


def _space_in_exif(image: Image.Image) -> Space | None:
    """Adobe RGB as cameras tell of it, which need not embed a profile (DCF 2.0)."""
    if image.format not in ("JPEG", "MPO"):
        return None
    try:
        exif = image.getexif()
        index = exif.get_ifd(ExifTags.IFD.Interop).get(1)
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
    except Exception:  # noqa: BLE001 - damaged EXIF fails in any way, and the pixels are good without it
        return None
    is_adobe = str(index).strip("\0 ") == "R03" and space != 1
    return make_space("Adobe RGB", ADOBE_RGB_CHROMATICITIES, 563 / 256, "Exif") if is_adobe else None


def _of_primaries(chromaticities: Chromaticities, curve: Curve, where: str) -> Space | None:
    return make_space(describe_curve(curve, chromaticities), chromaticities, curve, where)


def _pairs(values: Any) -> Chromaticities:
    numbers = [float(value) for value in values]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
