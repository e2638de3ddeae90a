"""Download weights files into the cache."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from topiq_metrics.catalog import WeightsFile
from topiq_metrics.errors import WeightsError, WeightsHashError
from topiq_metrics.weights.checkpoints import read_state
from topiq_metrics.weights.hashes import check_sha256, has_expected_sha256, metric_of, sha256_of
from topiq_metrics.weights.places import CACHE_VARIABLE, cache_dir, files_of, find_checked, not_found

_LOGGER = logging.getLogger("topiq_metrics")
_PARTIAL = ".fetch-"
_STALE_SECONDS = 3600
_TIMEOUT = 60.0


def fetch(file: str | WeightsFile, *, notify: Callable[[str], None] | None = None) -> Path:
    """Download all weights files of a metric, or one weights file, into the cache, unless it has a valid copy.

    A copy with a wrong hash is replaced. A file appears in the cache only when it is complete and checked: several
    processes may fetch it at the same time, and an interrupted download leaves no unusable file. ``HF_ENDPOINT``,
    ``HF_HUB_OFFLINE`` and Hugging Face tokens are respected. Files that are not published, such as bundled ones, are
    not downloaded, but looked for on this machine.

    Args:
        file: name of a metric, or one of the files in its card.
        notify: called with a message for each download that names the file and its licence. The ``topiq_metrics``
            logger gets the same message.

    Returns:
        Path of the weights file; for a metric, that of its network.

    Raises:
        WeightsNotFoundError: if the file cannot be downloaded or, if it is not published, is not on this machine.
        WeightsHashError: if the SHA-256 of the downloaded file is not that of the published one.
        WeightsError: if the cache cannot be written.
        ValueError: if there is no such metric, or it needs no weights.
    """
    main, *others = files_of(file)
    for other in others:
        _fetch(other, notify)
    return _fetch(main, notify)


def _fetch(file: WeightsFile, notify: Callable[[str], None] | None) -> Path:
    if not file.published:
        if (found := find_checked(file)) is None:
            raise not_found(file, "not asked")
        return found
    target = cache_dir() / file.filename
    if target.is_file() and _is_whole(target, file):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target.parent)
        folder = tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=target.parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise WeightsError(
            f"The cache folder {target.parent} cannot be written ({error}). Set {CACHE_VARIABLE} to one that can."
        ) from error
    message = (
        f"Downloading {file.filename} (weights of {metric_of(file)}) from {file.url or file.hub_repo}. "
        f"Licence of the weights: {file.license}."
    )
    with folder as partial:
        _LOGGER.info(message)
        if notify is not None:
            notify(message)
        return _move_checked(_download(file, Path(partial)), target, file)


def _download(file: WeightsFile, folder: Path) -> Path:
    try:
        return _from_url(file.url, folder / file.filename) if file.url else _from_hub(file, folder)
    except Exception as error:
        # The errors of these clients share no base class across their versions and HTTP libraries.
        raise not_found(file, f"{type(error).__name__}: {error}") from error


def _from_hub(file: WeightsFile, folder: Path) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    repo = str(file.hub_repo)
    # Without a network this fails at once, where `hf_hub_download` goes on trying for half a minute.
    get_hf_file_metadata(hf_hub_url(repo, file.filename))
    return Path(hf_hub_download(repo, file.filename, local_dir=folder))


def _from_url(url: str, path: Path) -> Path:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise ConnectionError("HF_HUB_OFFLINE is set.")
    try:
        response = urllib.request.urlopen(url, timeout=_TIMEOUT)  # noqa: S310 - our URLs
    except urllib.error.HTTPError as error:
        # It holds the connection.
        error.close()
        raise
    with response, path.open("wb") as file:
        shutil.copyfileobj(response, file)
        length = response.headers.get("Content-Length")
    if length is not None and path.stat().st_size != int(length):
        raise ConnectionError(f"the download ended after {path.stat().st_size} of {length} bytes")
    return path


def _is_whole(path: Path, file: WeightsFile) -> bool:
    """Whether a file is the published one or, where its SHA-256 is not known, a checkpoint at all."""
    if file.sha256:
        return has_expected_sha256(path, file)
    try:
        read_state(path)
    except WeightsError:
        return False
    return True


def _move_checked(got: Path, target: Path, file: WeightsFile) -> Path:
    if not _is_whole(got, file):
        if not file.sha256:
            came = "what came in its place is not a checkpoint; a proxy or a login page may have answered"
            raise not_found(file, came)
        raise WeightsHashError(
            f"What was downloaded as {got.name} is not the published file and was removed: its SHA-256 must start "
            f"with {file.sha256}, but is {sha256_of(got)}. Try again; if HF_ENDPOINT names a mirror, try another."
        )
    try:
        got.replace(target)
    except PermissionError:
        # On Windows a file that another process has open cannot be replaced; that one may be good as it is.
        if not target.is_file():
            raise
        check_sha256(target, file)
    return target


def _remove_stale(folder: Path) -> None:
    """Remove what a killed process left behind; a running download touches its files all the time."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        # Another process may be removing the same folder.
        with contextlib.suppress(FileNotFoundError):
            newest = max(path.stat().st_mtime for path in (partial, *partial.rglob("*")))
            if time.time() - newest > _STALE_SECONDS:
                shutil.rmtree(partial, ignore_errors=True)
