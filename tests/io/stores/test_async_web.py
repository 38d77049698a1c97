"""The reader of web servers for event loops makes of them what the one that waits does: it is asked for the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.io.awaited import AwaitedHttp, AwaitedWeb, end_loops
from tests.io.stores import test_web
from tests.io.stores.test_web import (  # noqa: F401 # they are collected here once more
    test_304_without_a_question_is_no_answer,
    test_a_mirror_in_trouble_is_passed_over_for_good,
    test_a_mirror_that_stalls_is_passed_over,
    test_a_packed_target_file_is_refused,
    test_a_reader_may_stop,
    test_a_redirect_is_followed,
    test_a_strange_etag_is_not_kept,
    test_a_target_file_goes_on_where_it_was,
    test_a_target_file_may_be_long,
    test_a_target_file_that_breaks_off_goes_on_at_the_next_mirror,
    test_a_target_file_that_drips_is_given_up,
    test_a_timestamp_that_has_not_changed_is_not_sent_again,
    test_another_part_is_not_taken,
    test_any_other_status_is_no_answer,
    test_files_are_where_their_names_say,
    test_forbidden_is_not_absent,
    test_metadata_has_a_limit,
    test_part_of_a_file_is_not_the_file,
    test_plain_http_is_for_this_machine,
    test_target_files_have_mirrors_of_their_own,
    test_the_next_root_may_not_be_there,
    test_what_one_mirror_does_not_have_another_may,
    test_with_no_mirror_left_the_first_is_to_blame,
)
from trustreg.io.http import Timeouts
from trustreg.io.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AwaitedHttp]:
    """Have those tests ask clients of this kind."""
    monkeypatch.setattr(test_web, "WebRepository", AwaitedWeb)
    with AwaitedHttp({}, Tls({}, str(tmp_path)), timeouts=Timeouts(2, 0.5, 1), sleep=lambda _: None) as http:
        yield http
    end_loops()
