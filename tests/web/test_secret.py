"""The secret in addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgcamd.errors import OutputError
from bgcamd.web.secret import kept_secret, new_secret


def test_new_secrets_differ_and_need_no_quoting() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.replace("-", "a").replace("_", "a").isalnum() for secret in secrets)


def test_a_kept_secret_is_the_same_the_next_time_and_nobody_elses_to_read(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "bgcamd"
    secret = kept_secret(folder)
    assert kept_secret(folder) == secret
    assert (folder / "secret").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in folder.iterdir()] == ["secret"]


def test_who_removes_it_gets_another(tmp_path: Path) -> None:
    secret = kept_secret(tmp_path)
    (tmp_path / "secret").unlink()
    assert kept_secret(tmp_path) != secret


@pytest.mark.parametrize("damaged", [b"", b"short", b"\xff" * 22, b"a/../b" * 5, b"a" * 100])
def test_what_is_damaged_is_made_anew(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "secret").write_bytes(damaged)
    secret = kept_secret(tmp_path)
    assert len(secret) == 22
    assert kept_secret(tmp_path) == secret


def test_where_it_can_not_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can't keep the secret"):
        kept_secret(tmp_path / "file")
    (tmp_path / "secret").mkdir()
    with pytest.raises(OutputError, match="can't keep the secret"):
        kept_secret(tmp_path)
