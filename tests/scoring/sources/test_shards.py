from __future__ import annotations

import gzip
import io
import os
import random
import tarfile

import pytest

from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import SourceError, open_source, shards


def names(items):
    return [item.name for item in items]


@pytest.fixture
def shard(tmp_path):
    def write(members: list[tuple[str, bytes]], name: str = "s.tar", **options: object):
        path = tmp_path / name
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w", **options) as tar:
            for member, data in members:
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return write


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz", "s.TGZ"])
def test_images_of_a_shard(name, shard, read, picture):
    members = [("a.jpg", picture(1)), ("a.json", b"{}"), ("./d/b.PNG", picture(2)), (".c.png", b""), ("d/._b.png", b"")]
    path = shard([*members, ("x" * 300 + ".png", picture(3))], name)
    expected = [("a.jpg", picture(1)), ("d/b.PNG", picture(2)), ("x" * 300 + ".png", picture(3))]
    assert read(path) == [Item(f"{path}/{member}", data=data) for member, data in expected]
    assert open_source(path).count() is None
    assert len(list(open_source([path, path.with_name("missing.tar")]).fragments())) == 2


def test_references_are_members_of_the_same_sample(shard, read, picture):
    names = ["a.ref.png", "a.jpg", "a.txt", "b.jpg", "d/b.jpg", "d/b.REF.png", "c.ref.png"]
    path = shard([(name, picture(number)) for number, name in enumerate(names)])
    assert read(path, reference_column="ref.png") == [
        Item(f"{path}/a.jpg", picture(0), picture(1)),
        Item(f"{path}/b.jpg", None, picture(3)),
        Item(f"{path}/d/b.jpg", picture(5), picture(4)),
    ]
    assert len(read(path)) == 6


def test_images_may_be_chosen_by_extension(shard, read):
    path = shard([("a.jpg", b"1"), ("a.thumb.jpg", b"2"), ("b.dat", b"3"), ("c.jpeg", b"4"), ("d.thumb.JPG", b"5")])
    assert [item.data for item in read(path, image_column="jpg;.DAT")] == [b"1", b"2", b"3", b"5"]
    assert [item.data for item in read(path, image_column="thumb.jpg")] == [b"2", b"5"]
    # An extension is a whole one.
    assert [item.data for item in read(path, image_column="jpeg;peg;at")] == [b"4"]


def test_names_have_dots(shard, read):
    names = ["22.05.jpg", "22.05.ref.png", "22.06.jpg", "22.06.ref.png", "photo.v2.jpg", "photo.v2.REF.png", "x.jpg"]
    path = shard([(name, name.encode()) for name in names])
    for image_column in (None, "jpg"):
        assert read(path, image_column=image_column, reference_column="ref.png") == [
            Item(f"{path}/22.05.jpg", b"22.05.ref.png", b"22.05.jpg"),
            Item(f"{path}/22.06.jpg", b"22.06.ref.png", b"22.06.jpg"),
            Item(f"{path}/photo.v2.jpg", b"photo.v2.REF.png", b"photo.v2.jpg"),
            Item(f"{path}/x.jpg", None, b"x.jpg"),
        ]


def test_the_longest_extension_counts(shard, read):
    path = shard([("a.ref.png", b"r"), ("a.png", b"a"), ("b.png", b"b")])
    assert [(item.data, item.reference) for item in read(path, image_column="png", reference_column="ref.png")] == [
        (b"a", b"r"),
        (b"b", None),
    ]
    assert [(item.data, item.reference) for item in read(path, image_column="ref.png", reference_column="png")] == [
        (b"r", b"a")
    ]


def test_images_that_were_not_asked_for_are_counted(shard):
    members = [("a.jpg", b"1"), ("a.json", b"{}"), ("b.jpeg", b"2"), ("c.PNG", b"3"), ("d.png", b"4"), (".e.png", b"")]
    source = open_source(shard(members), image_column="jpg")
    for _ in range(2):
        assert len(list(source.items())) == 1
        assert source.left_out == {".jpeg": 1, ".png": 2}
    assert not open_source(shard(members)).left_out
    with pytest.raises(SourceError, match=r"There is no image in .* asked for: 1 \.jpeg, 1 \.jpg, 2 \.png\."):
        list(open_source(shard(members), image_column="webp").items())


def test_shards_with_braces_in_their_names(tmp_path, shard, read):
    for number in (8, 9, 10):
        shard([("a.jpg", b"1")], f"train-{number:05}.tar")
    shard([("a.jpg", b"2")], "test-00008.tar")
    *found, missing = read(tmp_path / "{train,test}-{00008..00009}.tar")
    assert names(found) == [
        str(tmp_path / f"{part}.tar/a.jpg") for part in ("train-00008", "train-00009", "test-00008")
    ]
    assert (missing.name, missing.problem.partition(":")[0]) == (str(tmp_path / "test-00009.tar"), "missing")


