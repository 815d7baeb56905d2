"""The options that commands share: what the shell may say, and what the command is called with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from bgcamd.cli.options import daemon_options, matte_options, scene_options
from bgcamd.errors import UsageError
from bgcamd.scene import Alpha, Background, Blur, Colour, Fit, Keep, Remove
from bgcamd.settings import SETTINGS, SceneChange, load_settings

pytestmark = pytest.mark.usefixtures("no_settings")


@click.command()
@click.argument("names", nargs=-1)
@scene_options(alpha=True)
def scene(**given: Any) -> dict[str, Any]:
    return given


@click.command()
@matte_options
def matte(**given: Any) -> dict[str, Any]:
    return given


@click.command()
@daemon_options
def daemon(**given: Any) -> dict[str, Any]:
    return given


def called(command: click.Command, *args: str) -> dict[str, Any]:
    given: dict[str, Any] = command.main(list(args), standalone_mode=False)
    return given


class TestScene:
    def test_nothing_said_is_no_change(self) -> None:
        assert called(scene) == {"change": SceneChange(), "names": ()}

    @pytest.mark.parametrize(
        ("args", "background"),
        [
            (["--blur"], Blur(50)),
            (["--blur", "30"], Blur(30)),
            (["--blur=30"], Blur(30)),
            (["--color", "#00b140"], Colour((0, 177, 64))),
            (["--color=white"], Colour((255, 255, 255))),
            (["--remove"], Remove()),
            (["--keep"], Keep()),
            (["--alpha"], Alpha()),
        ],
    )
    def test_one_background_is_chosen(self, args: list[str], background: Background) -> None:
        assert called(scene, *args)["change"] == SceneChange(background)

    def test_a_file_is_passed_as_it_was_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "reef.jpg").touch()
        monkeypatch.chdir(tmp_path)
        assert called(scene, "--replace=reef.jpg")["change"] == SceneChange(Path("reef.jpg"))

    @pytest.mark.parametrize(
        "args", [["--blur", "in.jpg", "out"], ["in.jpg", "--blur", "out"], ["in.jpg", "out", "--blur"]]
    )
    def test_blur_leaves_the_arguments_alone(self, args: list[str]) -> None:
        assert called(scene, *args) == {"change": SceneChange(Blur(50)), "names": ("in.jpg", "out")}

    def test_blur_after_two_dashes_is_an_argument(self) -> None:
        assert called(scene, "--", "--blur", "x") == {"change": SceneChange(), "names": ("--blur", "x")}

    def test_fit_and_mirror_come_with_or_without_a_background(self) -> None:
        assert called(scene, "--fit=tile", "--no-mirror")["change"] == SceneChange(fit=Fit.TILE, mirror=False)
        assert called(scene, "--mirror", "--keep")["change"] == SceneChange(Keep(), mirror=True)

    def test_the_edge_comes_with_or_without_a_background(self) -> None:
        assert called(scene, "--feather", "20", "--shift", "-5")["change"] == SceneChange(
            edge={"feather": 20, "shift": -5}
        )
        said = called(scene, "--keep", "--threshold=60", "--smooth=0", "--light-wrap=30")["change"]
        assert said == SceneChange(Keep(), edge={"threshold": 60, "smooth": 0, "light_wrap": 30})

    def test_a_matte_has_no_light_on_it(self) -> None:
        assert called(matte, "--feather=1", "--shift=-2", "--threshold=3", "--smooth=4")["change"] == SceneChange(
            edge={"feather": 1, "shift": -2, "threshold": 3, "smooth": 4}
        )
        with pytest.raises(click.NoSuchOption):
            called(matte, "--light-wrap=5")

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (["--blur", "--color=red"], "--blur and --color can't be shown at once"),
            (["--alpha", "--keep"], "--keep and --alpha can't be shown at once"),
            (["--blur=0"], "--blur: must be a whole number from 1 to 100 (got 0)"),
            (["--blur=much"], "--blur: must be a whole number from 1 to 100 (got 'much')"),
            (["--color=mauvish"], '--color: must be a colour such as "#00b140" or "green" (got \'mauvish\')'),
            (["--shift", "-101"], "--shift: must be a whole number from -100 to 100 (got -101)"),
            (["--light-wrap=bright"], "--light-wrap: must be a whole number from 0 to 100 (got 'bright')"),
            (["--threshold=0"], "--threshold: must be a whole number from 1 to 99 (got 0)"),
            (["--smooth=7.5"], "--smooth: must be a whole number from 0 to 100 (got 7.5)"),
            (["--feather="], "--feather: must be a whole number from 0 to 100 (got '')"),
            (["--fit=crop"], "--fit: must be one of cover, contain, stretch, tile (got 'crop')"),
            (["--replace=/none/x.jpg"], "--replace: can't be read: No such file or directory (got '/none/x.jpg')"),
            (["--replace=/"], "--replace: must be a picture or a clip, not a directory (got '/')"),
        ],
    )
    def test_a_mistake_names_the_option(self, args: list[str], message: str) -> None:
        with pytest.raises(UsageError) as caught:
            called(scene, *args)
        assert caught.value.message == message


class TestDaemon:
    def test_nothing_said_leaves_the_settings(self) -> None:
        given = called(daemon)
        assert load_settings(given["config"], given["overrides"]) == load_settings(None, {})

    def test_every_option_reaches_its_setting(self) -> None:
        said = "--camera demo: --size 640x480 --fps 15 --output null: --output clip.mp4 --model rvm --engine cpu"
        given = called(daemon, *said.split(), "--threads=2", "--socket=/run/x.sock")
        assert given["config"] is None
        settings = load_settings(None, given["overrides"])
        assert (settings.camera.address, str(settings.camera.size), settings.camera.fps) == ("demo:", "640x480", 15)
        assert settings.output.addresses == ("null:", "clip.mp4")
        assert (settings.model.name, settings.model.engine, settings.model.threads) == ("rvm", "cpu", 2)
        assert settings.control.socket == Path("/run/x.sock")

    def test_a_file_can_be_named(self) -> None:
        assert called(daemon, "--config", "x.toml")["config"] == Path("x.toml")

    @pytest.mark.parametrize("row", [row for row in SETTINGS if row.option], ids=lambda row: row.name)
    def test_help_shows_what_the_table_says(self, row: Any) -> None:
        shown = " ".join(CliRunner().invoke(scene, ["--help"]).output.split())
        shown += " ".join(CliRunner().invoke(daemon, ["--help"]).output.split())
        assert row.help[1:] in shown
        assert row.option.partition("/")[0] in shown


class TestCompletion:
    @pytest.mark.parametrize(
        ("command", "args", "incomplete", "values"),
        [
            (daemon, ["--engine"], "", ["auto", "cpu", "tensorrt", "tensorrt-rtx"]),
            (scene, ["--fit"], "c", ["cover", "contain"]),
            (scene, ["--color"], "gre", ["grey", "green"]),
            (scene, ["--blur"], "", []),
            (scene, ["--light-wrap"], "", []),
            (scene, [], "--f", ["--fit", "--feather"]),
        ],
    )
    def test_offers_the_values_there_are(
        self, command: click.Command, args: list[str], incomplete: str, values: list[str]
    ) -> None:
        offered = ShellComplete(command, {}, "x", "_X_COMPLETE").get_completions(args, incomplete)
        assert [item.value for item in offered] == values

    @pytest.mark.parametrize("option", ["--config", "--socket", "--camera"])
    def test_leaves_file_names_to_the_shell(self, option: str) -> None:
        offered = ShellComplete(daemon, {}, "x", "_X_COMPLETE").get_completions([option], "fo")
        assert [item.type for item in offered] == ["file"]
