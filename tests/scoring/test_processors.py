"""How many processors a job takes to be there."""

from __future__ import annotations

import os

import pytest

from topiq_metrics.scoring import processors
from topiq_metrics.scoring.processors import usable_processors

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def sixteen(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


def system(root, cgroup, **files):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup, encoding="utf-8")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("cpu_", "cpu.", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "count"),
    [
        ("0::/\n", {}, 16),
        ("0::/\n", {"cpu_max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu_max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu_max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu_max": "10000 100000\n"}, 1),
        ("0::/\n", {"cpu_max": "6400000 100000\n"}, 16),
        ("0::/pod/job\n", {"pod__cpu_max": "300000 100000\n", "pod__job__cpu_max": "max 100000\n"}, 3),
        ("0::/docker/12ab\n", {"cpu_max": "400000 100000\n"}, 4),
        ("4:cpu,cpuacct:/\n", {"cpu__cpu_cfs_quota_us": "", "cpu__cpu_cfs_period_us": ""}, 16),
        ("0::/\n", {"cpu_max": "nonsense\n"}, 16),
        ("0::/\n", {"cpu_max": "50000 0\n"}, 16),
        ("3:name=systemd:/é\n0::/é\n", {"cpu_max": "200000 100000\n"}, 2),
        ("nonsense\n", {}, 16),
    ],
)
def test_a_share_of_the_second_version(cgroup, files, count, tmp_path):
    assert usable_processors(system(tmp_path, cgroup, **files)) == count


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(("quota", "count"), [("200000\n", 2), ("-1\n", 16), ("50000\n", 1)])
def test_a_share_of_the_first_version(mount, quota, count, tmp_path):
    root = system(tmp_path, "9:pids:/\n4:cpu,cpuacct:/docker/12ab\n0::/\n")
    folder = root / "sys/fs/cgroup" / mount
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text(quota)
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_processors(root) == count


def test_other_systems(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(processors.os, "cpu_count", lambda: None)
    assert usable_processors(tmp_path) == 1
