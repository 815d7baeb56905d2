"""The live commands against a served daemon that answers by rote."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bgcamd.cli import main
from bgcamd.cli.page import line, page, scene_line
from bgcamd.errors import InputError
from bgcamd.service.dispatch import Call, Interface, Reply, Service
from bgcamd.service.listen import listen
from bgcamd.service.server import Server

BGCAM = [sys.executable, "-c", "from bgcamd.cli import main; main(prog_name='bgcam')"]
STAGE = {"wall_p50": 0.123, "wall_p95": 12.5, "cpu_p50": None}
STATUS = {
    "version": "0.1.0",
    "state": "live",
    "camera": "HD Webcam",
    "output": "Virtual BG Camera",
    "size": "1280x720",
    "model": "selfie",
    "engine": "cpu",
    "why": "no NVIDIA GPU found",
    "fps": 29.97,
    "stages": {"infer": STAGE, "take": STAGE, "later": STAGE},
    "age_ms": {"p50": 14.21, "p95": None},
    "frames": 900,
    "dropped": 3,
    "problems": [],
    "scene": {"background": "picture", "name": "coral.jpg", "fit": "contain", "mirror": True},
}


class Rote:
    """Answers every method of org.bgcam, and remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.sent = b""
        self.png = b"\x89PNG shown"
        self.monitored = 3
        self.stopped = threading.Event()

    def interface(self) -> Interface:
        return Interface(
            "org.bgcam",
            {
                "GetStatus": lambda: Reply({"status": STATUS}),
                "Monitor": self.monitor,
                "Set": self.set,
                "Pause": self.pause,
                "Resume": lambda: self.note("Resume"),
                "Snapshot": self.snapshot,
                "Stop": lambda: self.note("Stop"),
            },
        )

    def note(self, name: str, /, **parameters: object) -> Reply:
        self.calls.append((name, {key: value for key, value in parameters.items() if value is not None}))
        if name == "Stop":
            self.stopped.set()
        return Reply()

    def pause(
        self, call: Call, *, text: str | None = None, picture: int | None = None, name: str | None = None,
        freeze: bool | None = None,
    ) -> Reply:  # fmt: skip
        if picture is not None:
            with os.fdopen(call.fds.take(picture), "rb") as file:
                self.sent = file.read()
        return self.note("Pause", text=text, name=name, freeze=freeze)

    def monitor(self, call: Call, *, interval_ms: int | None = None) -> Iterator[Reply]:
        for _ in range(self.monitored - 1):
            yield Reply({"status": STATUS}, continues=True)
            if call.left((interval_ms or 0) / 1000):
                break
        yield Reply({"status": STATUS})

    def set(
        self, call: Call, *, replace: int | None = None, name: str | None = None, blur: int | None = None,
        color: str | None = None, remove: bool | None = None, keep: bool | None = None, fit: str | None = None,
        mirror: bool | None = None, feather: int | None = None, shift: int | None = None,
        threshold: int | None = None, smooth: int | None = None, light_wrap: int | None = None,
        model: str | None = None,
    ) -> Reply:  # fmt: skip
        if replace is not None:
            with os.fdopen(call.fds.take(replace), "rb") as file:
                self.sent = file.read()
        if self.sent == b"not a picture":
            raise InputError("x.jpg is no picture", "give a JPEG")
        self.note("Set", name=name, blur=blur, color=color, remove=remove, keep=keep, fit=fit, mirror=mirror,
                  feather=feather, shift=shift, threshold=threshold, smooth=smooth, light_wrap=light_wrap,
                  model=model)  # fmt: skip
        return Reply({"scene": STATUS["scene"]})

    def snapshot(self) -> Reply:
        fd = os.memfd_create("png")
        os.write(fd, self.png)
        return Reply({"picture": 0}, fds=(fd,))


@pytest.fixture
def rote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rote]:
    served = Rote()
    monkeypatch.setenv("BGCAMD_SOCKET", str(tmp_path / "s.sock"))
    with listen(tmp_path / "s.sock") as listener, Server(listener, Service([served.interface()])):
        yield served


