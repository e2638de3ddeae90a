"""Two real processes: each sees its share of the data, both report the value of all of it."""

from __future__ import annotations

import multiprocessing
import pickle

import pytest
import torch
from metric_tester import WORLD, Case, collect, describe_group, follow, follow_cast, make_images, require_group

CLOSE = {"rtol": 1e-4, "atol": 2e-5}
METRICS = [
    pytest.param("TOPIQNoReference", "NR", 1, id="no-reference"),
    pytest.param("TOPIQFullReference", "FR", 1, id="full-reference"),
    pytest.param("TOPIQAesthetic", "NR", 10, id="aesthetic"),
]


def make_case(metric="TOPIQNoReference", mode="NR", bins=1, counts=(3, 2, 1, 2), shares=None, method="forward", **args):
    """Batches of the given sizes, with references where the mode asks for them."""
    inputs = 2 if mode == "FR" else 1
    batches = [tuple(make_images(n, seed=10 * i + k) for k in range(inputs)) for i, n in enumerate(counts)]
    return Case(metric, batches, mode, bins, {"size": "native", **args}, shares, method)


def check(pool, case, order=None):
    """Compare what both processes report; ``order`` is that of the batches in a value per image."""
    results = pool.run(follow, case)
    order = order or [index for rank in range(WORLD) for index in case.share(rank)]
    for rank, (values, final, alone) in enumerate(results):
        assert final.shape == case.expected(order).shape
        torch.testing.assert_close(final, case.expected(order), **CLOSE)
        if case.share(rank):
            torch.testing.assert_close(alone, case.expected(case.share(rank)), **CLOSE)
        if case.method == "update":
            continue
        for step, value in enumerate(values):
            on_all = case.arguments.get("dist_sync_on_step")
            indices = [case.share(r)[step] for r in range(WORLD)] if on_all else [case.share(rank)[step]]
            torch.testing.assert_close(value, case.expected(indices), **CLOSE)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("metric", "mode", "bins"), METRICS)
def test_batches_and_final_value(pool, metric, mode, bins, reduction):
    check(pool, make_case(metric, mode, bins, reduction=reduction))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_sync_on_every_step(pool, reduction):
    check(pool, make_case(reduction=reduction, dist_sync_on_step=True))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_uneven_batch_counts(pool, reduction):
    check(pool, make_case(counts=(1, 4, 2, 1), shares=[[0, 1, 2], [3]], reduction=reduction))


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("empty", range(WORLD))
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_one_process_without_images(pool, reduction, empty):
    shares = [[0, 1], []] if empty else [[], [0, 1]]
    case = make_case(counts=(2, 1), shares=shares, reduction=reduction, method="update")
    check(pool, case)


@pytest.mark.parametrize(("reduction", "shape"), [("mean", ()), ("none", (0,))])
def test_no_images_anywhere(pool, reduction, shape):
    case = make_case(counts=(1,), shares=[[], []], reduction=reduction)
    for _, final, alone in pool.run(follow, case):
        assert final.shape == alone.shape == shape
        assert final.dtype == torch.float32
        assert final.isnan().all()


def test_a_single_image_stays_a_batch(pool):
    case = make_case(counts=(1,), shares=[[0], []], reduction="none", method="update")
    for _, final, _ in pool.run(follow, case):
        assert final.shape == (1,)


def test_an_empty_process_agrees_on_the_type_after_a_cast(pool):
    case = make_case(counts=(2, 3), shares=[[0, 1], []], reduction="none", method="update")
    for final in pool.run(follow_cast, case):
        torch.testing.assert_close(final, case.expected([0, 1]))


def test_the_group_is_real(pool):
    assert pool.run(describe_group) == [(0, 2, "gloo"), (1, 2, "gloo")]


def test_without_a_group_the_helper_fails():
    with pytest.raises(RuntimeError, match="needs a group of 2 processes"):
        require_group()


def test_a_hang_or_an_error_in_a_process_fails():
    ours, theirs = multiprocessing.Pipe()
    with pytest.raises(TimeoutError, match="Process 0 did not answer"):
        collect([ours], timeout=0.01)
    theirs.send_bytes(pickle.dumps((False, "ValueError: no")))
    with pytest.raises(RuntimeError, match="Process 0 failed:\nValueError: no"):
        collect([ours], timeout=1)
