"""The API's own description, held against what it does by schemathesis."""

from __future__ import annotations

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
hypothesis = pytest.importorskip("hypothesis")
negative_data_rejection = pytest.importorskip("schemathesis.specs.openapi.checks").negative_data_rejection

EXAMPLES = 20
CALLS = [("get", "/api/metrics"), ("post", "/api/score"), ("post", "/api/compare")]


@pytest.fixture(scope="module")
def api(server):
    return schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")


def test_the_description_is_of_all_calls(api):
    operations = [result.ok() for result in api.get_all_operations()]
    assert [(operation.method, operation.path) for operation in operations] == CALLS


def tried(operation, mode, checks):
    """The statuses of answers to generated requests, each of which is checked against the description."""
    statuses = []

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def call(case):
        statuses.append(case.call_and_validate(timeout=60, **checks).status_code)

    call()
    return statuses


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_good_requests_are_answered(method, path, api):
    statuses = tried(api[path][method], schemathesis.GenerationMode.POSITIVE, {})
    assert set(statuses) == {200}


@pytest.mark.parametrize(("method", "path"), CALLS[1:])
def test_bad_requests_are_refused_as_it_says(method, path, api):
    # Whatever is put where a file belongs is the content of a file by the time that it is sent.
    checks = {"excluded_checks": [negative_data_rejection]}
    statuses = tried(api[path][method], schemathesis.GenerationMode.NEGATIVE, checks)
    assert 422 in statuses
    assert set(statuses) <= {200, 400, 413, 415, 422}