def test_a_name_that_returns_is_another_image(shard, read):
    path = shard([("a.jpg", b"1"), ("a.jpg", b"2"), ("./a.jpg", b"2")])
    assert names(read(path)) == [f"{path}/a.jpg", f"{path}/a.jpg#2", f"{path}/a.jpg#3"]


def test_the_same_shard_comes_once(shard, read, monkeypatch):
    path = shard([("a.jpg", b"1")])
    monkeypatch.chdir(path.parent)
    assert names(read([path, "s.tar", "*.tar"])) == [f"{path}/a.jpg"]


@pytest.mark.parametrize("cut", [1, 100, 512 + 5, 1024, 1024 + 512, 4 * 1024])
def test_a_cut_shard_gives_what_came_before(cut, shard, picture):
    # Headers and pictures take 512 bytes each.
    path = shard([(f"{i}.png", picture(i)) for i in range(9)])
    path.write_bytes(path.read_bytes()[:cut])
    *whole, last = open_source(path).items()
    assert whole == [Item(f"{path}/{i}.png", data=picture(i)) for i in range(cut // 1024)]
    assert (last.name, last.problem.partition(":")[0]) == (str(path), "truncated")


def test_a_cut_compressed_shard(shard, picture):
    path = shard([(f"{i}.png", os.urandom(50_000)) for i in range(9)], "s.tgz")
    path.write_bytes(path.read_bytes()[:220_000])
    items = list(open_source(path).items())
    assert [bool(item.data) for item in items] == [True] * 4 + [False]
    assert items[-1].problem.startswith("truncated: ")


def test_damage_between_members_is_told(shard, picture):
    path = shard([(f"{i}.png", picture(i)) for i in range(4)])
    whole = path.read_bytes()
    for damage in (b"\xff" * 512, bytes(512)):
        path.write_bytes(whole[:2048] + damage + whole[2560:])
        items = list(open_source(path).items())
        assert names(items) == [f"{path}/0.png", f"{path}/1.png", str(path)]
        assert items[2].problem.startswith("truncated: ")


@pytest.mark.parametrize("data", [b"", b"no shard", b"\x1f\x8b\x08 nor this", os.urandom(3000)])
def test_what_is_no_shard(data, tmp_path, read):
    path = tmp_path / "s.tar"
    path.write_bytes(data)
    (item,) = read(path)
    assert (item.name, item.problem.partition(":")[0]) == (str(path), "truncated")


def test_a_missing_shard_is_a_row(tmp_path, read):
    (item,) = read(tmp_path / "none.tar")
    assert item == Item(str(tmp_path / "none.tar"), problem=f"missing: there is no {tmp_path}/none.tar")


def test_members_that_are_too_large_or_no_files(shard, read, monkeypatch):
    monkeypatch.setattr(shards, "_MAX_BYTES", 1000)
    path = shard([("a.png", bytes(1001)), ("b.png", b"b")])
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("c.png")
        link.type, link.linkname = tarfile.LNKTYPE, "b.png"
        tar.addfile(link)
        folder = tarfile.TarInfo("d.png")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    assert read(path) == [
        Item(f"{path}/a.png", problem="too-large: the file has more than 1000 bytes"),
        Item(f"{path}/b.png", data=b"b"),
        Item(f"{path}/c.png", problem="unreadable: it is a link or a device, not a file"),
    ]


def test_headers_that_are_too_long(tmp_path, read):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    path = tmp_path / "s.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(100_000)))
    (item,) = read(path)
    assert item.problem.startswith("truncated: ")
    assert "a header is too long" in item.problem


def test_damaged_shards_never_stop_a_job(shard, picture):
    generator = random.Random(0)
    path = shard([(f"{'n' * 120 * (i % 2)}{i}.png", picture(i)) for i in range(6)], format=tarfile.PAX_FORMAT)
    whole = path.read_bytes()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(generator.randint(1, 20)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(data[: generator.randint(1, len(data))])
        items = list(open_source([path, "x.png"]).items())
        assert len(names(items)) == len(set(names(items)))
        assert names(items)[-1] == "x.png"


def test_a_shard_without_images_is_an_error(shard):
    with pytest.raises(SourceError, match=r"There is no image in the shard .*s\.tar"):
        list(open_source(shard([("a.json", b"{}")])).items())


def test_references_by_name_are_an_error(shard, tmp_path):
    with pytest.raises(SourceError, match="holds images, not names"):
        open_source(shard([("a.png", b"")]), references=tmp_path)
