"""Agreement with opinion as torchmetrics metrics: against the functions, and on two processes."""

from __future__ import annotations

import doctest
import math
import pickle
import sys

import numpy as np
import pytest
import torch
from metric_tester import WORLD
from torch import nn
from torchmetrics import MetricCollection
from torchmetrics.regression import PearsonCorrCoef

import topiq_metrics
from topiq_metrics import FittedPearsonCorrCoef, FittedRootMeanSquaredError, TwoAlternativeForcedChoice
from topiq_metrics.evaluation import evaluate, evaluate_preferences
from topiq_metrics.metrics import agreement

pytest.importorskip("scipy", reason="scipy is not installed")

FITTED = ["FittedPearsonCorrCoef", "FittedRootMeanSquaredError"]
METRICS = [*FITTED, "TwoAlternativeForcedChoice"]


def make_batches(metric, sizes=(9, 7, 4, 12), seed=0):
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for size in sizes:
        first, second, share = torch.rand(3, size, generator=generator)
        opinion = 80 * torch.sigmoid(6 * first - 3) + 10 * second
        batches.append((first, second, share) if metric == "TwoAlternativeForcedChoice" else (first, opinion))
    return batches


def expected(metric, batches, **arguments):
    columns = [torch.cat([batch[i] for batch in batches]).numpy() for i in range(len(batches[0]))]
    if metric == "TwoAlternativeForcedChoice":
        return evaluate_preferences(*columns, bootstrap=None).agreement.value
    result = evaluate(*columns, bootstrap=None, **arguments)
    return (result.fitted_plcc if metric == "FittedPearsonCorrCoef" else result.fitted_rmse).value


def build(metric, batches, **arguments):
    built = getattr(topiq_metrics, metric)(**arguments)
    for batch in batches:
        built.update(*batch)
    return built


def follow(rank, metric, shares, cast=False):
    """The value that a process reports after its batches."""
    built = getattr(topiq_metrics, metric)()
    if cast:
        nn.ModuleList([built]).to(torch.float16)
    for batch in shares[rank]:
        built.update(*batch)
    return built.compute()


