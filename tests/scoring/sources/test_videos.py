"""Frames of videos as images."""

from __future__ import annotations

import pickle
import struct
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from topiq_metrics.images import load_image
from topiq_metrics.scoring.job import ScoreJob
from topiq_metrics.scoring.sources import SourceError, open_source
from topiq_metrics.scoring.sources.videos import Step

av = pytest.importorskip("av", reason="PyAV is not installed")


def frames(count: int, offset: int = 0) -> list[np.ndarray]:
    """Each of a grey of its own."""
    return [np.full((48, 64, 3), 10 * i + offset, np.uint8) for i in range(count)]


def save(path: Path, pictures, rate=10, codec="ffv1", form="bgr0", times=None, color_trc=None) -> str:
    """A clip; without loss unless another codec is named."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = form
        if color_trc is not None:
            stream.codec_context.color_trc = color_trc
        stream.codec_context.time_base = Fraction(1, 1000) if times else Fraction(1, rate)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = times[number] if times else number
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


def read(source, **options):
    """All of it, through fragments that have been pickled."""
    opened = open_source(source, **options)
    items = list(opened.items())
    again = [item for part in opened.fragments() for item in pickle.loads(pickle.dumps(part)).items()]
    assert [item.name for item in again] == [item.name for item in items]
    return items


def stamps(items) -> list[str]:
    return [item.name.partition("#")[2] for item in items]


def greys(items) -> list[int]:
    return [int(item.data[0, 0, 0]) for item in items]


class TestFrames:
    def test_each_is_an_image_with_its_time(self, tmp_path):
        clip = save(tmp_path / "clip.mkv", frames(12))
        items = read(clip)
        assert [item.name for item in items[:2]] == [f"{clip}#t=0.000", f"{clip}#t=0.100"]
        assert all(np.array_equal(item.data, picture) for item, picture in zip(items, frames(12), strict=True))

    def test_as_they_are_usually_stored(self, tmp_path):
        clip = save(tmp_path / "clip.mp4", frames(12), codec="libx264", form="yuv420p")
        source = open_source(clip)
        assert source.count() == 12
        assert greys(source.items()) == pytest.approx(range(0, 120, 10), abs=3)

    @pytest.mark.parametrize(
        ("every", "expected"),
        [
            ("1s", ["t=0.000", "t=1.000", "t=2.000"]),
            ("500ms", ["t=0.000", "t=0.500", "t=1.000", "t=1.500", "t=2.000"]),
            ("0.95s", ["t=0.000", "t=1.000", "t=1.900"]),
            ("10", ["t=0.000", "t=1.000", "t=2.000"]),
            ("1h", None),
            ("0s", None),
            ("1.5", None),
            ("", None),
        ],
    )
    def test_some_of_them(self, every, expected, tmp_path):
        clip = save(tmp_path / "clip.mp4", frames(21), codec="libx264", form="yuv420p")
        if expected is None:
            with pytest.raises(SourceError, match="must be a time or a number of frames, such as 1s, 500ms or 10"):
                open_source(clip, every=every)
        else:
            source = open_source(clip, every=every)
            assert stamps(source.items()) == expected
            assert source.count() in {len(expected), len(expected) + 1}

    def test_a_gap_is_not_made_up_for(self, tmp_path):
        clip = save(tmp_path / "clip.mkv", frames(6), times=[0, 400, 3100, 3500, 4200, 4300])
        assert stamps(read(clip, every="1s")) == ["t=0.000", "t=3.100", "t=4.200"]
        assert Step.parse("1s").seconds == 1

    @pytest.mark.parametrize(
        ("matrix", "white"),
        [
            ((1, 0, 0, 1), (0, 0)),
            ((0, 1, -1, 0), (0, -1)),  # a quarter turn clockwise, as an upright phone
            ((-1, 0, 0, -1), (-1, -1)),
            ((0, -1, 1, 0), (-1, 0)),
            ((-1, 0, 0, 1), (0, -1)),  # mirrored
            ((1, 0, 0, -1), (-1, 0)),
            ((0, 1, 1, 0), (0, 0)),
            ((0, -1, -1, 0), (-1, -1)),
        ],
    )
    def test_turned_and_mirrored(self, matrix, white, tmp_path):
        """As the header of the track has it; the quarter at its upper left is white."""
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:24, :32] = 255
        path = Path(save(tmp_path / "clip.mp4", [picture] * 3, codec="libx264", form="yuv420p"))
        data = bytearray(path.read_bytes())
        start = data.index(b"tkhd") + 4 + 40
        a, b, c, d = (value << 16 if value > 0 else -(-value << 16) for value in matrix)
        data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
        first = read(str(path))[0].data
        assert first.shape == ((64, 48, 3) if matrix[0] == 0 else (48, 64, 3))
        is_white = {(row, column) for row in (0, -1) for column in (0, -1) if first[row, column].min() > 220}
        assert is_white == {white}
        assert np.mean(first > 128) == pytest.approx(0.25, abs=0.02)

    def test_a_transparent_one_is_on_white(self, tmp_path):
        picture = np.zeros((48, 64, 4), np.uint8)
        picture[..., 0], picture[:, 32:, 3], picture[:24, 32:, 3] = 255, 255, 128
        with av.open(str(tmp_path / "clip.mov"), "w") as container:
            stream = container.add_stream("png", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "rgba"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgba")))
            container.mux(stream.encode())
        (item,) = read(str(tmp_path / "clip.mov"))
        Image.fromarray(picture).save(tmp_path / "same.png")
        expected = load_image(tmp_path / "same.png").permute(1, 2, 0).mul(255).round().byte().numpy()
        assert np.array_equal(item.data, expected)
        assert item.data[0, 0].tolist() == [255, 255, 255]

    def test_a_transport_stream(self, tmp_path):
        save(tmp_path / "clip.ts", frames(4), codec="libx264", form="yuv420p")
        assert len(read(str(tmp_path / "clip.ts"))) == 4

    @pytest.fixture
    def damaged(self, tmp_path):
        """Of 40 frames, some in the middle are lost."""
        path = Path(save(tmp_path / "damaged.mov", [*frames(20), *frames(20, 5)], codec="png", form="rgb24"))
        whole = read(str(path))
        with av.open(str(path)) as container:
            packets = [bytes(packet) for packet in container.demux(video=0)]
        data = path.read_bytes()
        for number in (12, 13):
            data = data.replace(packets[number], bytes(len(packets[number])), 1)
        path.write_bytes(data)
        return path, whole

    def test_what_follows_damage_is_read(self, damaged):
        path, whole = damaged
        *found, last = read(str(path))
        assert (last.name, last.problem) == (
            str(path),
            "truncated: 2 packets in it cannot be decoded, whose frames are missing",
        )
        assert [item.name for item in found] == [item.name for item in (*whole[:12], *whole[14:])]
        assert greys(found) == greys([*whole[:12], *whole[14:]])
        *every, _ = read(str(path), every="4")
        assert [item.name for item in every] == [item.name for item in (*whole[:12:4], *whole[16::4])]

    def test_damage_loses_no_pairs(self, damaged, tmp_path):
        path, _ = damaged
        save(tmp_path / "whole.mkv", [*frames(20), *frames(20, 5)])
        pairs = [(str(path), "whole.mkv", 38), (str(tmp_path / "whole.mkv"), "damaged.mov", 38)]
        for video, reference, count in pairs:
            items = [item for item in read(video, references=tmp_path / reference) if item.data is not None]
            together = [item for item in items if item.reference is not None]
            assert len(together) == count
            assert all(np.array_equal(item.data, item.reference) for item in together)

    def test_several_videos_and_images(self, tmp_path, touch):
        save(tmp_path / "a.mkv", frames(2))
        save(tmp_path / "b.mkv", frames(1))
        touch("c.png")
        assert [Path(item.name).name for item in read([tmp_path / "*.mkv", tmp_path / "c.png"])] == [
            *("a.mkv#t=0.000", "a.mkv#t=0.100", "b.mkv#t=0.000", "c.png")
        ]
        assert len(read([tmp_path / "a.mkv"] * 2)) == 2


class TestWhatIsNone:
    def test_rows_say_so(self, tmp_path):
        (tmp_path / "text.mp4").write_text("no video")
        with av.open(str(tmp_path / "sound.mkv"), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
        found = {Path(item.name).name: item.problem for item in read([tmp_path / name for name in _NAMES])}
        assert list(found) == _NAMES
        assert found["text.mp4"].startswith("not-an-image: it is no video that can be read (")
        assert found["sound.mkv"] == "not-an-image: there are no pictures in it, only sound"
        assert found["gone.mp4"].startswith("missing: there is no ")

    def test_high_dynamic_range(self, tmp_path):
        clip = save(tmp_path / "hdr.mkv", frames(2), codec="libx264", form="yuv420p", color_trc=16)
        assert [item.problem.partition(":")[0] for item in read(clip)] == ["hdr", "hdr"]

    def test_what_cannot_be_asked_for(self, tmp_path, touch, monkeypatch):
        with pytest.raises(SourceError, match="is at a URL, but videos are read from files"):
            open_source("https://host/clip.mp4")
        touch("a.png")
        with pytest.raises(SourceError, match="Argument `every` does not apply to"):
            open_source(tmp_path / "a.png", every="1s")
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(ModuleNotFoundError, match=r"Videos need PyAV.*pip install 'topiq-metrics\[video\]'"):
            open_source("clip.mp4")


_NAMES = ["text.mp4", "sound.mkv", "gone.mp4"]


class TestReferences:
    def pairs(self, items):
        return [
            (int(item.data[0, 0, 0]), None if item.reference is None else int(item.reference[0, 0, 0]))
            for item in items
        ]

    def test_another_video_of_the_same_frames(self, tmp_path):
        clip = save(tmp_path / "clip.mkv", frames(12))
        other = save(tmp_path / "original.mkv", frames(12, offset=1))
        assert self.pairs(read(clip, references=other)) == [(10 * i, 10 * i + 1) for i in range(12)]
        assert self.pairs(read(clip, references=other, every="500ms")) == [(0, 1), (50, 51), (100, 101)]

    def test_by_a_folder_or_a_pattern(self, tmp_path):
        clip = save(tmp_path / "clip.mkv", frames(2))
        (tmp_path / "gt").mkdir()
        save(tmp_path / "gt" / "clip.mkv", frames(2, offset=1))
        for references in (tmp_path / "gt", "{folder}/gt/{name}.mkv"):
            assert self.pairs(read(clip, references=references)) == [(0, 1), (10, 11)]
        missing = read(clip, references="{folder}/{name}_GT.mkv")
        assert [item.sought.partition(",")[0] for item in missing] == [f"there is no {tmp_path}/clip_GT.mkv"] * 2

    def test_one_that_ends_before(self, tmp_path):
        clip = save(tmp_path / "clip.mkv", frames(3))
        other = save(tmp_path / "original.mkv", frames(2))
        items = read(clip, references=other)
        assert self.pairs(items) == [(0, 0), (10, 10), (20, None)]
        assert items[2].sought == f"{other} has ended before this frame"

    def test_one_of_other_times(self, tmp_path):
        clip = save(tmp_path / "clip.mkv", frames(4), rate=10)
        other = save(tmp_path / "original.mkv", frames(4), rate=20)
        items = read(clip, references=other)
        assert self.pairs(items) == [(0, 0), (10, None), (20, None), (30, None)]
        assert items[2].sought == (
            f"frame 2 of {other} is 0.100 s after its first one, this one 0.200 s: they are not of the same frames"
        )

    def test_one_that_starts_later_in_its_file(self, tmp_path):
        clip = save(tmp_path / "clip.mkv", frames(3))
        other = save(tmp_path / "original.mkv", frames(3), times=[500, 600, 700])
        assert self.pairs(read(clip, references=other)) == [(0, 0), (10, 10), (20, 20)]

    def test_one_image_for_all(self, tmp_path):
        clip = save(tmp_path / "clip.mkv", frames(2))
        Image.new("RGB", (64, 48)).save(tmp_path / "ref.png")
        assert [item.reference for item in read(clip, references=tmp_path / "ref.png")] == [
            str(tmp_path / "ref.png")
        ] * 2


class TestJob:
    @pytest.fixture
    def networks(self, monkeypatch, fake):
        monkeypatch.setattr("topiq_metrics.inference.NetworkPredictor", lambda name, *_, **__: fake(name))

    def test_rows_resume_where_they_have_stopped(self, tmp_path, monkeypatch, networks):
        monkeypatch.chdir(tmp_path)
        save(tmp_path / "clip.mkv", frames(12))
        options = {"workers": 0, "output": "rows.csv"}
        rows = ScoreJob("clip.mkv", **options).rows()
        begun = [next(rows) for _ in range(5)]
        rows.close()
        rest = list(ScoreJob("clip.mkv", resume=True, **options).rows())
        assert [row.path for row in (*begun, *rest)] == [f"clip.mkv#t={i / 10:.3f}" for i in range(12)]
        scores = [row.scores["topiq_nr-lite"] for row in (*begun, *rest)]
        assert scores == pytest.approx([10 * i / 255 for i in range(12)], abs=1e-5)

    def test_shards_share_the_frames(self, tmp_path, networks):
        clip = save(tmp_path / "clip.mkv", frames(12))
        parts = [{row.path for row in ScoreJob(clip, workers=0, shard=f"{i}/3").rows()} for i in range(3)]
        assert len(set.union(*parts)) == sum(map(len, parts)) == 12

    def test_full_reference(self, tmp_path, networks):
        clip = save(tmp_path / "clip.mkv", frames(3, offset=5))
        other = save(tmp_path / "original.mkv", frames(2))
        rows = list(ScoreJob(clip, "topiq_fr", references=other, workers=0).rows())
        assert [row.scores["topiq_fr"] for row in rows[:2]] == pytest.approx([5 / 255] * 2, abs=1e-6)
        assert rows[2].error == f"no-reference: {other} has ended before this frame"
