"""WebDataset shards: tar files, read as streams."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import remote
from topiq_metrics.scoring.sources.base import Fragment, LeftOut, Options, Part
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.files import is_image
from topiq_metrics.scoring.sources.locations import is_tar, is_url, suffix
from topiq_metrics.scoring.sources.reading import open_binary, until_damage

_MAX_BYTES = remote.MAX_BYTES
_MAX_HEADER_BYTES = 1 << 20
_HEADER_TYPES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_BUFFER = 1 << 18


@dataclass(frozen=True)
class _Member:
    """A file in the shard.

    Attributes:
        name: with its folders.
        key: what names its sample: its name without the extension that was asked for and the dot before it.
        is_reference: whether it is the reference of its sample.
    """

    name: str
    key: str
    is_reference: bool
    data: bytes | None = None
    problem: str = ""


@dataclass(frozen=True)
class TarShard:
    """A fragment: a whole shard.

    An extension is what a member's name ends in, behind a dot; of several that fit, the longest counts.

    Attributes:
        images: extensions of the members that are images; empty for those with the suffix of one.
        reference: likewise, of the one that is the reference of its sample.
        left_out: is told of images with other extensions, by suffix.
    """

    path: str
    images: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    left_out: LeftOut = field(default_factory=Counter, compare=False)

    def items(self) -> Iterator[Item]:
        return until_damage(self._items(), lambda _: self.path)

    def _items(self) -> Iterator[Item]:
        times: dict[str, int] = {}
        self.left_out.clear()
        for sample in self._samples():
            reference = next((member.data for member in sample if member.is_reference), None)
            for member in sample:
                if not member.is_reference:
                    time = times[member.name] = times.get(member.name, 0) + 1
                    name = f"{self.path}/{member.name}" + (f"#{time}" if time > 1 else "")
                    yield Item(name, reference, member.data, member.problem)

    def _samples(self) -> Iterator[list[_Member]]:
        """Members that belong together, which lie side by side; each alone where nobody asks."""
        sample: list[_Member] = []
        try:
            for member in self._members():
                if sample and not (self.reference and sample[0].key == member.key):
                    yield sample
                    sample = []
                sample.append(member)
        except Exception:
            # What came before the damage is whole.
            if sample:
                yield sample
            raise
        if sample:
            yield sample

    def _members(self) -> Iterator[_Member]:
        with (
            open_binary(self.path) as stream,
            tarfile.open(
                fileobj=stream, mode="r|*", bufsize=_BUFFER, tarinfo=_StrictInfo, errors="surrogateescape"
            ) as tar,
        ):
            while (info := tar.next()) is not None:
                # It would keep what it has seen.
                tar.members.clear()  # type: ignore[attr-defined]
                if (member := self._wanted(info)) is not None:
                    yield self._with_data(member, info, tar)
            while rest := tar.fileobj.read(_BUFFER):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("there is more after its end mark")

    def _wanted(self, info: tarfile.TarInfo) -> _Member | None:
        folders = [part for part in info.name.split("/") if part not in {"", "."}]
        if info.isdir() or not folders or any(part.startswith(".") and part != ".." for part in folders):
            return None
        base = folders[-1]
        name = "/".join(folders)
        reference = _longest(base, self.reference)
        image = _longest(base, self.images) if self.images else suffix(base).lstrip(".") if is_image(base) else ""
        if not image and not reference:
            if is_image(base):
                self.left_out[suffix(base)] += 1
            return None
        is_reference = len(reference) >= len(image)
        return _Member(name, name[: -len(reference if is_reference else image) - 1], is_reference)

    @staticmethod
    def _with_data(member: _Member, info: tarfile.TarInfo, tar: tarfile.TarFile) -> _Member:
        if not info.isreg():
            return replace(member, problem="unreadable: it is a link or a device, not a file")
        if info.size > _MAX_BYTES:
            return replace(member, problem=f"too-large: the file has more than {_MAX_BYTES} bytes")
        stream = tar.extractfile(info)
        return replace(member, data=b"" if stream is None else stream.read())


def _longest(name: str, extensions: Sequence[str]) -> str:
    """The longest of the extensions that a name has; empty for none."""
    return max((each for each in extensions if name.lower().endswith(f".{each}")), key=len, default="")


class _StrictInfo(tarfile.TarInfo):
    """tarfile takes damage between members for the end, and any length of a header for good."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _StrictInfo:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _StrictInfo:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _HEADER_TYPES and info.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        return info


class Shards(Part):
    """One shard."""

    uses = frozenset({"image_column", "reference_column"})
    once = True
    own_data = True

    def __init__(self, path: str, options: Options) -> None:
        if options.references is not None and options.reference_column is None:
            raise SourceError(
                f"The shard {path} holds images, not names: say by the extension of the reference in each of its "
                "samples, as reference_column, where the references are."
            )
        if is_url(path):
            remote.check(path)
        images, reference = _extensions(options.image_column), _extensions(options.reference_column)
        self._shard = TarShard(path, images, reference)
        self.label = f"the shard {path}"
        self.key = path

    @classmethod
    def takes(cls, source: object) -> bool:
        return isinstance(source, str) and is_tar(source)

    def fragments(self) -> Iterator[Fragment]:
        yield self._shard

    def count(self) -> None:
        return None

    @property
    def left_out(self) -> LeftOut:
        return self._shard.left_out


def _extensions(column: str | None) -> tuple[str, ...]:
    """``"JPG;.png"`` as ``("jpg", "png")``."""
    names = (name.strip().lower().lstrip(".") for name in (column or "").split(";"))
    return tuple(filter(None, names))
