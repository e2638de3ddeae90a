from __future__ import annotations

import http.server
import threading
import zipfile
from urllib.parse import unquote

import pytest

from topiq_metrics.errors import ImageError, ImageNotFoundError, ImageTooLargeError
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import SourceError, open_source, remote
from topiq_metrics.scoring.sources.remote import read_url

fsspec = pytest.importorskip("fsspec", reason="the extra remote is not installed")


class Site:
    """A web site of the files in a folder, with a few pages that misbehave."""

    def __init__(self, folder, url):
        self.folder, self.url = folder, url
        self.requests: list[str] = []
        self.failures = 0


@pytest.fixture
def site(tmp_path):
    pytest.importorskip("aiohttp", reason="the extra remote is not installed")
    folder = tmp_path / "site"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **options):
            super().__init__(*args, directory=str(folder), **options)

        def do_GET(self):
            result.requests.append(f"{self.command} {self.path}")
            if result.failures:
                result.failures -= 1
                self.send_error(503)
            elif self.path.startswith("/forbidden"):
                self.send_error(403)
            elif self.path == "/endless":
                self.send_response(200)
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(bytes(1 << 16))
                except OSError:
                    pass
            elif self.path == "/short.png":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"x")
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    result = Site(folder, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield result
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(remote, "_PAUSES", (0.0, 0.0))


def names(items):
    return [item.name for item in items]


class TestRead:
    def test_web(self, site, picture):
        (site.folder / "a b.png").write_bytes(picture())
        assert read_url(f"{site.url}/a%20b.png?size=2") == picture()
        assert site.requests == ["GET /a%20b.png?size=2"]

    def test_file(self, tmp_path, picture):
        (tmp_path / "a.png").write_bytes(picture())
        assert read_url(f"file://{tmp_path}/a.png") == picture()

    def test_missing(self, site, tmp_path):
        for url in (f"{site.url}/none.png", f"file://{tmp_path}/none.png"):
            with pytest.raises(ImageNotFoundError, match=r"none\.png: there is no such file"):
                read_url(url)

    def test_too_large(self, site, tmp_path):
        (tmp_path / "a.png").write_bytes(bytes(1001))
        for url in (f"{site.url}/endless", f"file://{tmp_path}/a.png"):
            with pytest.raises(ImageTooLargeError, match="the file has more than 1000 bytes"):
                read_url(url, max_bytes=1000)
        assert len(read_url(f"file://{tmp_path}/a.png", max_bytes=1001)) == 1001

    def test_what_may_pass_is_tried_again(self, site, picture):
        (site.folder / "a.png").write_bytes(picture())
        site.failures = 2
        assert read_url(f"{site.url}/a.png") == picture()
        site.failures = 3
        with pytest.raises(ImageError, match=r"cannot be read .*503"):
            read_url(f"{site.url}/a.png")
        assert len(site.requests) == 6

    def test_what_stays_is_not(self, site):
        with pytest.raises(ImageError, match=r"cannot be read .*403"):
            read_url(f"{site.url}/forbidden.png")
        assert len(site.requests) == 1

    @pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.png", "what://x/a.png", "http://[/a.png"])
    def test_other_failures(self, url, site):
        with pytest.raises(ImageError, match="cannot be read") as caught:
            read_url(url)
        assert caught.value.reason == "unreadable"

    def test_a_file_that_is_cut_short_under_way(self, site):
        with pytest.raises(ImageError, match="cannot be read"):
            read_url(f"{site.url}/short.png")


def test_images_and_lists(site, tmp_path, read):
    (site.folder / "lists").mkdir()
    (site.folder / "lists" / "l.txt").write_text("a.png\nhttp://other/b.png\n")
    (site.folder / "lists" / "t.csv").write_text("path,ref\nc.png,r.png\n")
    (tmp_path / "l.txt").write_text(f"{site.url}/d.png\n")
    url = f"{site.url}/lists"
    assert read(
        [f"{url}/x?id=1", f"{url}/l.txt?token=2", f"{url}/t.csv", tmp_path / "l.txt"], reference_column="ref"
    ) == [
        Item(f"{url}/x?id=1"),
        Item(f"{url}/a.png"),
        Item("http://other/b.png"),
        Item(f"{url}/c.png", f"{url}/r.png"),
        Item(f"{site.url}/d.png"),
    ]
    with pytest.raises(SourceError, match=r"There is no list .*none\.txt"):
        open_source(f"{site.url}/none.txt")
    with pytest.raises(SourceError, match=r"cannot be read: .*403"):
        open_source(f"{site.url}/forbidden.csv")


def test_folders(site, tmp_path, touch, read):
    touch(*(f"site/p/{name}" for name in ("b.png", "a/z.jpg", "a/y.png", "a.png", "notes.txt", ".h.png", ".d/x.png")))
    expected = ["a/y.png", "a/z.jpg", "a.png", "b.png"]
    assert names(read(f"file://{tmp_path}/site/p/")) == [f"file://{tmp_path}/site/p/{name}" for name in expected]
    assert names(read(f"{site.url}/p/")) == [f"{site.url}/p/{name}" for name in expected]
    assert names(read(f"file://{tmp_path}/site/**/*.jpg")) == [f"file://{tmp_path}/site/p/a/z.jpg"]
    assert names(read(f"file://{tmp_path}/site/p/*")) == [f"file://{tmp_path}/site/p/{name}" for name in expected[2:]]
    touch("refs/a/y.jpg")
    references = [item.reference for item in read(f"{site.url}/p/", references=tmp_path / "refs")]
    assert references == [f"{tmp_path}/refs/a/y.jpg", None, None, None]
    (tmp_path / "empty").mkdir()
    for url, message in [
        (f"file://{tmp_path}/empty/", "There is no image in the folder"),
        (f"file://{tmp_path}/none/", "There is no folder"),
        (f"{site.url}/none/", "There is no folder"),
        (f"{site.url}/forbidden/", "cannot be listed"),
        (f"file://{tmp_path}/*.png", "There is no image or table that matches"),
    ]:
        with pytest.raises(SourceError, match=message):
            open_source(url)


def test_tables_and_shards(site, read, picture):
    import tarfile

    (site.folder / "a.png").write_bytes(picture())
    with tarfile.open(site.folder / "s.tar", "w") as tar:
        tar.add(site.folder / "a.png", "a.png")
    assert read(f"{site.url}/s.tar") == [Item(f"{site.url}/s.tar/a.png", data=picture())]
    assert site.requests.count("GET /s.tar") == len(site.requests)
    (missing,) = read(f"{site.url}/none.tar")
    assert missing.problem.startswith("missing: ")
    (forbidden,) = read(f"{site.url}/forbidden.tar")
    assert forbidden.problem.startswith("truncated: ")

    pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    from pyarrow import parquet

    parquet.write_table(pa.table({"image": [picture()]}), site.folder / "t.parquet")
    assert read(f"{site.url}/t.parquet") == [Item(f"{site.url}/t.parquet#0", data=picture())]
    assert read(f"file://{site.folder}/t.parquet")[0].data == picture()


def test_archives(tmp_path, read, picture):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/b.png", picture(1))
        archive.writestr("c.png", picture(2))
    for source in (f"zip://::file://{tmp_path}/a.zip", f"zip://**::file://{tmp_path}/a.zip"):
        items = read(source)
        assert names(items) == [f"zip://{name}::file://{tmp_path}/a.zip" for name in ("c.png", "d/b.png")]
        assert read_url(items[1].name) == picture(1)


def test_stores_and_caches(read, picture):
    store = fsspec.filesystem("memory")
    for name in ("p/a.png", "p/d/b.png"):
        store.pipe(f"/bucket/{name}", picture())
    store.pipe("/bucket/l.txt", b"p/a.png")
    for cache in ("", "simplecache::"):
        folder = names(read(f"{cache}memory://bucket/p/"))
        assert folder == [f"{cache}memory:///bucket/p/a.png", f"{cache}memory:///bucket/p/d/b.png"]
        assert names(read(f"{cache}memory://bucket/**/*.png")) == folder
        assert names(read(f"{cache}memory://bucket/l.txt")) == [f"{cache}memory://bucket/p/a.png"]
        assert [read_url(name) for name in folder] == [picture()] * 2
    store.rm("/bucket", recursive=True)


def test_urls_that_cannot_be_had_are_an_error():
    with pytest.raises(SourceError, match=r"what://x/a\.png cannot be opened"):
        open_source("what://x/a.png")


def test_a_file_system_that_is_not_installed(monkeypatch):
    def missing(url):
        raise ImportError("Install cloudfs to access cloud")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(ModuleNotFoundError, match=r"Install cloudfs .*: pip install 'topiq-metrics\[remote\]'"):
        open_source("cloud://x/a.png")


def test_urls_are_named_as_they_came():
    assert unquote(next(open_source("http://host/%C3%A9.png").items()).name) == "http://host/é.png"
