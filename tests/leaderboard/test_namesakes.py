from __future__ import annotations

import pytest

from topiq_metrics.leaderboard.board import Board, Entry, TestSet
from topiq_metrics.leaderboard.namesakes import tell_namesakes


def rated(name="kadid", split="all"):
    return TestSet(
        dataset=name,
        name=name.upper(),
        split=split,
        split_hash="ab",
        seed=None,
        partial=False,
        higher_is_better=True,
        citation="",
        license="",
        ids=["a", "b", "c"],
        mos=[1.0, 2.0, 3.0],
    )


def board(scores, *sets):
    entries = []
    for each in sets or (rated(),):
        for metric, values in scores.items():
            toolbox = metric.partition(":")[0]
            status = "scored" if values and None not in values else "partial" if values else "unavailable"
            entries.append(Entry(each.key, metric, toolbox, "FR", True, status, scores=values))
    return Board(list(sets) or [rated()], entries)


def test_the_two_that_are_farthest_apart_are_told_of():
    scores = {"pyiqa:ssim": [0.7, 0.8, 0.9], "piq:ssim": [0.4, 0.6, 0.8], "torchmetrics:ssim": [0.41, 0.61, 0.81]}
    (line,) = tell_namesakes(board(scores))
    assert line == (
        "SSIM is not one figure on KADID: pyiqa:ssim 0.8, piq:ssim 0.6, torchmetrics:ssim 0.61 on average; scores of "
        "one image differ, pyiqa:ssim and piq:ssim by 0.2 (mean absolute difference). Why: topiq leaderboard "
        "conventions -m pyiqa:ssim,piq:ssim,torchmetrics:ssim"
    )


@pytest.mark.parametrize(
    "scores",
    [
        {"pyiqa:ssim": [0.7, 0.8, 0.9], "piq:ssim": [0.705, 0.805, 0.905]},
        # Other names, a toolbox's two of one name, one without scores, and one that nobody knows.
        {"pyiqa:ssim": [0.7, 0.8, 0.9], "piq:multi_scale_ssim": [0.1, 0.2, 0.3]},
        {"pyiqa:ssim": [0.7, 0.8, 0.9], "pyiqa:ssimc": [0.1, 0.2, 0.3]},
        {"pyiqa:ssim": [0.7, 0.8, 0.9], "piq:ssim": []},
        {"other:ssim": [0.7, 0.8, 0.9], "piq:ssim": [0.1, 0.2, 0.3]},
        {"pyiqa:ssim": [0.7, None, None], "piq:ssim": [None, 0.2, 0.3]},
    ],
)
def test_nothing_is_told_where_there_is_nothing(scores):
    assert tell_namesakes(board(scores)) == []


def test_the_same_images_are_compared():
    """Without the image that one of them lacks, they agree; differences of two signs do not cancel out."""
    assert tell_namesakes(board({"pyiqa:vif": [0.5, 0.5, None], "piq:vif_p": [0.5, 0.505, 0.1]})) == []
    (line,) = tell_namesakes(board({"pyiqa:vif": [0.4, 0.6, None], "piq:vif_p": [0.5, 0.5, 0.1]}))
    assert "VIF is not one figure" in line
    assert "differ, 0.1 (mean" in line


def test_each_test_set_has_its_line():
    scores = {"pyiqa:psnr": [20, 30, 40], "torchmetrics:psnr": [21, 31, 41]}
    lines = tell_namesakes(board(scores, rated(), rated("csiq", "test")))
    assert ["on KADID:" in lines[0], "on CSIQ, test:" in lines[1], len(lines)] == [True, True, 2]
