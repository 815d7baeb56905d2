"""packaging/install: which files it puts where, and that it takes them away again. The program itself needs the network
and a minute: `make install` is tried in the guest of `make e2e`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
UNITS = "usr/lib/systemd/system"
FILES = {
    "etc/bgcamd/bgcamd.toml",
    "opt/bgcamd/installed-files",
    "opt/bgcamd/share/network.conf",
    f"{UNITS}/bgcamd-nvidia.service",
    f"{UNITS}/bgcamd.service",
    f"{UNITS}/bgcamd.service.d/10-sandbox.conf",
    f"{UNITS}/bgcamd.socket",
    f"{UNITS}/bgcamd@.service",
    f"{UNITS}/bgcamd@.service.d/10-sandbox.conf",
    f"{UNITS}/bgcamd@.socket",
    "usr/lib/modprobe.d/bgcamd.conf",
    "usr/lib/modules-load.d/bgcamd.conf",
    "usr/lib/sysusers.d/bgcamd.conf",
    "usr/lib/udev/rules.d/70-bgcamd.rules",
    "usr/local/bin/bgcam",
    "usr/local/bin/bgcamd",
    "usr/local/share/bash-completion/completions/bgcam",
    "usr/local/share/bash-completion/completions/bgcamd",
    "usr/local/share/fish/vendor_completions.d/bgcam.fish",
    "usr/local/share/fish/vendor_completions.d/bgcamd.fish",
    "usr/local/share/man/man1/bgcam.1",
    "usr/local/share/man/man5/bgcamd.toml.5",
    "usr/local/share/man/man8/bgcamd.8",
    "usr/local/share/zsh/site-functions/_bgcam",
    "usr/local/share/zsh/site-functions/_bgcamd",
}

OF_AN_INSTANCE = {
    "AssertPathExists=/etc/bgcamd/%i.toml\n": "",
    " (%i)": "",
    " --instance %i": "",
    "bgcamd@%i": "bgcamd",
    "%i.sock": "bgcamd.sock",
}


def install(root: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"DESTDIR": str(root), "GENERATOR": sys.executable} | environment
    return subprocess.run(
        [CHECKOUT / "packaging" / "install", *options],
        env=os.environ | given, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or path.is_file()}


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with everything in it but the program."""
    root = tmp_path_factory.mktemp("installed")
    done = install(root, "--files")
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def installed(once: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(once, tmp_path / "root", symlinks=True))


@pytest.fixture
def verifier(installed: Path) -> list[str]:
    """systemd-analyze, where there is one, on the installed units and the system's."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    program = installed / "opt/bgcamd/bin/bgcamd"
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/true")
    for unit in (installed / UNITS).glob("*.service"):
        unit.write_text(unit.read_text().replace("/opt/bgcamd", f"{installed}/opt/bgcamd"))
    return ["env", f"SYSTEMD_UNIT_PATH={installed / UNITS}:", "systemd-analyze"]


def test_puts_these_files_and_no_others(once: Path) -> None:
    assert files(once) == FILES
    assert (once / "usr/local/bin/bgcam").readlink() == Path("/opt/bgcamd/bin/bgcam")


def test_removing_leaves_only_the_settings(installed: Path) -> None:
    done = install(installed, "--remove")
    assert done.returncode == 0, done.stderr
    assert files(installed) == {"etc/bgcamd/bgcamd.toml"}


def test_settings_that_are_there_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "etc/bgcamd").mkdir(parents=True)
    (tmp_path / "etc/bgcamd/bgcamd.toml").write_text("# mine")
    assert install(tmp_path, "--files").returncode == 0
    assert (tmp_path / "etc/bgcamd/bgcamd.toml").read_text() == "# mine"


def test_the_service_never_falls_back_to_the_demo_or_a_page(once: Path) -> None:
    settings = tomllib.loads((once / "etc/bgcamd/bgcamd.toml").read_text())
    assert settings["camera"] == {"address": "v4l2:"}
    assert settings["output"] == {"addresses": ["loopback:"]}


@pytest.mark.parametrize("option", ["", "--remove"])
def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path, option: str) -> None:
    (tmp_path / "usr/local/mine").mkdir(parents=True)
    done = install(tmp_path, *filter(None, [option]), PREFIX="/usr/local")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert (tmp_path / "usr/local/mine").is_dir()


def test_another_prefix_is_the_units_too(tmp_path: Path) -> None:
    assert install(tmp_path, "--files", PREFIX="/srv/bgcamd").returncode == 0
    service = (tmp_path / UNITS / "bgcamd.service").read_text()
    assert re.findall(r"^ExecStart=(\S+)", service, re.MULTILINE) == ["/srv/bgcamd/bin/bgcamd"]


def test_systemd_understands_the_units(verifier: list[str]) -> None:
    units = ["bgcamd.service", "bgcamd.socket", "bgcamd@desk.service", "bgcamd@desk.socket"]
    done = subprocess.run([*verifier, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", ["bgcamd.service", "bgcamd@desk.service"])
def test_the_sandbox_is_tight(verifier: list[str], unit: str) -> None:
    offline = [*verifier, "security", "--offline=yes", "--threshold=20", unit]
    done = subprocess.run(offline, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr  # an exposure of at most 2.0


def test_an_instance_is_the_service_but_for_its_name_and_settings() -> None:
    for kind in ("service", "socket"):
        one, every = ((CHECKOUT / f"systemd/bgcamd{at}.{kind}").read_text() for at in ("", "@"))
        for its_own, ours in OF_AN_INSTANCE.items():
            every = every.replace(its_own, ours)
        assert every == one


def test_every_option_and_setting_is_in_the_man_pages(once: Path) -> None:
    from bgcamd.cli import COMMANDS
    from bgcamd.settings import SETTINGS

    daemon, client, settings = (
        (once / "usr/local/share/man" / page).read_text().replace("\\-", "-")
        for page in ("man8/bgcamd.8", "man1/bgcam.1", "man5/bgcamd.toml.5")
    )
    assert [row.option for row in SETTINGS if row.option and row.option.partition("/")[0] not in daemon] == []
    assert [name for name in COMMANDS if f".SS {name}\n" not in client] == []
    assert [row.name for row in SETTINGS if f"\\fB{row.key}\\fR = " not in settings] == []
