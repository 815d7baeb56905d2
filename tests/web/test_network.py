"""What a service without a network is told, and only that one."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from bgcamd.web.network import network_hint


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program as `make install` puts it."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "network.conf").touch()
    return tmp_path


def test_without_a_network_the_hint_is_the_command_that_allows_it(installed: Path) -> None:
    hint = network_hint(errno.EAFNOSUPPORT, "usual")
    assert hint.startswith(f"the service has no network: sudo install -D -m 644 {installed}/share/network.conf /etc/")


def test_any_other_error_has_its_usual_hint(installed: Path) -> None:
    assert network_hint(errno.EADDRINUSE, "usual") == "usual"
    assert network_hint(None, "usual") == "usual"


def test_where_bgcamd_is_not_installed_there_is_no_such_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert network_hint(errno.EAFNOSUPPORT, "usual") == "usual"
