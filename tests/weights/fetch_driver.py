"""Run by the tests in a process of its own: fetch or resolve the weights of a card that is given as JSON."""

from __future__ import annotations

import dataclasses
import json
import logging
import signal
import sys

from topiq_metrics import catalog
from topiq_metrics.catalog import WeightsFile


def main() -> None:
    # A job in the background may have inherited another handler.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    task = json.loads(sys.argv[1])
    weights = WeightsFile("weights.pth", task["sha256"], "for tests only", "owner/repo")
    catalog.CARDS["tiny"] = dataclasses.replace(catalog.CARDS["topiq_nr"], name="tiny", weights=weights)

    from topiq_metrics.errors import WeightsError
    from topiq_metrics.weights import fetch, resolve

    logged: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())
    logging.getLogger("topiq_metrics").addHandler(handler)
    logging.getLogger("topiq_metrics").setLevel(logging.INFO)
    told: list[str] = []
    answer = {"logged": logged, "told": told}
    try:
        if task["call"] == "fetch":
            answer["path"] = str(fetch("tiny", notify=told.append))
        else:
            answer["path"] = str(resolve("tiny"))
    except WeightsError as error:
        answer["error"] = type(error).__name__
        answer["message"] = str(error)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
