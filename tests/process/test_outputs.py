"""What the user may name as OUTPUT, and what several outputs do together."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
import pytest

from bgcamd.errors import OutputError, SinkError, UsageError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.live.outputs import OutputPlan, Outputs
from bgcamd.process.outputs import Fan, parse_targets
from bgcamd.protocols import Command, Sink
from bgcamd.video.address import Display, Loopback, Null, Served


def test_files_keep_the_slash_that_makes_them_directories_and_live_outputs_are_told_apart() -> None:
    targets = parse_targets(["out/", "a.mp4", "file:///tmp/x%20y/", "display://0", "webrtc://@:8554/output", "auto"])
    assert targets.files == ("out/", "a.mp4", "/tmp/x y/")
    assert targets.live == (Display(0), Served("webrtc", "127.0.0.1", 8554, "output"), Loopback())


@pytest.mark.parametrize(
    ("texts", "yuv"),
    [(["a.png"], False), (["out/", "a.mp4"], True), (["null:"], True), (["a.png", "b_%03d.jpg"], False)],
)
def test_pictures_alone_are_worked_on_in_full_colour(texts: list[str], yuv: bool) -> None:
    assert parse_targets(texts).yuv is yuv


@pytest.mark.parametrize(
    ("texts", "error", "said"),
    [
        (["preview:"], UsageError, "the daemon's page"),
        (["a.xyz"], OutputError, "unknown kind"),
        (["gopher://x"], UsageError, "no gopher:"),
        (["a.png", "a.png"], UsageError, "named twice"),
        (["rtp://@:5004"], UsageError, "name who gets"),
    ],
)
def test_an_output_that_makes_no_sense_is_refused(texts: list[str], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        parse_targets(texts)


def test_what_can_be_transparent() -> None:
    parse_targets(["a.png", "b.webm", "out/"]).check_alpha()
    parse_targets(["null:"]).check_alpha()  # black, live
    with pytest.raises(OutputError, match=r"b\.mp4 can't be transparent"):
        parse_targets(["a.png", "b.mp4"]).check_alpha()
    with pytest.raises(UsageError, match=r"null: can't be transparent, a\.png would be"):
        parse_targets(["a.png", "null:"]).check_alpha()


class Collector:
    """A sink that counts, and fails when told to."""

    name = "collector"

    def __init__(self, failing: str = "") -> None:
        self.failing, self.written, self.ended = failing, 0, ""

    def write(self, frame: Frame) -> None:
        if self.failing:
            raise SinkError(self.failing)
        self.written += 1

    def commands(self) -> list[Command]:
        return [Command.MIRROR]

    def __enter__(self) -> Collector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended = "discarded" if kind else "completed"


FRAME = Frame(tuple(np.zeros(shape, np.uint8) for shape in ((2, 2), (1, 1), (1, 1))), PixelFormat.I420, Size(2, 2))


def test_every_output_gets_every_frame_and_a_live_one_that_fails_stops_none() -> None:
    files, good, bad = Collector(), Collector(), Collector("gone")
    plans = [OutputPlan("bad", lambda: bad), OutputPlan("good", lambda: good)]
    with Fan([files], Outputs(plans)) as fan:
        fan.write(FRAME)
        fan.write(FRAME)
        assert fan.commands() == [Command.MIRROR]
    assert (files.written, good.written, bad.written) == (2, 2, 0)
    assert (files.ended, good.ended) == ("completed", "completed")


def test_a_live_output_that_is_not_there_at_first_is_an_error_before_any_file_is_begun(tmp_path: Path) -> None:
    def missing() -> Sink:
        raise SinkError("no screen")

    files = Collector()
    with pytest.raises(SinkError, match="no screen"), Fan([files], Outputs([OutputPlan("x", missing)])):
        pass
    assert files.ended == ""


def test_an_exception_discards_the_files() -> None:
    files = Collector()
    with pytest.raises(KeyboardInterrupt), Fan([files], Outputs([OutputPlan(str(Null()), Collector)])):
        raise KeyboardInterrupt
    assert files.ended == "discarded"
