"""bgcam preview, as a program."""

from __future__ import annotations

import ctypes
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from bgcamd.cli import main
from bgcamd.service.dispatch import Interface, Reply, Service
from bgcamd.service.listen import listen
from bgcamd.service.server import Server

BGCAM = [sys.executable, "-c", "from bgcamd.cli import main; main(prog_name='bgcam')"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    """The socket of a daemon that says that it is live."""
    interface = Interface("org.bgcam", {"GetStatus": lambda: Reply({"status": {"state": "live"}})})
    with listen(tmp_path / "s.sock") as listener, Server(listener, Service([interface])):
        yield tmp_path / "s.sock"


@contextmanager
def previewing(*options: str | Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program, and the address that it printed."""
    with subprocess.Popen(
        [*BGCAM, "preview", *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**{name: value for name, value in os.environ.items() if "DISPLAY" not in name}, **environment},
    ) as program:  # fmt: skip
        assert program.stdout is not None
        try:
            yield program, program.stdout.readline().strip()
        finally:
            program.kill()


def asked(url: str, path: str = "") -> int:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)) as connection:
        connection.request("GET", parts.path + path)
        return connection.getresponse().status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_prints_the_address_of_a_page_and_ends_quietly_when_told(daemon: Path, number: signal.Signals) -> None:
    with previewing("--socket", daemon) as (program, url):
        assert urlsplit(url).hostname == "127.0.0.1"
        assert asked(url) == 200
        assert asked(url, "status") == 200
        program.send_signal(number)
        assert program.wait(10) == 0
        assert program.stderr is not None
        assert program.stderr.read() == ""


def test_it_ends_also_where_the_kernel_gives_the_signal_to_another_thread(daemon: Path) -> None:
    with previewing("--socket", daemon) as (program, url):
        assert asked(url) == 200
        others = [
            int(task.name) for task in Path(f"/proc/{program.pid}/task").iterdir() if task.name != str(program.pid)
        ]
        ctypes.CDLL(None).tgkill(program.pid, others[0], signal.SIGINT)
        assert program.wait(10) == 0


def test_each_run_has_another_secret(daemon: Path) -> None:
    with previewing("--socket", daemon) as (_, one), previewing("--socket", daemon) as (_, other):
        assert urlsplit(one).path != urlsplit(other).path


def test_the_port_can_be_chosen_and_one_that_is_taken_is_told(daemon: Path) -> None:
    with previewing("--socket", daemon) as (_, url):
        port = urlsplit(url).port
        refused = subprocess.run(
            [*BGCAM, "preview", "--socket", daemon, "--port", str(port)], capture_output=True, text=True, check=False
        )
    assert refused.returncode == 69
    assert f"can't listen on 127.0.0.1:{port}" in refused.stderr


def test_without_a_daemon_it_says_so_in_a_line(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["preview", "--socket", str(tmp_path / "none.sock")])
    assert refused.exit_code == 69
    assert "no bgcamd is running" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.parametrize(
    ("options", "environment", "opens"),
    [
        ([], {}, False),
        ([], {"DISPLAY": ":99"}, True),
        (["--no-open"], {"DISPLAY": ":99"}, False),
        (["--open"], {}, True),
    ],
)
def test_a_browser_is_opened_where_there_is_a_screen(
    daemon: Path, tmp_path: Path, options: list[str], environment: dict[str, str], opens: bool
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/.opened; mv {tmp_path}/.opened {tmp_path}/opened\n')
    browser.chmod(0o755)
    with previewing("--socket", daemon, *options, BROWSER=str(browser), **environment) as (program, url):
        while opens and not (tmp_path / "opened").exists():
            assert program.poll() is None
        assert asked(url) == 200
        assert (tmp_path / "opened").exists() is opens
        if opens:
            assert (tmp_path / "opened").read_text() == f"{url}\n"
