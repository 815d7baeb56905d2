"""The settings: what a file and options may say, what comes of it, and how a mistake is told."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.errors import SettingsError
from bgcamd.frame import Size
from bgcamd.paths import shipped
from bgcamd.scene import EDGE_RANGES, Blur, Colour, Edge, Fit, Keep, Picture, Remove, Scene
from bgcamd.settings import SETTINGS, SceneChange, Settings, load_settings
from bgcamd.values import COLOURS, colour, rate, size

pytestmark = pytest.mark.usefixtures("no_settings")

SHIPPED = (shipped("config") / "bgcamd.toml").read_text(encoding="utf-8")
KEY = re.compile(r"^#(?=\w+ = )", re.MULTILINE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


def loaded(file: Path, content: str, **overrides: object) -> Settings:
    file.write_text(content, encoding="utf-8")
    return load_settings(file, overrides)


def refused(file: Path, content: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        loaded(file, content)
    assert caught.value.exit_code == 78
    assert str(file) in caught.value.message
    return caught.value


class TestDefaults:
    def test_are_those_of_the_table_where_nothing_is_said(self) -> None:
        settings = load_settings(None, {})
        assert settings.file is None
        assert settings.camera.address == "auto"
        assert settings.camera.size is None
        assert settings.camera.fps is None
        assert settings.output.addresses == ("auto",)
        model = settings.model
        assert (model.name, model.quality, model.engine, model.threads) == ("auto", "auto", "auto", 1)
        assert (settings.control.socket, settings.control.mode, settings.control.group) == (None, None, "")
        assert settings.preview.port == 0
        assert settings.scene == SceneChange()

    def test_of_the_scene_are_the_scenes_own(self) -> None:
        said = {row.key: row.from_file(row.default, Path()) for row in SETTINGS if row.name.startswith("scene.")}
        edge = Edge(**{key: said[key] for key in EDGE_RANGES})
        assert Scene() == Scene(background=said["blur"], fit=said["fit"], mirror=said["mirror"], edge=edge)
        assert [said[key] for key in ("replace", "color", "remove", "keep")] == [None] * 4

    def test_every_field_of_the_edge_has_a_range_and_a_setting(self) -> None:
        fields = [field.name for field in dataclasses.fields(Edge)]
        assert fields == list(EDGE_RANGES)
        assert [row.key for row in SETTINGS if row.key in EDGE_RANGES] == fields

    def test_every_setting_is_a_field_and_every_field_a_setting(self) -> None:
        settings = load_settings(None, {})
        fields = {
            f"{section}.{field.name}"
            for section in ("camera", "output", "model", "control", "preview")
            for field in dataclasses.fields(getattr(settings, section))
        }
        assert fields == {row.name for row in SETTINGS if not row.name.startswith("scene.")}


class TestShippedFile:
    def test_changes_nothing_as_it_is(self, file: Path) -> None:
        assert dataclasses.replace(loaded(file, SHIPPED), file=None) == load_settings(None, {})

    def test_names_every_setting_with_its_default(self) -> None:
        said = tomllib.loads(KEY.sub("", SHIPPED))
        assert {f"{section}.{key}": value for section, table in said.items() for key, value in table.items()} == {
            row.name: row.default for row in SETTINGS
        }

    def test_says_something_about_every_setting(self) -> None:
        for paragraph in filter(KEY.search, SHIPPED.split("\n\n")):
            assert paragraph.startswith("# "), paragraph


class TestFile:
    def test_gives_every_kind_of_value(self, file: Path) -> None:
        settings = loaded(
            file,
            """
            camera = {address = "/dev/video3", size = "640x480", fps = 29.97}
            output.addresses = ["null:", "/dev/video9"]
            model = {name = "rvm", engine = "cpu", threads = 2}
            control = {socket = "/run/x.sock", mode = "0660", group = "video"}
            scene = {color = "#0a0B0c", fit = "tile", mirror = true, shift = -7, light_wrap = 30}
            """,
        )
        assert settings.file == file
        assert settings.camera.size == Size(640, 480)
        assert settings.camera.fps == Fraction(2997, 100)
        assert settings.output.addresses == ("null:", "/dev/video9")
        assert (settings.model.name, settings.model.engine, settings.model.threads) == ("rvm", "cpu", 2)
        assert (settings.control.socket, settings.control.mode) == (Path("/run/x.sock"), 0o660)
        assert settings.scene == SceneChange(Colour((10, 11, 12)), Fit.TILE, True, {"shift": -7, "light_wrap": 30})

    @pytest.mark.parametrize(
        ("said", "background"),
        [("blur = 7", Blur(7)), ("remove = true", Remove()), ("keep = true", Keep()), ("keep = false", None)],
    )
    def test_names_one_background(self, file: Path, said: str, background: object) -> None:
        assert loaded(file, f"[scene]\n{said}").scene.background == background

    def test_paths_start_from_its_folder(self, file: Path) -> None:
        (file.parent / "reef.jpg").touch()
        said = '[scene]\nreplace = "reef.jpg"\n[control]\nsocket = "x.sock"\n[camera]\naddress = "./me.mp4"'
        settings = loaded(file, said)
        assert settings.scene.background == file.parent / "reef.jpg"
        assert settings.control.socket == file.parent / "x.sock"
        assert settings.camera.address == str(file.parent / "me.mp4")

    def test_tilde_is_home(self, file: Path) -> None:
        assert loaded(file, 'camera.address = "~/me.mp4"').camera.address == os.environ["HOME"] + "/me.mp4"

    def test_gives_way_to_options(self, file: Path) -> None:
        file.write_text("[camera]\nfps = 10\nsize = '640x480'\n[output]\naddresses = ['null:']")
        settings = load_settings(file, {"camera.fps": "24", "output.addresses": (), "camera.size": None})
        assert settings.camera.fps == 24
        assert settings.camera.size == Size(640, 480)
        assert settings.output.addresses == ("null:",)


class TestSearch:
    def test_finds_the_users_file(self, no_settings: Path) -> None:
        (no_settings / "bgcamd").mkdir(parents=True)
        (no_settings / "bgcamd" / "bgcamd.toml").write_text("model.threads = 3")
        assert load_settings(None, {}).model.threads == 3

    def test_the_variable_wins_over_the_users_file_and_the_option_over_both(
        self, tmp_path: Path, no_settings: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (no_settings / "bgcamd").mkdir(parents=True)
        (no_settings / "bgcamd" / "bgcamd.toml").write_text("model.threads = 3")
        (tmp_path / "four.toml").write_text("model.threads = 4")
        (tmp_path / "five.toml").write_text("model.threads = 5")
        monkeypatch.setenv("BGCAMD_CONFIG", str(tmp_path / "four.toml"))
        assert load_settings(None, {}).model.threads == 4
        assert load_settings(tmp_path / "five.toml", {}).model.threads == 5

    def test_a_named_file_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"none\.toml: can't be read: No such file"):
            load_settings(tmp_path / "none.toml", {})

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="can't be read: Is a directory"):
            load_settings(tmp_path, {})


class TestMistakes:
    @pytest.mark.parametrize(
        ("content", "what", "advice"),
        [
            ("[camera]\nwidht = 640", "camera.widht: no such setting", "did you mean camera.size?"),
            ("[camera]\nadress = 'auto'", "camera.adress: no such setting", "did you mean camera.address?"),
            ("[camera]\nthreads = 1", "camera.threads: no such setting", "did you mean model.threads?"),
            ("blur = 3", "blur: no such setting", "did you mean scene.blur?"),
            ("[camra]\nsize = 'auto'", "[camra]: no such section", "did you mean camera?"),
            (
                "[zzz]",
                "[zzz]: no such section",
                "the sections are camera, control, model, output, preview, scene",
            ),
            ("camera = 'auto'", "camera: must be a section", "write [camera], its settings below"),
            ("[[camera]]\nfps = 1", "camera: must be a section", "write [camera], its settings below"),
        ],
    )
    def test_a_wrong_name_is_told_with_the_right_one(self, file: Path, content: str, what: str, advice: str) -> None:
        error = refused(file, content)
        assert error.message == f"{file}: {what}"
        assert error.hint == advice

    @pytest.mark.parametrize(
        ("name", "value", "must"),
        [
            ("camera.address", "3", "must be text in quotes"),
            ("camera.address", '" "', "must be text in quotes"),
            ("camera.size", '"640"', "WIDTHxHEIGHT"),
            ("camera.size", '"0x480"', "WIDTHxHEIGHT"),
            ("camera.size", "{x = 1}", "WIDTHxHEIGHT"),
            ("camera.fps", "-1", "from 1 to 240"),
            ("camera.fps", "nan", "from 1 to 240"),
            ("camera.fps", "false", "from 1 to 240"),
            ("output.addresses", "[]", "must be a list of addresses"),
            ("output.addresses", '"auto"', "must be a list of addresses"),
            ("output.addresses", "[1]", "must be text in quotes"),
            ("model.engine", '"gpu"', "must be one of auto, cpu, tensorrt"),
            ("model.threads", "0", "must be a whole number from 1 to 256"),
            ("model.threads", "1.5", "must be a whole number"),
            ("model.threads", '"2"', "must be a whole number"),
            ("model.threads", "true", "must be a whole number"),
            ("control.socket", '""', 'must be "auto" or a path'),
            ("control.socket", f'"/{"a" * 107}"', "at most 107 bytes"),
            ("control.socket", '"~nobody-has-this-name/x"', "no such user"),
            ("control.mode", "600", "octal digits in quotes"),
            ("control.mode", '"0888"', "octal digits in quotes"),
            ("control.group", "1", "must be a text in quotes"),
            ("preview.port", "65536", "from 0 to 65535"),
            ("scene.replace", '"gone.jpg"', "can't be read: No such file or directory"),
            ("scene.replace", '"."', "not a directory"),
            ("scene.blur", "101", "from 1 to 100"),
            ("scene.color", '"#12345"', "must be a colour"),
            ("scene.keep", "1", "must be true or false"),
            ("scene.fit", '"crop"', "must be one of cover, contain, stretch, tile"),
            ("scene.feather", "101", "from 0 to 100"),
            ("scene.shift", "-101", "from -100 to 100"),
            ("scene.threshold", "0", "from 1 to 99"),
            ("scene.smooth", "0.5", "must be a whole number"),
            ("scene.light_wrap", "true", "must be a whole number"),
        ],
    )
    def test_a_wrong_value_is_told_with_what_it_must_be(self, file: Path, name: str, value: str, must: str) -> None:
        message = refused(file, f"{name} = {value}").message
        assert message.startswith(f"{file}: {name}: ")
        assert must in message
        assert "(got " in message

    def test_a_wrong_option_is_told_by_its_own_name(self) -> None:
        with pytest.raises(SettingsError, match=r"^--fps: must be .* \(got 'fast'\)"):
            load_settings(None, {"camera.fps": "fast"})

    def test_two_backgrounds_are_told_by_name(self, file: Path) -> None:
        assert "[scene]: blur and color" in refused(file, "[scene]\nblur = 3\ncolor = 'red'").message

    @pytest.mark.parametrize(
        ("content", "line"),
        [("\n[camera]\nfps 3\n", 3), ("[camera", 1), ("x = 1\nx = 2\n", 2), ("x = " + "9" * 5000, 1)],
    )
    def test_what_is_no_toml_is_told_with_its_line(self, file: Path, content: str, line: int) -> None:
        assert refused(file, content).message.startswith(f"{file}:{line}: ")

    def test_what_is_no_text_is_told(self, file: Path) -> None:
        file.write_bytes(b"[camera]\n\xff\xfe")
        with pytest.raises(SettingsError, match=r"not UTF-8 text \(byte 9\)"):
            load_settings(file, {})

    def test_nesting_without_end_is_told(self, file: Path) -> None:
        assert "nested too deeply" in refused(file, "a = " + "[" * 100_000).message

    @given(content=st.text() | st.from_regex(r"(\[[a-z]+\]\n)?([a-z]{2,9}(\.[a-z]{3,9})? = [\"a-z0-9.\[\]]{1,6}\n)*"))
    def test_no_text_at_all_gives_a_traceback(self, content: str, tmp_path_factory: pytest.TempPathFactory) -> None:
        file = tmp_path_factory.getbasetemp() / "any.toml"
        with suppress(SettingsError):
            loaded(file, content)


class TestValues:
    @given(*[st.integers(8, 8192).map(lambda half: 2 * half)] * 2)
    def test_a_size_reads_as_it_is_written(self, width: int, height: int) -> None:
        assert size(str(Size(width, height)), Path()) == Size(width, height)

    @given(st.fractions(1, 240, max_denominator=1001))
    def test_a_rate_is_exact(self, fps: Fraction) -> None:
        assert rate(str(fps), Path()) == fps

    @given(st.tuples(*[st.integers(0, 255)] * 3))
    def test_a_colour_reads_as_it_is_written(self, rgb: tuple[int, int, int]) -> None:
        assert colour("#" + bytes(rgb).hex(), Path()) == Colour(rgb)

    @given(key=st.sampled_from(list(EDGE_RANGES)), value=st.integers() | st.integers(-101, 101))
    def test_a_field_of_the_edge_is_taken_just_within_its_range(self, key: str, value: int) -> None:
        row = next(row for row in SETTINGS if row.name == f"scene.{key}")
        low, high = EDGE_RANGES[key]
        if low <= value <= high:
            assert row.from_option(str(value)) == row.from_file(value, Path()) == value
        else:
            with pytest.raises(ValueError, match=f"from {low} to {high}"):
                row.from_option(str(value))

    def test_three_digits_are_each_doubled(self) -> None:
        assert colour("#0aF", Path()) == Colour((0x00, 0xAA, 0xFF))

    @pytest.mark.parametrize("name", COLOURS)
    def test_a_colours_name_is_its_code(self, name: str) -> None:
        assert colour(name.upper(), Path()) == colour(COLOURS[name], Path())


class TestSceneChange:
    SCENE = Scene(Remove(), Fit.TILE, mirror=True)

    def test_without_anything_asked_leaves_the_scene(self) -> None:
        assert SceneChange().applied_to(self.SCENE, Picture) == self.SCENE

    def test_changes_only_what_is_asked(self) -> None:
        assert SceneChange(mirror=False).applied_to(self.SCENE, Picture) == Scene(Remove(), Fit.TILE, mirror=False)
        assert SceneChange(Blur(3)).applied_to(self.SCENE, Picture) == Scene(Blur(3), Fit.TILE, mirror=True)

    def test_changes_the_edge_field_by_field(self) -> None:
        scene = dataclasses.replace(self.SCENE, edge=Edge(feather=20, shift=5))
        changed = SceneChange(edge={"shift": -5, "smooth": 0}).applied_to(scene, Picture)
        assert changed == dataclasses.replace(scene, edge=Edge(feather=20, shift=-5, smooth=0))

    def test_lets_the_caller_say_what_a_file_is(self) -> None:
        changed = SceneChange(Path("a.jpg"), Fit.COVER).applied_to(self.SCENE, Picture)
        assert changed == Scene(Picture(Path("a.jpg")), Fit.COVER, mirror=True)
