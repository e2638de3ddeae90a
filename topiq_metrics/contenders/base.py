"""Metrics of any toolbox: what is known of them, and predictors that run them."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from topiq_metrics._extras import missing
from topiq_metrics.catalog import Mode, ModelCard
from topiq_metrics.contenders.offline import DownloadRefusedError, no_downloads, wanted_download
from topiq_metrics.errors import ImageTooSmallError, one_line
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.size import MIN_SIDE
from topiq_metrics.models.network import float32_by_default

if TYPE_CHECKING:
    from topiq_metrics.inference import Predictor

SCORES_SETS = "it scores a set of images, not one"

Score = Callable[[Tensor, "Tensor | None"], Any]
"""Scores one image ``(1, 3, H, W)``, with its reference if there is one: a number, or whatever holds one."""


class MetricUnavailableError(RuntimeError):
    """A metric cannot be run on this machine.

    Attributes:
        reason: why, without the metric's name.
        is_download: whether a download would make it available.
    """

    def __init__(self, name: str, reason: str, *, is_download: bool = False) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = reason
        self.is_download = is_download


@dataclass(frozen=True)
class ToolboxMetric:
    """What is known of a metric before it is built.

    Attributes:
        name: name on a board: that in the catalogue, or ``toolbox:metric``.
        toolbox: the toolbox that provides it.
        mode: ``"NR"`` for a no-reference metric, ``"FR"`` for a full-reference one.
        higher_is_better: direction of the score.
        package: the distribution that contains it.
        version: version of that distribution.
        takes: what the metric gets of the image that is passed to the predictor.
        size: size policy applied before the metric (see `topiq_metrics.images.SizePolicy`); ``"native"`` for metrics of
            other toolboxes, which resize images themselves or not at all.
        least_side: the shortest side that it accepts, in pixels; at least 32, the limit of
            `topiq_metrics.images.SizePolicy`.
        unavailable: why it cannot be run on any machine, or an empty string.
    """

    name: str
    toolbox: str
    mode: Mode
    higher_is_better: bool
    package: str
    version: str
    takes: str = "RGB in [0, 1]"
    size: str = "native"
    least_side: int = MIN_SIDE
    unavailable: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether it is a metric of this package's catalogue."""
        return self.toolbox == "topiq-metrics"

    @property
    def name_in_toolbox(self) -> str:
        """The metric's name in its toolbox."""
        return self.name.partition(":")[2] or self.name

    def open(
        self,
        device: str | torch.device = "cpu",
        weights: str | os.PathLike[str] | None = "default",
        *,
        download: bool = False,
    ) -> Predictor:
        """Open the metric for scoring, with the weights on this machine.

        Args:
            device: where to run.
            weights: for a metric of the catalogue, as for `topiq_metrics.inference.open_predictor`. Metrics of other
                toolboxes use their own.
            download: download missing weights; otherwise nothing is downloaded.

        Raises:
            MetricUnavailableError: if weights or a package of its toolbox are missing, or it cannot be built.
            ModuleNotFoundError: if its toolbox is not installed.
            ValueError: if there is no such device, or the metric does not accept these weights.
        """
        from topiq_metrics.contenders import toolbox_module
        from topiq_metrics.inference.predictor import choose_device

        module = toolbox_module(self.toolbox)
        if self.unavailable:
            raise MetricUnavailableError(self.name, self.unavailable)
        if weights != "default" and not self.is_ours:
            raise ValueError(f"Argument `weights` must be 'default' for {self.name!r}, but got {weights!r}.")
        chosen = choose_device(device)
        try:
            # Networks draw weights before they load theirs: the caller's random numbers stay as they are.
            with _downloads(allowed=download), _quiet(), float32_by_default(), torch.random.fork_rng(devices=[]):
                predictor: Predictor = module.open_metric(self, chosen, weights)
        except DownloadRefusedError as error:
            raise MetricUnavailableError(self.name, str(error), is_download=True) from error
        except MetricUnavailableError:
            raise
        except ModuleNotFoundError as error:
            reason = str(error) if "pip install" in str(error) else f"it needs {error.name}, which is not installed"
            raise MetricUnavailableError(self.name, reason) from error
        except Exception as error:
            # Code of another distribution, which may raise anything.
            wanted = wanted_download(error)
            raise MetricUnavailableError(self.name, wanted or one_line(error), is_download=bool(wanted)) from error
        if isinstance(predictor, ToolboxPredictor):
            predictor.may_download = download
        return predictor

    def check(self, device: str | torch.device = "cpu") -> str:
        """Say why it cannot be run on this machine; an empty string if it can. Builds the metric.

        Raises:
            ModuleNotFoundError: if its toolbox is not installed.
        """
        try:
            self.open(device)
        except MetricUnavailableError as error:
            return error.reason
        return ""


