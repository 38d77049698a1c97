"""The HTTP client for event loops keeps the rules of the one that waits: it is asked for the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.io import test_http
from tests.io.awaited import AwaitedHttp, end_loops
from tests.io.rogue import Rogue
from tests.io.test_http import (  # noqa: F401 # they are collected here once more
    test_a_connection_serves_many_requests,
    test_a_plain_request_goes_whole_to_the_proxy,
    test_a_proxy_that_drips_ends_at_the_deadline,
    test_a_proxy_that_is_down_is_named,
    test_a_proxy_that_refuses_has_answered,
    test_a_redirect_is_read_no_further_than_an_error,
    test_a_redirect_leads_nowhere_bad,
    test_a_redirect_to_another_host_carries_no_secret,
    test_a_redirect_without_a_place_is_just_a_status,
    test_a_reset_get_is_tried_once_more,
    test_a_slow_drip_ends_at_the_deadline,
    test_a_truncated_body_is_offline,
    test_an_answer_comes_back_with_its_headers,
    test_an_endless_error_is_cut,
    test_an_explanation_that_drips_is_cut,
    test_an_unknown_name_is_offline,
    test_credentials_in_a_url_are_refused_and_not_repeated,
    test_hosts_marked_insecure_may_be_plain,
    test_no_cookies_are_kept,
    test_nobody_waits_too_long,
    test_packing_that_nobody_asked_for,
    test_plain_http_is_for_this_machine,
    test_redirects_end,
    test_refused_is_offline_after_a_second_try,
    test_retry_after_is_honoured_once,
    test_silence_ends_at_the_read_timeout,
    test_the_limit_itself_is_allowed,
    test_the_process_has_no_say,
    test_the_trace_tells_each_exchange_and_no_secret,
    test_tls_to_a_plain_port_is_told_apart,
    test_too_much_is_refused,
    test_what_is_no_url_is_refused,
)
from trustreg.errors import ServerError
from trustreg.io.http import Timeouts
from trustreg.io.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have those tests make clients of this kind."""

    def make(
        home: Path, *, env: dict[str, str] | None = None, timeouts: Timeouts | None = None, **options: Any
    ) -> AwaitedHttp:
        options.setdefault("sleep", time.sleep)
        tls = Tls({}, str(home), system=())
        return AwaitedHttp(env or {}, tls, timeouts=timeouts or Timeouts(2, 2, 10), **options)

    monkeypatch.setattr(test_http, "make", make)
    yield
    end_loops()


@pytest.fixture
def http(_made: None, tmp_path: Path) -> Iterator[Any]:
    """Make one, as that fixture does."""
    with test_http.make(tmp_path) as client:
        yield client


def test_what_is_not_http_is_no_silence(http: AwaitedHttp) -> None:
    """Somebody answered, so this is not offline."""
    with Rogue(lambda _: b"HTTP/1.1 abc Hi\r\n\r\n") as server, pytest.raises(ServerError, match="not HTTP") as caught:
        http.get(server.url, limit=9)

    assert caught.value.status == 0
