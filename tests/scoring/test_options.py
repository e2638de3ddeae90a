"""The options of a job are stated once, and shown everywhere."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from topiq_metrics import score_images
from topiq_metrics.scoring import ScoreJob
from topiq_metrics.scoring.options import JobKeywords, Reading, Running, ScoreKeywords, Writing, grouped

pytestmark = pytest.mark.quick

STATED = {field.name: field for group in (Reading, Running, Writing) for field in fields(group)}


def test_keywords_are_the_options():
    assert {name: kind.__forward_arg__ for name, kind in JobKeywords.__annotations__.items()} == {
        name: field.type for name, field in STATED.items()
    }


@pytest.mark.parametrize(("function", "known"), [(score_images, ScoreKeywords), (ScoreJob, JobKeywords)])
def test_signatures_show_them(function, known):
    shown = inspect.signature(function).parameters
    assert list(shown) == ["source", "metrics", *known.__annotations__]
    assert all(shown[name].default == STATED[name].default for name in known.__annotations__)


@pytest.mark.parametrize("name", ["nothing", "report", "ray"])
def test_unknown_keywords(name):
    with pytest.raises(TypeError, match=rf"score_images\(\) got an unexpected keyword argument '{name}'"):
        score_images("photo.jpg", **{name: None})


def test_groups():
    reading, running, writing = grouped({"root": "here", "workers": 2, "resume": True})
    assert (reading, running, writing) == (Reading(root="here"), Running(workers=2), Writing(resume=True))
