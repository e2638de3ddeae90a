"""How our networks come into pyiqa: in processes that never import us."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from topiq_metrics.catalog import CARDS
from topiq_metrics.plugins.pyiqa import add_names, register

ADAPTER = "topiq_metrics.plugins.pyiqa.networks"
PYIQA = "pyiqa.archs.topiq_arch"
OURS_ALONE = {"topiq_nr-lite", "topiq_fr-lite", "qfm_iqm-lite"}
CREATE = 'report["module"] = type(pyiqa.create_metric("topiq_nr", **offline).net).__module__'


def code(*lines: str) -> str:
    return textwrap.indent("\n".join(lines), "    ")


@pytest.mark.parametrize("arch_first", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_fresh_process_builds_our_networks(fresh_process, arch_first):
    report = fresh_process(
        code(
            "import pyiqa.archs.topiq_arch" if arch_first else "",
            'report["before"] = pyiqa.list_models()',
            'names = [name for name, row in DEFAULT_CONFIGS.items() if row["metric_opts"]["type"] == "CFANet"]',
            'report["built"] = {name: type(pyiqa.create_metric(name, **offline).net).__module__ for name in names}',
            'report["after"] = pyiqa.list_models()',
            'report["lite"] = type(pyiqa.create_metric("topiq_nr-lite", device="cpu").net).__name__',
        )
    )
    assert report["built"].keys() == {name for name in CARDS if name.startswith("topiq_") and name not in OURS_ALONE}
    assert set(report["built"].values()) == {ADAPTER}
    assert not OURS_ALONE & set(report["before"])
    assert set(report["after"]) - set(report["before"]) == OURS_ALONE
    assert report["lite"] == "CatalogueNetwork"
    assert [text for text in report["warnings"] if "topiq" in text.lower()] == []
    assert report["printed"] == []


@pytest.mark.slow
def test_switched_off(fresh_process):
    off = fresh_process(code(CREATE, 'report["models"] = pyiqa.list_models()'), TOPIQ_METRICS_PYIQA="0")
    on = fresh_process(code(CREATE), TOPIQ_METRICS_PYIQA="1")
    assert (off["module"], on["module"]) == (PYIQA, ADAPTER)
    assert not OURS_ALONE & set(off["models"])
    # Neither a warning nor a line more than pyiqa's own.
    assert on["warnings"] == off["warnings"]
    assert on["printed"] == off["printed"] == []


@pytest.mark.slow
def test_a_failure_leaves_pyiqa_its_own_networks(fresh_process):
    report = fresh_process(
        code(f"sys.modules[{ADAPTER!r}] = None", CREATE, CREATE, 'report["models"] = pyiqa.list_models()')
    )
    assert report["module"] == PYIQA
    assert not OURS_ALONE & set(report["models"])
    (warning,) = [text for text in report["warnings"] if "topiq-metrics" in text]
    assert warning.startswith("pyiqa keeps its own networks")
    assert ADAPTER in warning
    assert "TOPIQ_METRICS_PYIQA=0" in warning


def test_importing_the_plugin_imports_nothing_foreign():
    script = (
        "import sys, json; before = set(sys.modules); import topiq_metrics.plugins.pyiqa\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(json.loads(run.stdout)) - sys.stdlib_module_names == {"topiq_metrics"}


def test_the_package_does_not_import_the_plugin():
    script = "import sys, topiq_metrics; topiq_metrics.list_metrics(); print('topiq_metrics.plugins' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize("imports", ["import topiq_metrics, pyiqa", "import pyiqa, topiq_metrics"])
@pytest.mark.parametrize("switch", ["1", pytest.param("0", marks=pytest.mark.slow)])
def test_both_packages_are_imported(imports, switch):
    script = (
        f"import sys, warnings; warnings.simplefilter('ignore'); {imports}\n"
        "ours = sorted({'topiq_nr-lite', 'topiq_fr-lite', 'qfm_iqm-lite'} & set(pyiqa.list_models()))\n"
        "networks = 'topiq_metrics.plugins.pyiqa.networks' in sys.modules\n"
        "made = ours and type(pyiqa.create_metric('topiq_nr-lite', device='cpu').net).__name__\n"
        "print([ours, networks, made])\n"
    )
    pytest.importorskip("pyiqa")
    env = {**os.environ, "TOPIQ_METRICS_PYIQA": switch}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert run.returncode == 0, run.stderr
    # The networks are imported when one of them is built.
    expected = [sorted(OURS_ALONE), False, "CatalogueNetwork"] if switch == "1" else [[], False, []]
    assert run.stdout.splitlines()[-1] == str(expected)


def test_names_of_a_pyiqa_that_is_too_old(pyiqa, monkeypatch):
    configs = {}
    monkeypatch.setattr(pyiqa.default_model_configs, "DEFAULT_CONFIGS", configs)
    with monkeypatch.context() as patch:
        patch.setattr(pyiqa, "__version__", "0.1.15")
        add_names()
    assert configs == {}
    add_names()
    assert set(configs) > OURS_ALONE


def test_the_command_of_pyiqa(tmp_path, save_picture):
    pytest.importorskip("pyiqa")
    picture = save_picture(tmp_path / "a.png", 64, 48)
    command = [sys.executable, "-m", "topiq_metrics.plugins.pyiqa", "topiq_nr-lite", "-t", str(picture)]
    run = subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "'topiq_nr-lite': {'mean': " in run.stdout


def test_register_again(pyiqa):
    from pyiqa.default_model_configs import DEFAULT_CONFIGS
    from pyiqa.utils.registry import ARCH_REGISTRY

    def snapshot():
        return list(ARCH_REGISTRY), {name: id(row) for name, row in DEFAULT_CONFIGS.items()}

    before = snapshot()
    threads = [threading.Thread(target=register) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert snapshot() == before


def test_rows_come_from_the_cards(pyiqa):
    assert pyiqa.default_model_configs.DEFAULT_CONFIGS["topiq_nr-lite"] == {
        "metric_opts": {"type": "TOPIQMetricsNetwork", "name": "topiq_nr-lite"},
        "metric_mode": "NR",
        "lower_better": False,
        "score_range": "~0, ~1",
    }
    ours = {name for name, card in CARDS.items() if card.is_topiq}
    assert ours <= set(pyiqa.list_models())


@pytest.mark.quick
@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.is_topiq])
def test_rows_say_what_pyiqa_says(pyiqa, name):
    from topiq_metrics.plugins.pyiqa import _row
    from topiq_metrics.plugins.pyiqa.options import card_of

    theirs, ours = pyiqa.default_model_configs.DEFAULT_CONFIGS[name], _row(CARDS[name])
    for key in ("metric_mode", "score_range"):
        assert ours[key] == theirs[key]
    assert ours["lower_better"] == theirs.get("lower_better", False)
    if name not in OURS_ALONE:
        assert card_of(theirs["metric_opts"]["model_name"]) is CARDS[name]


def test_without_pyiqa(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'topiq-metrics\[pyiqa\]'"):
        register()


@pytest.mark.parametrize(
    ("version", "old"), [("0.1.15", True), ("0.1.15.post2", True), ("0.1.16", False), ("0.2", False)]
)
def test_version(pyiqa, monkeypatch, version, old):
    monkeypatch.setattr(pyiqa, "__version__", version)
    if not old:
        register()
        return
    with pytest.raises(RuntimeError, match=rf"pyiqa {version} has no plug-ins; topiq-metrics needs 0\.1\.16"):
        register()
