"""The command line's frame: lazy commands, help, completion, and how errors end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bgcamd import __version__
from bgcamd.cli import COMMANDS, LazyGroup, main
from bgcamd.cli.edge import Edge, exit_code
from bgcamd.errors import SettingsError, SinkError

BGCAM = [sys.executable, "-c", "from bgcamd.cli import main; main(prog_name='bgcam')"]


@click.command()
def sub() -> None:
    """Say something."""
    click.echo("said")


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> LazyGroup:
    monkeypatch.setitem(sys.modules, "there", type(sys)("there"))
    monkeypatch.setattr(sys.modules["there"], "sub", sub, raising=False)
    return LazyGroup("prog", table={"b": ("there:sub", "The second."), "a": ("not.there:sub", "The first.")})


class TestLazyGroup:
    def test_help_lists_the_table_in_its_order_without_importing(self, group: LazyGroup) -> None:
        shown = CliRunner().invoke(group, ["--help"])
        assert shown.exit_code == 0
        assert shown.output.split("Commands:")[1].split() == ["b", "The", "second.", "a", "The", "first."]

    def test_imports_the_command_that_runs(self, group: LazyGroup) -> None:
        assert CliRunner().invoke(group, ["b"]).output == "said\n"
        assert isinstance(CliRunner().invoke(group, ["a"]).exception, ModuleNotFoundError)

    def test_a_commands_help_is_its_own(self, group: LazyGroup) -> None:
        assert "Say something." in CliRunner().invoke(group, ["b", "--help"]).output

    def test_an_unknown_command_is_refused(self, group: LazyGroup) -> None:
        refused = CliRunner().invoke(group, ["c"])
        assert refused.exit_code == 2
        assert "No such command 'c'" in refused.stderr


class TestMain:
    def test_tells_its_version(self) -> None:
        assert CliRunner().invoke(main, ["--version"]).output == f"bgcam, version {__version__}\n"

    def test_help_names_every_command(self) -> None:
        shown = CliRunner().invoke(main, ["--help"]).output
        assert all(f"\n  {name} " in shown and line in shown for name, (_, line) in COMMANDS.items())


class TestEdge:
    def ended(self, error: BaseException) -> object:
        @click.command(cls=Edge)
        def fails() -> None:
            raise error

        return CliRunner().invoke(fails)

    def test_an_error_is_two_lines_and_its_exit_code(self) -> None:
        ended = self.ended(SinkError("no virtual camera", "sudo modprobe v4l2loopback"))
        assert (ended.exit_code, ended.stdout) == (69, "")
        assert ended.stderr == "Error: no virtual camera\nHint: sudo modprobe v4l2loopback\n"

    def test_without_a_hint_it_is_one_line(self) -> None:
        ended = self.ended(SettingsError("x.toml: wrong"))
        assert (ended.exit_code, ended.stderr) == (78, "Error: x.toml: wrong\n")

    def test_an_interrupt_is_quiet(self) -> None:
        ended = self.ended(KeyboardInterrupt())
        assert (ended.exit_code, ended.output.strip()) == (130, "")

    def test_what_is_unknown_keeps_its_traceback(self) -> None:
        assert isinstance(self.ended(ZeroDivisionError()).exception, ZeroDivisionError)

    def test_a_wrong_option_is_a_usage_error_of_clicks(self) -> None:
        ended = CliRunner().invoke(main, ["--nope"])
        assert ended.exit_code == 2
        assert "No such option" in ended.stderr

    @pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (3, 3), ("text", 0)])
    def test_a_whole_number_returned_is_the_exit_code(self, result: object, code: int) -> None:
        assert exit_code(lambda: result) == code

    def test_a_closed_pipe_is_quiet(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        ended = subprocess.run([*BGCAM, "--help"], stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
        assert (ended.returncode, ended.stderr) == (1, b"")


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_prints_the_shells_script(self, shell: str) -> None:
        printed = CliRunner().invoke(main, ["completion", shell])
        assert printed.exit_code == 0
        assert f"_BGCAM_COMPLETE={shell}_complete" in printed.output

    def test_bash_accepts_the_script_and_completes_with_it(self, tmp_path: Path) -> None:
        bash = shutil.which("bash")
        assert bash is not None
        program = tmp_path / "bgcam"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{BGCAM[2].replace(chr(39), chr(34))}' \"$@\"\n")
        program.chmod(0o755)
        script = CliRunner().invoke(main, ["completion", "bash"]).output
        asked = "COMP_WORDS=(bgcam sta); COMP_CWORD=1; _bgcam_completion bgcam; printf '%s\\n' \"${COMPREPLY[@]}\""
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run([bash, "-c", script + asked], env=path, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["status"]

    def test_another_shell_is_refused(self) -> None:
        assert CliRunner().invoke(main, ["completion", "csh"]).exit_code == 2


def test_asking_for_help_imports_nothing_heavy() -> None:
    code = (
        f"import sys; sys.argv[1:] = ['--help']\ntry:\n    {BGCAM[2].replace('; ', chr(10) + '    ')}\nfinally:\n    "
    )
    code += "print(sorted({'numpy', 'cv2', 'onnxruntime', 'av'} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
