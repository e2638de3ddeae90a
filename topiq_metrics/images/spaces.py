"""What colours a file's values stand for: code points of ITU-T H.273, chromaticities and curves, as an ICC profile."""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Chromaticities: TypeAlias = "tuple[tuple[float, float], ...]"
"""x and y of red, green, blue and white."""

Curve: TypeAlias = "float | str"
"""From a stored level to light: an exponent, or the name of a curve."""

SRGB: Curve = "srgb"

_D65, _C, _E, _DCI = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)
_BT601_525 = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
_PRIMARIES: dict[int, tuple[str, Chromaticities]] = {
    1: ("BT.709", ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)),
    4: ("BT.470 M", ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C)),
    5: ("BT.601 (625)", ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65)),
    6: ("BT.601 (525)", _BT601_525),
    7: ("SMPTE 240M", _BT601_525),
    8: ("film", ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C)),
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65)),
    10: ("CIE XYZ", ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), _E)),
    11: ("DCI-P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI)),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65)),
    22: ("EBU 3213", ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65)),
}
# The curves of BT.709, BT.601, BT.2020 and their like are not here: they say what a camera does, and such pictures are
# made on screens that show them as they show sRGB.
_CURVES: dict[int, Curve] = {4: 2.2, 5: 2.8, 8: 1.0, 9: "log 100", 10: "log 316", 17: "ST 428"}
HDR_CURVES = {16: "PQ", 18: "HLG"}

SRGB_CHROMATICITIES = _PRIMARIES[1][1]
ADOBE_RGB_CHROMATICITIES: Chromaticities = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), _D65)

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_POINTS = 4096


@dataclass(frozen=True)
class Space:
    """What a file says of its colours.

    Attributes:
        name: for people; where it was found is part of it.
        profile: an ICC profile that leads to them; empty for HDR.
        curve: of the values, for those that are deeper than a colour management takes; None where only the profile
            knows.
        hdr: ``"PQ"`` or ``"HLG"`` where the light goes beyond a white page's; else empty.
        is_narrow: whether black and white are 16 and 235 of 255.
    """

    name: str
    profile: bytes = b""
    curve: Curve | None = None
    hdr: str = ""
    is_narrow: bool = False


def space_of_code_points(primaries: int, transfer: int, where: str) -> Space | None:
    """The space that H.273's code points stand for; None for that of sRGB, or where nothing is said.

    Args:
        primaries: ColourPrimaries.
        transfer: TransferCharacteristics.
        where: in the file it is told, such as ``"nclx"``.
    """
    name, chromaticities = _PRIMARIES.get(primaries, _PRIMARIES[1])
    if hdr := HDR_CURVES.get(transfer, ""):
        return Space(f"{name} {hdr} ({where})", hdr=hdr)
    curve = _CURVES.get(transfer, SRGB)
    if chromaticities == SRGB_CHROMATICITIES and curve == SRGB:
        return None
    return make_space(name if curve == SRGB else f"{name}, {_in_words(curve)}", chromaticities, curve, where)


def make_space(name: str, chromaticities: Chromaticities, curve: Curve, where: str) -> Space | None:
    """The space of these primaries and this curve; None where they are those of no colour space."""
    profile = _make_profile(chromaticities, curve)
    return None if profile is None else Space(f"{name} ({where})", profile, curve)


def describe_curve(curve: Curve, chromaticities: Chromaticities) -> str:
    """A name for a space that has none."""
    known = ((name, points) for name, points in (*_PRIMARIES.values(), ("Adobe RGB", ADOBE_RGB_CHROMATICITIES)))
    name = next((name for name, points in known if np.allclose(points, chromaticities, atol=2e-3)), "its own")
    return f"{name} primaries, {_in_words(curve)}"


def to_light(levels: npt.NDArray[Any], curve: Curve) -> npt.NDArray[Any]:
    """Levels in [0, 1], as stored, to light in [0, 1]."""
    if curve == SRGB:
        return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    if curve == "ST 428":
        return np.minimum(levels**2.6 * (52.37 / 48), 1)
    if curve in ("log 100", "log 316"):
        decades = 2.0 if curve == "log 100" else 2.5
        return np.where(levels > 0, 10 ** (decades * (levels - 1)), 0)
    return levels ** float(curve)


def from_light(light: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Light in [0, 1] to levels of sRGB."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _in_words(curve: Curve) -> str:
    if curve == SRGB:
        return "sRGB curve"
    return "linear" if curve == 1 else f"gamma {curve:.3g}" if isinstance(curve, float) else curve


@functools.lru_cache(maxsize=64)
def _make_profile(chromaticities: Chromaticities, curve: Curve) -> bytes | None:
    """An ICC profile, version 2.4, of three primaries and a curve; None if the primaries span no space."""
    columns = np.array([[x, y, 1 - x - y] for x, y in chromaticities[:3]]).T
    x, y = chromaticities[3]
    if not y > 0 or not np.isfinite(columns).all() or abs(np.linalg.det(columns)) < 1e-3:
        return None
    white = np.array([x / y, 1, (1 - x - y) / y])
    cones = _BRADFORD @ white, _BRADFORD @ _D50
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(cones[1] / cones[0]) @ _BRADFORD
    matrix = adapt @ (columns * np.linalg.solve(columns, white))
    if not np.isfinite(matrix).all() or np.abs(matrix).max() > 4:
        return None
    levels = np.round(to_light(np.linspace(0, 1, _POINTS), curve) * 65535).astype(">u2")
    tags = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), struct.pack(">4s4xI", b"curv", _POINTS) + levels.tobytes())
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt"), (*matrix.T, _D50), strict=True):
        tags[name] = b"XYZ \0\0\0\0" + _fixed(column)
    return _pack_profile(tags)


def _pack_profile(tags: dict[bytes, bytes]) -> bytes:
    contents = list(dict.fromkeys(tags.values()))
    offset = 132 + 12 * len(tags)
    places = {}
    for content in contents:
        places[content] = offset
        offset += len(content) + -len(content) % 4
    index = b"".join(struct.pack(">4sII", name, places[tag], len(tag)) for name, tag in tags.items())
    body = b"".join(tag + bytes(-len(tag) % 4) for tag in contents)
    head = struct.pack(">I4xI4s4s4s12x4s", offset, 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head = head.ljust(68, b"\0") + _fixed(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + body


def _fixed(values: npt.NDArray[Any]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))
