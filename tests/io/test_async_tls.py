"""The HTTP client for event loops trusts and shows by TLS what the one that waits does: it is asked for the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.io import test_tls
from tests.io.awaited import AwaitedHttp, end_loops
from tests.io.test_tls import (  # noqa: F401 # they are collected here once more
    test_a_client_certificate_is_shown,
    test_a_common_name_alone_is_said_to_be_too_little,
    test_a_cut_is_not_an_end,
    test_a_folder_adds_its_ca,
    test_a_folder_adds_to_the_system,
    test_a_handshake_that_drips_ends_soon_after,
    test_a_plain_request_to_a_proxy_may_go_by_tls,
    test_a_proxy_sees_nothing_of_what_it_carries,
    test_a_proxy_that_is_not_trusted_is_the_one_to_blame,
    test_a_proxy_that_speaks_no_tls_is_the_one_to_blame,
    test_a_server_behind_a_proxy_is_blamed_for_its_certificate,
    test_a_slow_drip_ends_at_the_deadline,
    test_an_expired_certificate_is_named,
    test_an_explicit_ca_is_enough,
    test_an_explicit_ca_stands_alone,
    test_an_unknown_authority_is_named_with_the_place_for_its_ca,
    test_another_name_behind_a_proxy_is_named,
    test_another_name_is_named,
    test_nothing_widens_what_is_trusted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have those tests make clients of this kind."""
    monkeypatch.setattr(test_tls, "Http", AwaitedHttp)
    yield
    end_loops()
