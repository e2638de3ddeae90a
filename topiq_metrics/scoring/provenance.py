"""What rows are the result of: all that fixes a score, and what is worth citing."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topiq_metrics._files import write_whole
from topiq_metrics._version import versions
from topiq_metrics.catalog import ModelCard, WeightsFile, get_card
from topiq_metrics.catalog.extensions import provider
from topiq_metrics.scoring.errors import OutputError
from topiq_metrics.scoring.items import as_unicode
from topiq_metrics.scoring.selection import Shard

if TYPE_CHECKING:
    import torch

SCHEMA = 1

_ALWAYS_USED = ("torch", "torchvision", "pillow", "pillow-heif", "numpy")


@dataclass(frozen=True)
class FileProvenance:
    """A weights file.

    Attributes:
        name: of the file, without its folder.
        sha256: of its bytes, 64 hexadecimal digits; of a file of another distribution's what its card says.
        license: terms of use, in words; empty where they are not known.
    """

    name: str
    sha256: str
    license: str


@dataclass(frozen=True)
class MetricProvenance:
    """A metric as a job uses it.

    Attributes:
        name: in the catalogue.
        size: the size policy, such as ``"max_side=512"``.
        weights: its file, or None for a metric without.
        further: other files that it needs, such as that of a face detector.
        distribution: the one that the metric comes with and its version, if it is another one than this.
    """

    name: str
    size: str
    weights: FileProvenance | None = None
    further: tuple[FileProvenance, ...] = ()
    distribution: str = ""


@dataclass(frozen=True)
class Provenance:
    """How the rows of an output were computed. Rows with conflicting provenance are never written to one output.

    Attributes:
        metrics: the metrics, in the order of their columns.
        fallback: the size policy for images that do not fit into memory, or None.
        references: where the reference images are: a folder, a file or a column; or None.
        image_column: the column of images, or extension in shards, that was named; or None.
        shard: ``"i/n"``: the part of the images that the job scores, from 0.
        backend: what runs the networks.
        precision: precision of the computation.
        profiles: ``"apply"`` if colours were converted to sRGB, ``"ignore"`` if values were read as sRGB.
        decode: ``"exact"`` if all pixels were decoded, ``"fast"`` if large images were decoded at a reduced scale.
        limits: the accepted scores, in words; or None.
        versions: versions of the distributions that scores depend on, by name.
        device: where the networks run.
        python: Python version.
        system: operating system and processor.
        created: when the job began, UTC, ISO 8601.
        complete: whether the job has finished.

    Raises:
        ValueError: if ``shard`` is not ``"i/n"`` with i < n.
    """

    metrics: tuple[MetricProvenance, ...]
    fallback: str | None = None
    references: str | None = None
    image_column: str | None = None
    shard: str = "0/1"
    backend: str = "torch"
    precision: str = "float32"
    profiles: str = "apply"
    decode: str = "exact"
    limits: str | None = None
    versions: dict[str, str] = field(default_factory=dict, hash=False)
    device: str = ""
    python: str = field(default_factory=platform.python_version)
    system: str = field(default_factory=platform.platform)
    created: str = field(default_factory=lambda: dt.datetime.now(dt.timezone.utc).isoformat("T", "seconds"))
    complete: bool = False

    def __post_init__(self) -> None:
        try:
            Shard.parse(self.shard)
        except ValueError:
            raise ValueError(
                f"Argument `shard` must be 'i/n' with i from 0 to n - 1, but got {self.shard!r}."
            ) from None

    @classmethod
    def of_this_machine(
        cls,
        metrics: Sequence[MetricProvenance],
        *,
        fallback: object = None,
        references: str | os.PathLike[str] | None = None,
        image_column: str | None = None,
        shard: str = "0/1",
        device: str | torch.device | None = None,
        backend: str = "torch",
        precision: str = "float32",
        profiles: str = "apply",
        decode: str = "exact",
        limits: str | None = None,
    ) -> Provenance:
        """What rows of these metrics are the result of, if they are made here and now.

        Args:
            metrics: of `describe_metrics`.
            fallback: the size policy, or its name, for images that memory does not suffice for.
            references: a folder, a file or a column.
            image_column: of tables, datasets and shards, where one is named.
            shard: ``"i/n"``.
            device: where the networks run; a GPU if there is one.
            backend: what runs the networks.
            precision: of their arithmetic.
            profiles: ``"apply"`` or ``"ignore"``.
            decode: ``"exact"`` or ``"fast"``.
            limits: of scores, in words.
        """
        return cls(
            metrics=tuple(metrics),
            fallback=None if fallback is None else str(fallback),
            references=None if references is None else as_unicode(os.fspath(references)),
            image_column=image_column,
            shard=shard,
            backend=backend,
            precision=precision,
            profiles=profiles,
            decode=decode,
            limits=limits,
            versions=_versions([get_card(metric.name) for metric in metrics], backend),
            device=_device(device),
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(metric.name for metric in self.metrics)

    def conflicts(self, other: Provenance) -> list[str]:
        """Say why rows of this job must not be added to existing rows of ``other``: a sentence for each reason.

        A different machine, device, time or shard is not a conflict; a different number of shards is.
        """
        pairs = [("Metrics", ", ".join(other.names), ", ".join(self.names))]
        there = {metric.name: metric for metric in other.metrics}
        for metric in self.metrics:
            if found := there.get(metric.name):
                pairs += [
                    (f"Weights of {metric.name}", _digits(found.weights), _digits(metric.weights)),
                    (f"Other files of {metric.name}", _digits(*found.further), _digits(*metric.further)),
                    (f"Size policy of {metric.name}", found.size, metric.size),
                    (f"Distribution of {metric.name}", found.distribution or "none", metric.distribution or "none"),
                ]
        pairs += [
            ("Size policy where memory does not suffice", other.fallback or "none", self.fallback or "none"),
            ("References", other.references or "none", self.references or "none"),
            ("Column of images", other.image_column or "none", self.image_column or "none"),
            ("Backend", other.backend, self.backend),
            ("Precision", other.precision, self.precision),
            ("Colour profiles", other.profiles, self.profiles),
            ("Decoding", other.decode, self.decode),
            ("Limits of scores", other.limits or "none", self.limits or "none"),
            ("Number of shards", other.shard.partition("/")[2], self.shard.partition("/")[2]),
        ]
        for name in dict.fromkeys((*other.versions, *self.versions)):
            pairs.append((f"Version of {name}", other.versions.get(name, "none"), self.versions.get(name, "none")))
        return [f"{what}: {theirs} there, {ours} here." for what, theirs, ours in pairs if theirs != ours]

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Provenance:
        """Read what `to_json` wrote.

        Raises:
            ValueError: if it is something else, or of another version of the schema.
        """
        values = json.loads(text)
        if not isinstance(values, dict) or "schema" not in values:
            raise ValueError("it is not of topiq-metrics")
        schema = values.pop("schema")
        if schema != SCHEMA:
            raise ValueError(f"it has schema {schema!r}, and this version of topiq-metrics reads {SCHEMA}")
        try:
            metrics = tuple(_metric(metric) for metric in values.pop("metrics"))
            return cls(metrics=metrics, **values)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"it lacks something: {error}") from None

    def save(self, path: Path) -> None:
        """Write it at once: no half of it is ever seen."""
        write_whole(path, self.to_json().encode())

    @classmethod
    def load(cls, path: Path) -> Provenance:
        """Read a file of `save`.

        Raises:
            OutputError: if it is not there, or is no such file.
        """
        try:
            return cls.from_json(path.read_bytes())
        except FileNotFoundError:
            raise OutputError(
                f"There is no {path}, so how these rows were computed is unknown. Move it here, too, if "
                "they were moved, or name another output."
            ) from None
        except ValueError as error:
            raise OutputError(
                f"{path} does not say how its rows were computed: {error}. Name another output."
            ) from None


def describe_metrics(
    names: Sequence[str], *, weights: str | os.PathLike[str] | None = "default", size: object = None
) -> tuple[MetricProvenance, ...]:
    """Describe metrics as a job uses them; their files are hashed.

    Args:
        names: of the catalogue.
        weights: what `topiq_metrics.inference.open_predictor` takes.
        size: a size policy or its name, instead of each metric's own.

    Raises:
        ValueError: if there is no such metric.
        WeightsError: if weights cannot be found or loaded.
    """
    return tuple(_describe(get_card(name), weights, size) for name in names)


def _describe(card: ModelCard, weights: str | os.PathLike[str] | None, size: object) -> MetricProvenance:
    if weights is None or (weights == "default" and card.weights is None):
        main = None
    elif weights == "default" and card.weights is not None:
        main = _published(card.weights, card)
    else:
        main = _own(Path(os.fspath(weights)).expanduser(), card)
    # Photographs are searched for faces as they are.
    own_size = "native" if card.scores_faces else card.size
    return MetricProvenance(
        name=card.name,
        size=own_size if size is None else str(size),
        weights=main,
        further=tuple(_published(file, card) for file in card.also_needs),
        distribution=" ".join(provider(card.name) or ()) if card.is_foreign else "",
    )


def _versions(cards: Sequence[ModelCard], backend: str) -> dict[str, str]:
    names = list(_ALWAYS_USED)
    if backend in {"onnxruntime", "openvino"}:
        names.append(backend)
    if any(not card.is_topiq for card in cards):
        # It holds weights of LPIPS+, and is what metrics of other distributions are made of.
        names.append("torchmetrics")
    if any(card.scores_faces for card in cards):
        names += ["facexlib", "opencv-python"]
    return versions(*names)


def _device(device: str | torch.device | None) -> str:
    import torch

    from topiq_metrics.inference.predictor import choose_device

    chosen = choose_device(device)
    return f"{chosen} ({torch.cuda.get_device_name(chosen)})" if chosen.type == "cuda" else str(chosen)


def _published(file: WeightsFile, card: ModelCard) -> FileProvenance:
    from topiq_metrics.weights.places import find_checked
    from topiq_metrics.weights.resolve import resolve

    # A metric of another distribution may keep its files where only its own code finds them.
    path = find_checked(file) if card.is_foreign else resolve(file)
    return FileProvenance(file.filename, file.sha256 if path is None else _sha256(path), file.license)


def _own(path: Path, card: ModelCard) -> FileProvenance:
    digits = _sha256(path)
    is_published = card.weights is not None and card.weights.sha256 and digits.startswith(card.weights.sha256)
    if card.weights is not None and is_published:
        return FileProvenance(path.name, digits, card.weights.license)
    from topiq_metrics.errors import WeightsError
    from topiq_metrics.weights import read_metadata

    about: dict[str, Any] = {}
    # What is wrong with the file is for whoever loads it to tell.
    with contextlib.suppress(WeightsError):
        about = read_metadata(path)
    return FileProvenance(path.name, digits, about.get("license", ""))


def _sha256(path: Path) -> str:
    from topiq_metrics.weights.hashes import sha256_of

    return sha256_of(path)


def _digits(*files: FileProvenance | None) -> str:
    return ", ".join(file.sha256 for file in files if file is not None) or "none"


def _metric(values: dict[str, Any]) -> MetricProvenance:
    weights, further = values.pop("weights"), values.pop("further")
    return MetricProvenance(
        weights=None if weights is None else FileProvenance(**weights),
        further=tuple(FileProvenance(**file) for file in further),
        **values,
    )
