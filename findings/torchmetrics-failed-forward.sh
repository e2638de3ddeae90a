#!/usr/bin/env bash
# torchmetrics 1.9.0 with torch 2.13.0: an error in `metric(...)` loses all that was accumulated, and changes the metric.
#
# Good guess: a metric whose `update` raises on a wrong batch (another range, another shape) is as it was before, whether
# `metric.update(batch)` or `metric(batch)` was called; so a loop that catches the error and goes on loses that batch.
# Seen: of MeanMetric after batches 1 and 3, `update` of a batch that is no number leaves 2; `metric(...)` of it leaves
#       nothing: the batches of before are gone, so that after a further batch 10 the mean is 10 and not 4.67. The metric
#       no longer synchronises (`_to_sync` is False, also after `reset`), and its `update` records gradients
#       (`_enable_grad` is True), so that what it keeps holds the graphs of all batches. Another good `metric(...)` mends
#       both, but not what was lost.
# Way round: keep the states and these settings before `forward`, and put them back when it raises.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.2.6
"$work/venv/bin/python" - <<'PY'
import torch
from torchmetrics import MeanMetric


def after_a_wrong_batch(use):
    metric = MeanMetric()
    metric(torch.tensor(1.0))
    metric(torch.tensor(3.0))
    try:
        use(metric, "no number")
    except (TypeError, ValueError, RuntimeError) as error:
        print(f"{type(error).__name__}, then {float(metric.mean_value)} of weight {float(metric.weight)}", end=", ")
    else:
        raise SystemExit("the wrong batch raises nothing any more")
    settings = (metric._to_sync, metric._enable_grad)
    metric.update(torch.tensor(10.0, requires_grad=True))
    graph = metric.mean_value.requires_grad
    print(f"_to_sync and _enable_grad {settings}, a graph in the state: {graph}, mean {metric.compute():.2f}")
    return settings, graph, round(float(metric.compute()), 2)


by_update = after_a_wrong_batch(lambda metric, batch: metric.update(batch))
by_forward = after_a_wrong_batch(lambda metric, batch: metric(batch))
assert by_update == ((True, False), False, 4.67), by_update
assert by_forward == ((False, True), True, 10.0), "forward no longer loses what was accumulated"
PY