def bgcam(*args: str | Path) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


class TestSet:
    @pytest.mark.parametrize(
        ("args", "parameters"),
        [
            (["--blur", "7"], {"blur": 7}),
            (["--blur"], {"blur": 50}),
            (["--color", "#00B140"], {"color": "#00b140"}),
            (["--remove"], {"remove": True}),
            (["--keep"], {"keep": True}),
            (["--fit", "tile", "--mirror"], {"fit": "tile", "mirror": True}),
            (["--feather=0", "--shift", "-5"], {"feather": 0, "shift": -5}),
            (["--threshold=60", "--smooth=0", "--light-wrap=30"], {"threshold": 60, "smooth": 0, "light_wrap": 30}),
            (["--no-mirror", "--model", "rvm"], {"mirror": False, "model": "rvm"}),
        ],
    )
    def test_sends_what_is_named_and_nothing_else(self, rote: Rote, args: list[str], parameters: Any) -> None:
        done = bgcam("set", *args)
        assert done.exit_code == 0, done.output
        assert rote.calls == [("Set", parameters)]

    def test_tells_what_is_live_now_in_a_line(self, rote: Rote) -> None:
        assert bgcam("set", "--mirror").output == "live: coral.jpg, contain, mirrored\n"

    def test_hands_over_the_picture_itself_and_its_name(self, rote: Rote, tmp_path: Path) -> None:
        (tmp_path / "reef.jpg").write_bytes(b"a reef")
        assert bgcam("set", "--replace", tmp_path / "reef.jpg").exit_code == 0
        assert rote.sent == b"a reef"
        assert rote.calls == [("Set", {"name": "reef.jpg"})]

    def test_a_manifest_of_the_users_is_sent_with_its_whole_path(
        self, rote: Rote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        bgcam("set", "--model", "mine.toml")
        assert rote.calls == [("Set", {"model": str(tmp_path / "mine.toml")})]

    def test_nothing_to_change_is_a_usage_error(self, rote: Rote) -> None:
        refused = bgcam("set")
        assert refused.exit_code == 64
        assert "nothing to change" in refused.stderr
        assert rote.calls == []

    @pytest.mark.parametrize(
        ("words", "meant"),
        [
            (["coral.jpg"], "--replace=coral.jpg"),
            (["my reef.jpg", "--mirror"], "--replace='my reef.jpg'"),
            (["blur", "30"], "--blur"),
        ],
    )
    def test_a_word_without_an_option_is_told_the_option(self, rote: Rote, words: list[str], meant: str) -> None:
        refused = bgcam("set", *words)
        assert refused.exit_code == 64
        assert refused.stderr.endswith(f"Hint: bgcam set {meant}\n")
        assert rote.calls == []

    def test_an_edge_out_of_range_is_told_in_a_line_and_not_sent(self, rote: Rote) -> None:
        refused = bgcam("set", "--shift=-200")
        assert refused.exit_code == 64
        assert refused.stderr == "Error: --shift: must be a whole number from -100 to 100 (got -200)\n"
        assert rote.calls == []

    def test_two_backgrounds_are_a_usage_error(self, rote: Rote) -> None:
        assert bgcam("set", "--blur", "--keep").exit_code == 64
        assert rote.calls == []

    def test_the_daemons_refusal_is_told_with_its_hint(self, rote: Rote, tmp_path: Path) -> None:
        (tmp_path / "x.jpg").write_bytes(b"not a picture")
        refused = bgcam("set", "--replace", tmp_path / "x.jpg")
        assert refused.exit_code == 66
        assert refused.stderr == "Error: x.jpg is no picture\nHint: give a JPEG\n"

    def test_a_pipe_does_not_hang_it(self, rote: Rote, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert bgcam("set", "--replace", tmp_path / "pipe").exit_code == 0  # this fake takes anything


class TestStatus:
    def test_json_is_what_the_daemon_says(self, rote: Rote) -> None:
        assert json.loads(bgcam("status", "--json").output) == STATUS

    def test_the_page_says_what_matters(self, rote: Rote) -> None:
        shown = bgcam("status").output
        for words in ("0.1.0: live", "HD Webcam", "no NVIDIA GPU found", "coral.jpg, contain, mirrored", "30.0 fps"):
            assert words in shown
        assert all(len(each) <= 80 for each in shown.splitlines())

    def test_stages_come_in_the_pipelines_order_and_align(self) -> None:
        table = page(STATUS).splitlines()[-4:]
        assert [row.split()[0] for row in table] == ["ms", "take", "infer", "later"]
        assert len({len(row) for row in table}) == 1
        assert table[1].split() == ["take", "0.12", "12.50", "–"]

    def test_problems_stand_at_the_top(self) -> None:
        shown = page(STATUS | {"problems": ["no camera (plug one in)"]}).splitlines()
        assert "! no camera (plug one in)" in shown[2]

    def test_keys_of_a_newer_daemon_are_shown(self) -> None:
        assert "battery  low" in page(STATUS | {"battery": "low"})

    @pytest.mark.parametrize("status", [{}, dict.fromkeys(STATUS), {"stages": {"take": 5}, "age_ms": 5, "scene": []}])
    def test_a_status_of_another_version_is_shown_as_far_as_it_goes(self, status: dict[str, object]) -> None:
        assert page(status)
        assert line(status)

    def test_text_cannot_steer_the_terminal(self) -> None:
        assert "\x1b" not in page(STATUS | {"state": "live", "camera": "a\x1b[2J", "problems": []}).split("\n", 1)[1]

    def test_without_a_daemon_it_says_how_to_start_one(self, tmp_path: Path) -> None:
        refused = bgcam("status", "--socket", tmp_path / "none.sock")
        assert refused.exit_code == 69
        assert "no bgcamd is running" in refused.stderr
        assert "start it" in refused.stderr

    def test_needs_neither_numpy_nor_cv2(self, rote: Rote) -> None:
        heavy = "sorted({'numpy', 'cv2', 'av', 'PIL', 'onnxruntime'} & set(sys.modules))"
        script = f"import sys; from bgcamd.cli import main\ntry: main(['status'])\nfinally: print('loaded:', {heavy})"
        shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert "HD Webcam" in shown
        assert shown.endswith("loaded: []\n")


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        ({"background": "blur", "blur": 50, "fit": "cover", "mirror": False}, "blur 50"),
        ({"background": "color", "color": "#00b140"}, "colour #00b140"),
        ({"background": "remove"}, "nothing behind you"),
        ({"background": "keep", "mirror": True}, "the room as it is, mirrored"),
        ({"background": "clip", "name": "sea.mp4", "fit": "cover"}, "sea.mp4"),
        ({"background": "hologram"}, "hologram"),
        (
            {"background": "remove", "feather": 0, "shift": 0, "threshold": 50, "smooth": 90, "light_wrap": 0},
            "nothing behind you",
        ),
        (
            {"background": "blur", "blur": 9, "mirror": True, "shift": -5, "smooth": 0, "light_wrap": 30},
            "blur 9, mirrored, shift -5, smooth 0, light wrap 30",
        ),
        ({"background": "remove", "feather": None, "shift": "\x1b[2J"}, "nothing behind you, shift [2J"),
        (None, "–"),
    ],
)
def test_a_scene_in_words(scene: object, words: str) -> None:
    assert scene_line(scene) == words


