"""Runs metrics of several toolboxes on several datasets: scores, costs and provenance become a board."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import itertools
import math
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from topiq_metrics._version import versions
from topiq_metrics.catalog import get_card
from topiq_metrics.contenders import MetricUnavailableError, ToolboxMetric
from topiq_metrics.datasets import PairDataset, PairRecord, Record
from topiq_metrics.datasets.opening import AnyDataset
from topiq_metrics.errors import ImageError, WeightsError
from topiq_metrics.images import SizePolicy, load_image
from topiq_metrics.images.reduced import parse_decode
from topiq_metrics.leaderboard.board import Board, Cost, Entry, EntryStatus, TestSet, training_of
from topiq_metrics.leaderboard.cost import measure_cost
from topiq_metrics.leaderboard.papers import citation_of_dataset, citation_of_metric
from topiq_metrics.leaderboard.peak_memory import peak_memory
from topiq_metrics.leaderboard.progress import BoardProgress
from topiq_metrics.leaderboard.scores import ScoreStore, image_keys
from topiq_metrics.leaderboard.trained_on import TrainedOn
from topiq_metrics.scoring.engine import Engine
from topiq_metrics.scoring.items import Item
from topiq_metrics.weights import fetch, find

if TYPE_CHECKING:
    from topiq_metrics.inference import Predictor

TIMED_IMAGES = 7

Notice = Callable[[str], None]


def run_leaderboard(
    datasets: Sequence[AnyDataset],
    metrics: Sequence[ToolboxMetric],
    *,
    store: Path,
    device: str | None = None,
    workers: int | None = 0,
    decode: str = "exact",
    weights: str | Path = "default",
    download: bool = False,
    notice: Notice = lambda text: None,  # noqa: ARG005
    progress: BoardProgress | None = None,
) -> Board:
    """Score every dataset with every metric.

    A metric that cannot be run is on the board with the reason. Scores are saved in ``store`` as they are computed, so
    that a second run computes only what is missing.

    Args:
        datasets: datasets of images with scores, or of pairs with preferences.
        metrics: metrics of any toolbox.
        store: folder that keeps the scores.
        device: where metrics run; by default a GPU if there is one, else the CPU.
        workers: processes that decode; see `topiq_metrics.score_images`.
        decode: ``"exact"``, or ``"fast"`` to decode large images at a reduced scale for metrics that resize them; see
            `topiq_metrics.score_images`.
        weights: weights of the metrics of this package: ``"default"``, or the path of a file if there is only one such
            metric.
        download: download weights that are not on this machine; otherwise nothing is downloaded.
        notice: called with messages, one line each.
        progress: updated during the run, for another thread to show.

    Returns:
        The board; see `judge` for its figures.

    Raises:
        ValueError: two datasets, or two metrics, are the same; or ``decode`` is unknown.
    """
    parse_decode(decode)
    test_sets = [describe(dataset) for dataset in datasets]
    for what, names in (("dataset", [s.key for s in test_sets]), ("metric", [m.name for m in metrics])):
        if twice := next((name for name in names if names.count(name) > 1), None):
            hint = " Rename one of two files of the same name." if what == "dataset" else ""
            raise ValueError(f"The {what} {twice!r} is given twice.{hint}")
    if store.exists() and not store.is_dir():
        raise NotADirectoryError(f"{store} is a file: the scores so far need a folder.")
    data = list(zip(map(_Images.of, datasets), test_sets, strict=True))
    entries: list[Entry] = []
    shown = progress or BoardProgress()
    shown.steps = len(metrics) * len(data)
    for metric in metrics:
        entries += _entries(metric, data, ScoreStore(store), device, workers, decode, weights, download, notice, shown)
    return Board(test_sets, entries)


def describe(dataset: AnyDataset) -> TestSet:
    """What a board says of a dataset."""
    records: Sequence[Record | PairRecord] = dataset.records
    facts = dataset.facts

    def column(name: str) -> list[str]:
        values = [str(record.extras.get(name, "")) for record in records]
        return values if all(values) and len(set(values)) > 1 else []

    return TestSet(
        dataset=facts.key,
        name=facts.name,
        split=dataset.split or "all",
        split_hash=dataset.split_hash,
        seed=None if isinstance(dataset, PairDataset) else dataset.seed,
        partial=dataset.incomplete,
        higher_is_better=facts.higher_is_better,
        citation=facts.citation,
        license=facts.license,
        ids=[record.id for record in records],
        mos=[record.preference if isinstance(record, PairRecord) else record.score for record in records],
        groups=[record.group for record in records] if any(r.group != r.id for r in records) else [],
        distortions=column("distortion"),
        scenes=column("scene"),
        pairs=dataset.rule if isinstance(dataset, PairDataset) else "",
        paper=citation_of_dataset(facts.citation),
    )


@dataclass(frozen=True)
class _Images:
    """The images of a dataset that are to be scored, each with its reference, once.

    Attributes:
        dataset: key of the dataset.
        records: the images.
        places: of each score of an `Entry`, the image that it is of.
    """

    dataset: str
    records: Sequence[Record]
    places: Sequence[int]

    @functools.cached_property
    def keys(self) -> list[str]:
        """See `image_keys`: every file is looked at, which is once enough for all metrics."""
        return image_keys(self.dataset, self.records)

    @classmethod
    def of(cls, dataset: AnyDataset) -> _Images:
        if not isinstance(dataset, PairDataset):
            return cls(dataset.facts.key, dataset.records, range(len(dataset.records)))
        # An image is in many pairs.
        found: dict[tuple[Path, Path], int] = {}
        seen = [(record.first, record.reference) for record in dataset.records]
        seen += [(record.second, record.reference) for record in dataset.records]
        places = [found.setdefault(each, len(found)) for each in seen]
        records = [
            Record(image, math.nan, "", reference, id=os.path.relpath(image, dataset.root).replace(os.sep, "/"))
            for image, reference in found
        ]
        return cls(dataset.facts.key, records, places)


def _entries(
    metric: ToolboxMetric,
    data: Sequence[tuple[_Images, TestSet]],
    store: ScoreStore,
    device: str | None,
    workers: int | None,
    decode: str,
    weights: str | Path,
    download: bool,
    notice: Notice,
    progress: BoardProgress,
) -> Iterator[Entry]:
    given = weights if metric.is_ours else "default"
    first = data[0][1].title if data else ""
    progress.begin(metric.name, first)
    try:
        if download and metric.is_ours and given == "default":
            _fetch(metric.name, notice)
        place = device or ("cuda" if torch.cuda.is_available() else "cpu")
        # Metrics of other kinds need not know how to.
        predictor = metric.open(place, given, **({"download": True} if download else {}))
    except (MetricUnavailableError, ModuleNotFoundError) as error:
        reason = error.reason if isinstance(error, MetricUnavailableError) else str(error)
        notice(f"{metric.name}: unavailable: {reason}{_remedy(metric, error, download=download)}")
        progress.step += len(data) - 1
        for _, test_set in data:
            yield _entry(metric, test_set, given, "unavailable", reason)
        return
    identity = _identity(metric, predictor, weights, decode)
    machine = f"{platform.node()}, {getattr(predictor, 'device', 'cpu')}, {torch.get_num_threads()} threads"
    for number, (images, test_set) in enumerate(data):
        if number:
            progress.begin(metric.name, test_set.title)
        if metric.mode == "FR" and not any(record.reference for record in images.records):
            yield _entry(metric, test_set, given, "unfit", f"{test_set.name} has no references")
            continue
        notes: list[str] = []
        scores, problems, added = _scores(metric, predictor, images, store, identity, workers, decode, notes, progress)
        done = sum(score is not None for score in scores)
        notice(f"{metric.name}: {done} of {len(scores)} images of {test_set.title}")
        if notes:
            notice(f"{metric.name}: {len(notes)} images of {test_set.title} with a note; the first: {notes[0]}")
        progress.stage = "measuring its cost"
        now = _provenance(predictor)
        where = store.provenance(metric.name, identity, test_set.key, now, has_scored=added)
        provenance = {**identity, **where}
        if not done:
            yield replace(_entry(metric, test_set, given, "failed", problems[0]), provenance=provenance)
            continue
        on = f"{now['device']} on {now['machine']}"
        reason = f"{len(problems)} of {len(scores)} images have no score; the first: {problems[0]}" if problems else ""
        yield replace(
            _entry(metric, test_set, given, "partial" if problems else "scored", reason),
            scores=[scores[place] for place in images.places],
            cost=store.cost(
                metric.name,
                identity,
                f"{test_set.key} on {machine}",
                functools.partial(_cost, predictor, given, images.records, on),
            ),
            provenance=provenance,
        )


def _fetch(name: str, notice: Notice) -> None:
    """Download what a metric of ours lacks, after saying under which licence."""
    # What goes wrong is told when the metric is built.
    with contextlib.suppress(WeightsError):
        for file in get_card(name).files:
            if file.published and find(file) is None:
                fetch(file, notify=notice)


def _remedy(metric: ToolboxMetric, error: Exception, *, download: bool) -> str:
    """What to type, where a download would do. It is not for the board, which others read."""
    if download or not (isinstance(error, MetricUnavailableError) and error.is_download):
        return ""
    own = f", or `topiq weights fetch {metric.name}`" if metric.is_ours else ""
    return f". To download: add --download{own}."


def _scores(
    metric: ToolboxMetric,
    predictor: Predictor,
    images: _Images,
    store: ScoreStore,
    identity: dict[str, Any],
    workers: int | None,
    decode: str,
    notes: list[str],
    progress: BoardProgress,
) -> tuple[list[float | None], list[str], bool]:
    """The score of each image, or None; the reasons of those; and whether some were not known before.

    What rows have to say of their scores goes into ``notes``.
    """
    progress.stage = "looking at the images"
    keys, records = images.keys, images.records
    known = store.read(metric.name, identity)
    missing = [index for index, key in enumerate(keys) if key not in known]
    problems: list[str] = []
    progress.score(len(keys) - len(missing), len(keys))

    def rows() -> Iterator[tuple[str, float]]:
        with Engine([predictor], workers=workers, decode=decode) as engine:
            items = (_item(records[index]) for index in missing)
            for index, row in zip(missing, engine.rows(items), strict=True):
                score = row.scores[predictor.card.name]
                if score is None:
                    problems.append(_problem(records[index], row.error))
                if row.note:
                    notes.append(row.note)
                yield keys[index], math.nan if score is None else score

    if missing:
        for key, score in zip([keys[i] for i in missing], store.add(metric.name, identity, rows()), strict=True):
            known[key] = score
            progress.images += 1
    values = [known[key] for key in keys]
    return [score if math.isfinite(score) else None for score in values], problems, len(missing) > len(problems)


def _problem(record: Record, error: str) -> str:
    # A board that is published does not tell where images lie.
    for path in (record.image, record.reference):
        if path is not None:
            error = error.replace(str(path), path.name)
    return f"{record.id}: {error}"


def _item(record: Record) -> Item:
    return Item(path=record.image, reference=record.reference)


def _cost(predictor: Predictor, weights: str | Path, candidates: Sequence[Record], machine: str) -> Cost:
    step = max(1, len(candidates) // TIMED_IMAGES)
    pairs, images = [], []
    for record in itertools.islice(candidates, 0, step * TIMED_IMAGES, step):
        files = [record.image, record.reference] if predictor.card.mode == "FR" else [record.image]
        pair = [file for file in files if file is not None]
        if len(pair) < len(files):
            continue
        try:
            images.append([load_image(file) for file in pair])
        except ImageError:
            continue
        pairs.append(pair)
    try:
        cost = measure_cost(predictor, images)
    except Exception:  # noqa: BLE001 - a metric that fails on an image of the few; its scores are what counts
        return Cost()
    if not images:
        return cost
    middle = sorted(range(len(images)), key=lambda index: images[index][0].numel())[len(images) // 2]
    return replace(cost, memory=peak_memory(predictor, weights, pairs[middle]), machine=machine)


_OWN_WEIGHTS = TrainedOn(note="Its weights are none that its authors publish.")


def _entry(
    metric: ToolboxMetric, test_set: TestSet, weights: str | Path, status: EntryStatus, reason: str = ""
) -> Entry:
    return Entry(
        test_set=test_set.key,
        metric=metric.name,
        toolbox=metric.toolbox,
        mode=metric.mode,
        higher_is_better=metric.higher_is_better,
        status=status,
        reason=reason,
        trained_on=training_of(metric.name, test_set) if weights == "default" else _OWN_WEIGHTS,
        citation=citation_of_metric(metric.name),
    )


def _identity(metric: ToolboxMetric, predictor: Predictor, weights: str | Path, decode: str) -> dict[str, Any]:
    """What a score depends on, beside the image."""
    identity: dict[str, Any] = {
        "metric": metric.name,
        "package": metric.package,
        "version": metric.version,
        "size": str(predictor.size),
    }
    if metric.takes != ToolboxMetric.takes:
        identity["takes"] = metric.takes
    # Metrics that take images as they are take all their pixels.
    if decode != "exact" and predictor.size != SizePolicy():
        identity["decode"] = decode
    if metric.is_ours and (weights != "default" or get_card(metric.name).weights is not None):
        from topiq_metrics.weights.hashes import sha256_of
        from topiq_metrics.weights.load import locate

        identity["weights_sha256"] = sha256_of(locate(metric.name_in_toolbox, weights))
    return identity


def _provenance(predictor: Predictor) -> dict[str, Any]:
    return {
        "device": str(getattr(predictor, "device", "cpu")),
        "machine": f"{platform.machine()}, {platform.system()}, {torch.get_num_threads()} threads",
        "python": platform.python_version(),
        # Torch's own tells its build, too.
        "versions": {**versions("torch", "torchvision", "pillow"), "torch": torch.__version__},
        "created": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
    }
