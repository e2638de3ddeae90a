"""Who is let in: names and origins of requests, tokens, and what browsers are told."""

from __future__ import annotations

import socket

import pytest

from topiq_metrics.serving.guard import Access, is_loopback, own_names

pytestmark = pytest.mark.quick

requests = pytest.importorskip("requests")

TOKEN = "a-token-of-this-server"


class TestNames:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:80", "localhost", "LOCALHOST:9", "[::1]:1", "127.9.9.9"])
    def test_loopback_has_its_own(self, host):
        assert Access().allows_host(host)

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "evil.com",
            "localhost.evil.com",
            "127.0.0.1.evil.com",
            "192.168.0.1",
            "[::1",
            "[::2]",
            "a@b",
            "localhost.",
        ],
    )
    def test_loopback_has_no_others(self, host):
        assert not Access().allows_host(host)

    def test_beyond_loopback_addresses_are_good_and_names_are_listed(self):
        access = Access(TOKEN, ["studio.local"], is_public=True)
        assert access.allows_host("192.168.0.7:8642")
        assert access.allows_host("Studio.local")
        assert not access.allows_host("evil.com")

    def test_loopback(self):
        assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
        assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.0.7", "studio.local", "")] == [False] * 5

    @pytest.mark.parametrize("host", ["::", "2001:db8::5", "0.0.0.0", "studio.local"])
    def test_a_server_has_its_own(self, host):
        access = Access(TOKEN, own_names(host), is_public=True)
        assert access.allows_host("[2001:db8::5]:8642")
        assert access.allows_host("studio.local") == (host == "studio.local")
        assert access.allows_host(f"{socket.gethostname()}:8642")


class TestTokens:
    def test_beyond_loopback_there_is_one(self):
        with pytest.raises(ValueError, match="needs a token"):
            Access(is_public=True)

    @pytest.mark.parametrize("token", ["", "short", "ü" * 20])
    def test_a_bad_one(self, token):
        with pytest.raises(ValueError, match="16 characters"):
            Access(token)

    @pytest.mark.parametrize("token", [f" {TOKEN}", f"{TOKEN}\t"])
    def test_blanks_are_lost_on_the_way(self, token):
        with pytest.raises(ValueError, match="must not begin or end with a blank"):
            Access(token)

    @pytest.mark.parametrize("name", ["studio.local:8080", "http://studio.local", "studio.local/", "Studio.local"])
    def test_a_name_that_no_host_has(self, name):
        with pytest.raises(ValueError, match="A host is a name in small letters without scheme and port"):
            Access(TOKEN, [name])

    def test_it_is_not_shown(self):
        assert TOKEN not in repr(Access(TOKEN))

    def test_every_call_asks_for_it(self, run_server):
        with run_server(token=TOKEN) as server:
            for path in ("metrics", "openapi.json", "score", "compare", "nothing"):
                for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}):
                    answer = requests.get(f"{server.url}/api/{path}", headers=headers, timeout=30)
                    assert answer.status_code == 401
                    assert answer.headers["WWW-Authenticate"] == "Bearer"
            good = {"Authorization": f"bearer {TOKEN}"}
            assert requests.get(f"{server.url}/api/metrics", headers=good, timeout=30).status_code == 200
            document = requests.get(f"{server.url}/api/openapi.json", headers=good, timeout=30).json()
            assert document["security"] == [{"token": []}]
            page = requests.get(server.url, timeout=30)
            assert page.status_code == 200
            assert TOKEN not in page.text


class TestRequests:
    def test_other_names_are_refused(self, server):
        for path in ("/", "/api/metrics"):
            answer = requests.get(server.url + path, headers={"Host": "evil.com"}, timeout=30)
            assert (answer.status_code, answer.json()["error"]["reason"]) == (403, "host")

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.com"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Origin": "file://"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    def test_pages_of_other_sites_are_refused(self, headers, server):
        answer = requests.post(f"{server.url}/api/score", headers=headers, files={"images": b""}, timeout=30)
        assert (answer.status_code, answer.json()["error"]["reason"]) == (403, "origin")
        assert requests.get(f"{server.url}/", headers=headers, timeout=30).status_code == 200

    def test_its_own_page_is_let_in(self, server):
        headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
        assert requests.get(f"{server.url}/api/metrics", headers=headers, timeout=30).status_code == 200

    def test_browsers_are_told_to_be_strict(self, server):
        for path in ("/", "/api/metrics", "/nothing"):
            headers = requests.get(server.url + path, timeout=30).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
            assert headers["Cache-Control"] == "no-store"
            assert "Access-Control-Allow-Origin" not in headers

    def test_nothing_else_is_there(self, server):
        for path in ("/../../etc/passwd", "/static/serve.js", "/api", "/docs", "/%2e%2e/x"):
            answer = requests.get(server.url + path, timeout=30)
            assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "not-found")
        answer = requests.delete(f"{server.url}/api/score", timeout=30)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
