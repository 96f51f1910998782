"""A service's token follows its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime.errors import DependencyUnavailableError
from services.runtime.signing_key import write_private
from services.runtime.token_source import FileTokenSource


def test_a_replaced_token_is_used_at_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_private(path, b"first\n", replace=True)
    source = FileTokenSource(path)
    assert source.token() == "first"

    write_private(path, b"second\n", replace=True)

    assert source.token() == "second"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_without_a_token_no_call_is_made(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(DependencyUnavailableError):
        FileTokenSource(path).token()