class TestWatch:
    def test_prints_a_line_each_time_where_there_is_no_terminal(self, rote: Rote) -> None:
        shown = bgcam("watch", "--interval", "0.05").output.splitlines()
        assert len(shown) == 3
        assert shown[0].startswith("live")

    def test_json_is_one_object_a_line(self, rote: Rote) -> None:
        shown = bgcam("watch", "--interval", "0.05", "--json").output.splitlines()
        assert [json.loads(each) for each in shown] == [STATUS] * 3

    def test_redraws_on_a_terminal_and_ctrl_c_ends_it_cleanly(self, rote: Rote) -> None:
        rote.monitored = 10_000
        master, slave = pty.openpty()
        with subprocess.Popen([*BGCAM, "watch", "--interval", "0.05"], stdout=slave, stderr=slave) as watcher:
            os.close(slave)
            seen = b""
            while seen.count(b"HD Webcam") < 3:
                seen += os.read(master, 10_000)
            watcher.send_signal(signal.SIGINT)
            while chunk := _read(master):
                seen += chunk
        os.close(master)
        assert watcher.returncode == 0
        assert b"A\r\x1b[J" in seen
        assert b"Traceback" not in seen

    def test_a_reader_that_leaves_ends_it_quietly(self, rote: Rote) -> None:
        rote.monitored = 10_000
        with subprocess.Popen(
            [*BGCAM, "watch", "--interval", "0.05"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as watcher:
            assert watcher.stdout is not None
            assert watcher.stderr is not None
            watcher.stdout.readline()
            watcher.stdout.close()
            assert watcher.stderr.read() == b""


def _read(fd: int) -> bytes:
    """What a terminal still says; empty once its program has gone."""
    try:
        return os.read(fd, 10_000)
    except OSError:
        return b""


class TestSnapshot:
    def test_saves_the_picture(self, rote: Rote, tmp_path: Path) -> None:
        assert bgcam("snapshot", tmp_path / "now.png").output == f"saved {tmp_path / 'now.png'}\n"
        assert (tmp_path / "now.png").read_bytes() == rote.png

    def test_replaces_a_file_only_when_told(self, rote: Rote, tmp_path: Path) -> None:
        (tmp_path / "now.png").write_text("precious")
        refused = bgcam("snapshot", tmp_path / "now.png")
        assert refused.exit_code == 73
        assert "--overwrite" in refused.stderr
        assert (tmp_path / "now.png").read_text() == "precious"
        assert bgcam("snapshot", tmp_path / "now.png", "--overwrite").exit_code == 0
        assert (tmp_path / "now.png").read_bytes() == rote.png

    def test_a_name_that_says_another_format_is_refused(self, rote: Rote, tmp_path: Path) -> None:
        refused = bgcam("snapshot", tmp_path / "now.jpg")
        assert refused.exit_code == 64
        assert "now.png" in refused.stderr

    def test_a_folder_that_is_not_there_is_told_and_nothing_is_left(self, rote: Rote, tmp_path: Path) -> None:
        assert bgcam("snapshot", tmp_path / "no" / "now.png").exit_code == 73
        assert not (tmp_path / "no").exists()


def test_pause_and_resume_reach_the_daemon(rote: Rote) -> None:
    assert "camera is off" in bgcam("pause").output
    assert "camera is on" in bgcam("resume").output
    assert [name for name, _ in rote.calls] == ["Pause", "Resume"]


def test_a_pause_may_have_a_text_a_picture_or_what_is_shown_now(rote: Rote, tmp_path: Path) -> None:
    (tmp_path / "back.jpg").write_bytes(b"a picture")
    bgcam("pause", "--text", "Back at ten\\nor so")
    bgcam("pause", "--picture", tmp_path / "back.jpg")
    bgcam("pause", "--freeze")
    assert [given for _, given in rote.calls] == [
        {"text": "Back at ten\nor so"},
        {"name": "back.jpg"},
        {"freeze": True},
    ]
    assert rote.sent == b"a picture"
    assert bgcam("pause", "--freeze", "--text", "x").exit_code == 64


def test_panic_is_one_call_without_a_choice(rote: Rote) -> None:
    assert "on air" in bgcam("panic").output
    assert rote.calls == [("Pause", {})]


def test_stop_returns_when_the_daemon_has_ended(tmp_path: Path) -> None:
    rote, path, ended = Rote(), tmp_path / "s.sock", []
    started = threading.Event()

    def serve() -> None:
        with listen(path) as listener:
            with Server(listener, Service([rote.interface()])):
                started.set()
                rote.stopped.wait(5)
            time.sleep(0.2)  # a camera to close
            ended.append(True)

    thread = threading.Thread(target=serve)
    thread.start()
    started.wait(5)
    stopped = bgcam("stop", "--socket", path)
    assert ended == [True]
    assert stopped.output == "bgcamd has stopped\n"
    thread.join()
