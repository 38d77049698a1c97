"""Every page does what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import COMMENTS, LANGUAGES, Page, pages
from tests.docs.running import PageError, run_page

if TYPE_CHECKING:
    from pathlib import Path

PAGES = pages()


@pytest.mark.parametrize("page", [page for page in PAGES if page.blocks], ids=lambda page: page.name)
def test_a_page_does_what_it_shows(page: Page, tmp_path: Path) -> None:
    """
    Its transcripts, programs, configuration files and documents, from top to bottom.
    """
    run_page(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: Page) -> None:
    """
    A block without language, or with an unknown one, would not be run by anybody.
    """
    assert [] == [block for block in page.blocks if block.language not in {*LANGUAGES, *COMMENTS}]
    assert page.text.count("```") == 2 * sum(block.language not in COMMENTS for block in page.blocks)


@pytest.mark.parametrize(
    ("shown", "problem"),
    [
        ("```console\n$ echo one\ntwo\n```\n", "--- said\none"),
        ("```console\n$ echo one\n```\n", "--- said\none"),
        ("```console\n$ true\none\n```\n", "--- shown\none"),
        ("```console\n$ false\n```\n", "exit code 1"),
        ("```console\n$ sh -c 'exit 3'\n$ echo $?\n1\n```\n", "--- said\n3"),
        ("```console\n$ echo 01234567 &&\n> echo 11234567\nf00d4567\nf00d4567\n```\n", "11234567"),
        ("```console\nnothing\n```\n", "has to begin with a command"),
        ("<!-- test\n$ false\n-->\n", "exit code 1"),
        ("```python\nimport nothing_of_the_kind\n```\n", "nothing_of_the_kind"),
        ("```python file=a.py\n1 = 2\n```\n", "cannot assign"),
        ("```toml\nservr = 1\n```\n", "servr"),
        ("```json\n{]\n```\n", "property name"),
        ('```json schema=verify\n{"verdict": []}\n```\n', "verdict"),
        ("```sh\nif true\n```\n", "sh"),
    ],
)
def test_a_page_that_is_wrong_is_found_out(tmp_path: Path, shown: str, problem: str) -> None:
    """
    With the line of the block that is wrong.
    """
    with pytest.raises(PageError, match=r"page\.md:3: ") as caught:
        run_page(Page("page.md", f"# A page\n\n{shown}"), tmp_path)

    assert problem in str(caught.value)


def test_a_page_that_is_right_passes(tmp_path: Path) -> None:
    """
    Exit codes, variables, folders and files last from block to block; ids stand for those of the run.
    """
    text = """
```text file=there/note
0123456789ab
```

```console
$ cd there && export WORD=seven
$ cat note; echo 2026-11-24T00:00:00Z
0123456789ab
2031-01-01T12:00:00Z
$ sh -c 'echo oh >&2; exit 7'
oh
$ echo $?
7
$ printf '1\\n2\\n3\\n4 and more\\n'
1
...
4 and …
```

```console
$ echo $WORD; pwd; cat <<END
> more
> END
seven
/home/ann/there
more
$ (sleep 0.2; echo late) &
late
$ id=$(python3 -c 'import secrets; print(secrets.token_hex(32))'); echo $id; echo "<$id>" "${id%${id#????????????}}"
7f4bb3d1a5c0cf2b4de9a8d9d22a36ad9dbd3f8ac1b5ea5b0ec5f2f7c4d6f001
<7f4bb3d1a5c0cf2b4de9a8d9d22a36ad9dbd3f8ac1b5ea5b0ec5f2f7c4d6f001> 7f4bb3d1a5c0
$ test 7f4bb3 = "${id%${id#??????}}"
```
"""
    run_page(Page("page.md", text), tmp_path)