@pytest.mark.parametrize("logistic", ["logistic4", "logistic5"])
@pytest.mark.parametrize("metric", FITTED)
def test_equals_the_functions(metric, logistic):
    batches = make_batches(metric)
    value = build(metric, batches, logistic=logistic).compute()
    assert (value.dtype, value.shape) == (torch.float32, ())
    assert value.item() == pytest.approx(expected(metric, batches, logistic=logistic), rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_forward_and_reset(metric):
    batches = make_batches(metric)
    built = getattr(topiq_metrics, metric)()
    for batch in batches:
        if len(batch[0]) > 4:
            assert built(*batch).item() == pytest.approx(expected(metric, [batch]), rel=1e-4)
        else:
            built.update(*batch)
    assert built.compute().item() == pytest.approx(expected(metric, batches), rel=1e-6)
    built.reset()
    built.update(*batches[0])
    assert built.compute().item() == pytest.approx(expected(metric, batches[:1]), rel=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_two_processes(metric, pool):
    batches = make_batches(metric)
    for value in pool.run(follow, metric, [batches[rank::WORLD] for rank in range(WORLD)]):
        assert value.item() == pytest.approx(expected(metric, batches), rel=1e-5)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("cast", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_uneven_batches_and_a_process_without_any(metric, cast, pool):
    batches = make_batches(metric)
    for shares in ([batches[:3], batches[3:]], [batches, []], [[], batches]):
        for value in pool.run(follow, metric, shares, cast):
            assert value.dtype == torch.float32
            assert value.item() == pytest.approx(expected(metric, batches), rel=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_at_all(metric):
    with pytest.warns(UserWarning, match="was called before the ``update`` method"):
        assert getattr(topiq_metrics, metric)().compute().isnan()


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("metric", METRICS)
def test_nan_is_not_hidden(metric, position):
    batches = make_batches(metric)
    batches[1][position][2] = math.nan
    assert build(metric, batches).compute().isnan()


@pytest.mark.parametrize(
    "preds", [torch.arange(4.0), torch.ones(20)], ids=["as many images as parameters", "constant predictions"]
)
@pytest.mark.parametrize("metric", FITTED)
def test_there_is_no_fit(metric, preds):
    assert build(metric, [(preds, torch.arange(len(preds)).float())]).compute().isnan()


@pytest.mark.parametrize("metric", METRICS)
def test_columns_of_one(metric):
    batches = make_batches(metric)
    tall = [tuple(column[:, None] for column in batch) for batch in batches]
    assert build(metric, tall).compute() == build(metric, batches).compute()


@pytest.mark.parametrize("shapes", [((4,), (4, 1, 1)), ((4,), (5,)), ((4, 1), (4, 2)), ((), ())])
@pytest.mark.parametrize("metric", METRICS)
def test_shapes_that_are_refused(metric, shapes):
    columns = [torch.rand(shapes[0]), *[torch.rand(shapes[1])] * (2 if metric == "TwoAlternativeForcedChoice" else 1)]
    with pytest.raises(ValueError, match=r"Expected scores of one shape, \(N,\) or \(N, 1\), but got `"):
        getattr(topiq_metrics, metric)().update(*columns)


def test_arguments_that_are_refused():
    with pytest.raises(ValueError, match="`logistic` must be one of"):
        FittedPearsonCorrCoef("cubic")
    with pytest.raises(ValueError, match=r"Expected `preference` from 0 to 1, but got 0.5 to 1.5"):
        TwoAlternativeForcedChoice().update(torch.zeros(2), torch.ones(2), torch.tensor([0.5, 1.5]))


def test_direction_of_the_scores():
    first, second, share = (
        torch.cat(column) for column in zip(*make_batches("TwoAlternativeForcedChoice"), strict=True)
    )
    nearer = build("TwoAlternativeForcedChoice", [(first, second, share)])
    better = build("TwoAlternativeForcedChoice", [(-first, -second, share)], scores_higher_is_better=True)
    assert nearer.compute() == better.compute()
    ties = build("TwoAlternativeForcedChoice", [(first, first, share)])
    assert ties.compute() == 0.5


def test_directions_and_bounds():
    assert [getattr(topiq_metrics, metric).higher_is_better for metric in METRICS] == [True, False, True]
    for metric in METRICS:
        built = getattr(topiq_metrics, metric)()
        assert built.full_state_update is False
        assert built.is_differentiable is False
        assert built.state_dict() == {}


def test_fitted_metrics_share_states_in_a_collection():
    preds, target = (torch.cat(column) for column in zip(*make_batches("FittedPearsonCorrCoef"), strict=True))
    collection = MetricCollection([FittedPearsonCorrCoef(), FittedRootMeanSquaredError(), PearsonCorrCoef()])
    for part in (slice(0, 10), slice(10, None)):
        collection.update(preds=preds[part], target=target[part])
    values = collection.compute()
    groups = {frozenset(group) for group in collection.compute_groups.values()}
    assert groups == {frozenset(FITTED), frozenset({"PearsonCorrCoef"})}
    for metric in FITTED:
        assert values[metric].item() == pytest.approx(expected(metric, [(preds, target)]), rel=1e-6)
    assert values["FittedPearsonCorrCoef"] > values["PearsonCorrCoef"]


@pytest.mark.parametrize(
    "change", [lambda module: module.half(), lambda module: module.to(torch.bfloat16), lambda module: module.double()]
)
@pytest.mark.parametrize("metric", METRICS)
def test_a_cast_changes_nothing(metric, change):
    batches = make_batches(metric)
    built = build(metric, batches[:2])
    before = built.compute()
    change(nn.ModuleList([built]))
    assert torch.equal(built.compute(), before)
    for batch in batches[2:]:
        built.update(*batch)
    value = built.compute()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected(metric, batches), rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_pickle_and_clone(metric):
    batches = make_batches(metric)
    built = build(metric, batches)
    for copy in (pickle.loads(pickle.dumps(built)), built.clone()):
        assert copy.compute() == built.compute()


@pytest.mark.parametrize("metric", METRICS)
def test_inputs_keep_no_graph(metric):
    columns = [column.requires_grad_() for column in make_batches(metric)[0]]
    built = build(metric, [columns])
    kept = [
        tensor for value in built.metric_state.values() for tensor in (value if isinstance(value, list) else [value])
    ]
    assert not any(tensor.requires_grad for tensor in kept)


@pytest.mark.parametrize("metric", METRICS)
def test_plot(metric):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, _ = build(metric, make_batches(metric)).plot()
    pyplot.close(figure)


def test_without_scipy(monkeypatch):
    built = build("FittedPearsonCorrCoef", make_batches("FittedPearsonCorrCoef"))
    for module in ("scipy.special", "scipy.optimize"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'topiq-metrics\[evaluation\]'"):
        built.compute()


def test_examples():
    result = doctest.testmod(agreement)
    assert (result.attempted >= 9, result.failed) == (True, 0)


def test_many_pairs_do_not_drift():
    metric = TwoAlternativeForcedChoice()
    metric.update(torch.zeros(1), torch.ones(1), torch.full((1,), 0.3))
    for _ in range(24):
        metric.merge_state(dict(metric.metric_state))
    metric.update(torch.zeros(1), torch.ones(1), torch.full((1,), 0.3))
    assert metric.pairs.item() == 2**24 + 1
    assert metric.compute().item() == np.float32(1 - np.float64(np.float32(0.3)))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float64])
def test_pairs_of_any_type(dtype):
    metric = TwoAlternativeForcedChoice()
    first, second = torch.tensor([1, 3, 2]).to(dtype), torch.tensor([2, 1, 2]).to(dtype)
    metric.update(first, second, torch.tensor([0.0, 1.0, 0.3]))
    assert metric.compute().item() == pytest.approx((1 + 1 + 0.5) / 3)


def test_pairs_of_exact_copies_tie():
    metric = TwoAlternativeForcedChoice(scores_higher_is_better=True)
    infinite = torch.full((2,), math.inf)
    metric.update(infinite, torch.tensor([math.inf, 40.0]), torch.tensor([0.9, 0.0]))
    assert metric.compute().item() == pytest.approx((0.5 + 1) / 2)


@pytest.mark.parametrize("metric", METRICS)
def test_only_tensors(metric):
    metric = getattr(topiq_metrics, metric)()
    columns = [[0.1, 0.2]] * (3 if isinstance(metric, TwoAlternativeForcedChoice) else 2)
    with pytest.raises(ValueError, match=r"Expected tensors, but got `(first|preds)` list"):
        metric.update(*columns)


@pytest.mark.parametrize("name", METRICS)
def test_merged_states_count_at_once(name):
    batches = make_batches(name)
    first, second = (getattr(topiq_metrics, name)() for _ in range(2))
    for metric, own in ((first, batches[:2]), (second, batches[2:])):
        for batch in own:
            metric.update(*batch)
    alone = first.compute()
    first.merge_state(second)
    assert first.compute() != alone
    assert first.compute().item() == pytest.approx(expected(name, batches), abs=1e-5)
    fresh = getattr(topiq_metrics, name)()
    fresh.merge_state(first)
    # Without torchmetrics' warning of a metric that was not updated, which would be an error here.
    assert torch.equal(fresh.compute(), first.compute())
    assert fresh.update_count == 4