class ToolboxPredictor:
    """Runs a metric of another toolbox, one image at a time; see `topiq_metrics.inference.Predictor`.

    Toolboxes reduce batches in different ways, and in some the score of an image depends on the others of its batch:
    they never get a batch.

    Args:
        metric: the metric.
        score: function that scores one image.
        device: where to run.
        network: the metric's network, to count its parameters.

    Attributes:
        may_download: whether the metric may download missing files when it scores.
    """

    max_batch = 1
    may_download = False

    def __init__(
        self, metric: ToolboxMetric, score: Score, device: torch.device, network: nn.Module | None = None
    ) -> None:
        self.card = ModelCard(
            name=metric.name,
            mode=metric.mode,
            summary=f"{metric.name_in_toolbox} of {metric.package} {metric.version}",
            score_range=(-float("inf"), float("inf")),
            metric="",
            size=metric.size,
            higher_is_better=metric.higher_is_better,
        )
        self.size = SizePolicy.parse(metric.size)
        self.device = device
        self.network = network
        self._least_side = metric.least_side
        self._score = score

    def __call__(self, images: Tensor, references: Tensor | None = None, *, spare_memory: bool = False) -> Tensor:  # noqa: ARG002
        """Score a batch, as `topiq_metrics.inference.Predictor` says.

        Raises:
            ImageTooSmallError: if the metric cannot take images of this size.
            RuntimeError: if the metric fails.
            ValueError: if there are no references, and the metric needs them.
        """
        if references is None and self.card.mode == "FR":
            raise ValueError(f"{self.card.name!r} needs the images' references.")
        height, width = images.shape[-2:]
        if min(height, width) < self._least_side:
            raise ImageTooSmallError(f"{self.card.name} needs {self._least_side} px a side, but got {width}x{height}")
        pairs = [(images[i : i + 1], None if references is None else references[i : i + 1]) for i in range(len(images))]
        return torch.tensor([float(self.together(*pair).item()) for pair in pairs], dtype=torch.float32)

    def together(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """The toolbox's own result for a batch: a score for each image, or one for all.

        Raises:
            RuntimeError: if the metric fails.
        """
        # Copies: other metrics score the same tensors, and a toolbox may write into them.
        given = [None if x is None else x.to(self.device, copy=True) for x in (images, references)]
        with _downloads(allowed=self.may_download), warnings.catch_warnings(), float32_by_default(), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                return torch.as_tensor(self._score(given[0], given[1]))  # type: ignore[arg-type]
            except (RuntimeError, MemoryError):
                raise
            except DownloadRefusedError as error:
                raise RuntimeError(str(error)) from error
            except Exception as error:
                raise RuntimeError(one_line(error)) from error


def require(package: str, extra: str) -> None:
    """Make sure that a toolbox is installed.

    Raises:
        ModuleNotFoundError: with what installs it.
    """
    if importlib.util.find_spec(package) is None:
        raise missing(extra, f"{package} is not installed", package)


def toolbox_metric(toolbox: str, name: str, mode: Mode, higher_is_better: bool, **facts: Any) -> ToolboxMetric:
    """A metric of a toolbox whose name is that of its distribution."""
    version = importlib.metadata.version(toolbox)
    return ToolboxMetric(f"{toolbox}:{name}", toolbox, mode, higher_is_better, toolbox, version, **facts)


def _downloads(*, allowed: bool) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if allowed else no_downloads()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    level = logging.root.manager.disable
    logging.disable(max(level, logging.INFO))
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
