"""No downloads: whoever asks for one is told so at once, before a connection is tried."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import socket
import threading
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlsplit

_URL = re.compile(r"https?://[^\s'\"]+")
_REPO = "pretrained_model_name_or_path"
_lock = threading.RLock()


class DownloadRefusedError(BaseException):
    """No `Exception`: toolboxes catch those, and try again or go on with random weights."""


@contextlib.contextmanager
def no_downloads() -> Iterator[None]:
    """Refuse what this thread would fetch, whichever library it uses; other threads go on.

    The Hugging Face hub is made to look into its cache only, in all threads.

    Raises:
        DownloadRefusedError: naming the file and its host.
    """
    with _lock, contextlib.ExitStack() as patches:
        for owner, name, refuse in _doors():
            patches.enter_context(mock.patch.object(owner, name, _guarded(getattr(owner, name), refuse)))
        from huggingface_hub import constants

        patches.enter_context(mock.patch.object(constants, "HF_HUB_OFFLINE", new=True))
        yield


def wanted_download(error: BaseException) -> str:
    """Say which download the Hugging Face hub was not allowed, if that is what an error comes from."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for link in chain:
        if type(link).__name__ == "OfflineModeIsEnabled" and (url := _URL.search(str(link))):
            return _reason(url[0].rstrip(".,:"))
    # transformers looks into the cache only, and so asks for no address.
    if not any(type(link).__name__ == "LocalEntryNotFoundError" or "//huggingface.co" in str(link) for link in chain):
        return ""
    frames = (frame for link in chain for frame, _ in traceback.walk_tb(link.__traceback__))
    names = [str(frame.f_locals[_REPO]) for frame in frames if _REPO in frame.f_locals]
    weights = f"its weights {names[-1]}" if names else "its weights"
    return f"{weights} are not in the cache and would be downloaded from huggingface.co"


def _doors() -> Iterator[tuple[Any, str, Callable[..., str]]]:
    """The functions through which downloads go, with what tells why a call is refused, or nothing."""
    yield urllib.request.OpenerDirector, "open", lambda _, url, *__, **___: _web(getattr(url, "full_url", url))
    if importlib.util.find_spec("requests") is not None:
        import requests

        yield requests.Session, "send", lambda _, request, **__: _web(request.url)
    # For any other library: the host is all that can be known there.
    yield socket, "getaddrinfo", lambda host, *_, **__: f"it would connect to {host}, and nothing is downloaded"
    yield socket.socket, "connect", _connection


def _guarded(original: Callable[..., Any], refuse: Callable[..., str]) -> Callable[..., Any]:
    thread = threading.get_ident()

    def guarded(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() == thread and (reason := refuse(*args, **kwargs)):
            raise DownloadRefusedError(reason)
        return original(*args, **kwargs)

    return guarded


def _connection(this: socket.socket, address: Any) -> str:
    remote = this.family in {socket.AF_INET, socket.AF_INET6}
    return f"it would connect to {address[0]}, and nothing is downloaded" if remote else ""


def _web(url: str) -> str:
    return _reason(url) if url.startswith(("http:", "https:", "ftp:")) else ""


def _reason(url: str) -> str:
    parts = urlsplit(url)
    path = unquote(parts.path).strip("/")
    repo, resolved, file = path.partition("/resolve/")
    if resolved:
        # A model.safetensors could be anyone's.
        name = f"{repo}/{file.partition('/')[2]}"
    else:
        name = path.removeprefix("api/models/") if path.startswith("api/") else path.rpartition("/")[2]
    return f"its weights {name} are not in the cache and would be downloaded from {parts.hostname}"
