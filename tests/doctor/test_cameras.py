"""Cameras: what they can do, who may open them, who has them open, and how fast they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.doctor import cameras
from bgcamd.doctor.access import check_access
from bgcamd.doctor.cameras import check_cameras, count_rate
from bgcamd.doctor.fake import USER, FakeMachine
from bgcamd.doctor.finding import Finding, Level
from bgcamd.doctor.holders import Holder, find_holders, in_words, program_name
from bgcamd.doctor.machine import Person
from bgcamd.doctor.offers import Offer, offer_line, rate_text, read_offers, unread_line
from bgcamd.frame import PixelFormat, Size
from bgcamd.video.v4l2.camera import V4L2Camera
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel, FakeLoopback

Found = Callable[[Iterable[Finding]], dict[str, Finding]]


class TestCameras:
    def test_a_cameras_formats_are_told_with_their_rates(self, machine: FakeMachine) -> None:
        (finding,) = check_cameras(machine)
        assert finding.what == "HD Webcam (/dev/video0): MJPG 1280x720@30, YUYV 1280x720@10"
        assert finding.facts["formats"] == {
            "MJPG": ["1920x1080@30", "1280x720@30", "640x480@30"],
            "YUYV": ["1280x720@10", "640x480@30"],
        }

    def test_no_camera_is_turned_on_unless_asked(self, machine: FakeMachine, camera: FakeCamera) -> None:
        list(check_cameras(machine))
        assert camera.mappings == []

    def test_a_slow_one_is_worth_knowing(self, machine: FakeMachine, found: Found) -> None:
        machine.kernel = FakeKernel(FakeCamera({PixelFormat.YUYV: {Size(1280, 720): [10]}}))
        assert found(check_cameras(machine))["camera.rate"].level is Level.NOTE

    def test_who_has_it_open_is_named(self, machine: FakeMachine, found: Found) -> None:
        machine.start(4243, "zoom", "/dev/video0")
        finding = found(check_cameras(machine))["camera.holder"]
        assert (finding.level, finding.what) == (Level.NOTE, "/dev/video0 is open in zoom (pid 4243)")

    def test_bgcamd_itself_may_have_it(self, machine: FakeMachine, found: Found) -> None:
        machine.start(7, "bgcamd", "/dev/video0")
        assert found(check_cameras(machine))["camera.holder"].level is Level.OK

    @pytest.mark.parametrize(
        ("address", "level"), [("auto", Level.NOTE), ("v4l2:HD Webcam", Level.BROKEN), ("demo:", Level.OK)]
    )
    def test_none_at_all_is_as_bad_as_the_settings_make_it(
        self, machine: FakeMachine, address: str, level: Level
    ) -> None:
        machine.kernel = FakeKernel()
        machine.write("/etc/bgcamd/bgcamd.toml", f'[camera]\naddress = "{address}"\n')
        (finding,) = check_cameras(machine)
        assert (finding.check, finding.level) == ("camera.present", level)

    def test_one_that_somebody_has_is_not_measured(
        self, machine: FakeMachine, camera: FakeCamera, found: Found
    ) -> None:
        machine.start(4243, "zoom", "/dev/video0")
        assert "was not measured" in found(check_cameras(machine, measure=True))["camera.measured"].what
        assert camera.mappings == []

    def test_one_that_is_busy_unseen_is_told_so(self, machine: FakeMachine, camera: FakeCamera, found: Found) -> None:
        camera.busy = True
        assert "busy" in found(check_cameras(machine, measure=True))["camera.measured"].what

    def test_one_that_keeps_its_promise_half_is_worth_knowing(
        self, machine: FakeMachine, found: Found, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cameras, "count_rate", lambda _: 15.0)
        finding = found(check_cameras(machine, measure=True))["camera.measured"]
        assert finding.level is Level.NOTE
        assert finding.facts["measured_fps"] == 15.0
        assert finding.facts["told_fps"] == 30.0


def test_a_rate_is_counted_by_the_cameras_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCamera({PixelFormat.YUYV: {Size(64, 48): [30]}})
    monkeypatch.setattr(cameras, "_MEASURED_S", 0.5)
    start, done = time.monotonic_ns() - 1_000_000_000, threading.Event()
    with V4L2Camera(camera.node, kernel=FakeKernel(camera)) as source:

        def feed() -> None:  # 1000 a second by their stamps, whatever the true time between them
            stamp = start
            while not done.wait(0.005):
                camera.feed(bytes(64 * 48 * 2), timestamp_ns=stamp)
                stamp += 1_000_000

        feeding = threading.Thread(target=feed)
        feeding.start()
        try:
            assert count_rate(source) == pytest.approx(1000, rel=0.01)
        finally:
            done.set()
            feeding.join()


def test_a_camera_that_gives_nothing_has_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCamera({PixelFormat.YUYV: {Size(64, 48): [30]}})
    monkeypatch.setattr(cameras, "_FIRST_S", 0.05)
    with V4L2Camera(camera.node, kernel=FakeKernel(camera)) as source:
        assert count_rate(source) == 0


class TestOffers:
    def test_the_best_rate_of_each_size_the_largest_first(self, camera: FakeCamera) -> None:
        mjpg, yuyv = read_offers(FakeKernel(camera), camera.node)
        assert mjpg.sizes[0] == (Size(1920, 1080), Fraction(30))
        assert yuyv.sizes == ((Size(1280, 720), Fraction(10)), (Size(640, 480), Fraction(30)))

    def test_a_line_holds_few_sizes_and_the_usual_one_among_them(self) -> None:
        sizes = tuple((Size(n, n), Fraction(30)) for n in (4000, 3000, 2000, 1500, 1400))
        line = offer_line(Offer("MJPG", readable=True, sizes=(*sizes, (Size(1280, 720), Fraction(30000, 1001)))))
        assert line == "MJPG  4000x4000@30  3000x3000@30  2000x2000@30  1280x720@29.97  +2 more"

    def test_what_bgcamd_does_not_read_is_told_so(self) -> None:
        grey = Offer("GR\x1bY", readable=False, sizes=())
        assert list(unread_line([grey])) == ["GR?Y  (bgcamd does not read it)"]
        assert list(unread_line([grey] * 8, most=2)) == ["GR?Y, GR?Y and 6 more  (bgcamd does not read these)"]
        assert list(unread_line([])) == []

    @given(st.fractions(min_value=1, max_value=240))
    def test_a_rate_is_told_to_a_hundredth(self, rate: Fraction) -> None:
        assert abs(float(rate_text(rate)) - float(rate)) <= 0.0051


class TestHolders:
    def test_only_who_has_the_node_itself_open(self, machine: FakeMachine) -> None:
        machine.start(9, "zoom", "/dev/video0", "/dev/video0")
        machine.start(8, "cat", "/dev/video01", "socket:[1]")
        found = find_holders(machine.path("/proc"), {"/dev/video0"})
        assert found.by_node == {"/dev/video0": (Holder(9, "zoom"),)}
        assert found.complete

    def test_this_process_is_left_out(self, machine: FakeMachine) -> None:
        machine.start(9, "bgcam", "/dev/video0")
        machine.path("/proc/self").symlink_to("9")
        assert find_holders(machine.path("/proc"), {"/dev/video0"}).by_node == {}

    def test_a_process_that_may_not_be_looked_at_makes_it_incomplete(
        self, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine.start(9, "zoom", "/dev/video0")

        def denied(_: Path) -> None:
            raise PermissionError

        monkeypatch.setattr(Path, "iterdir", denied)  # which root is not denied
        assert not find_holders(machine.path("/proc"), {"/dev/video0"}).complete

    @pytest.mark.parametrize(
        ("comm", "command", "name"),
        [
            ("obs", ["/usr/bin/obs"], "obs"),
            ("python3", ["/usr/bin/python3", "-m", "bgcamd", "--camera", "demo:"], "bgcamd"),
            ("python3", ["python3", "-X", "dev", "-u", "/opt/x/cam.py"], "dev"),
            ("python3", ["python3", "-c", "pass"], "python3"),
            ("bgcamd", ["/opt/bgcamd/bin/python", "/opt/bgcamd/bin/bgcamd"], "bgcamd"),
            ("", [], "a program"),
        ],
    )
    def test_a_program_is_called_what_its_interpreter_runs(self, comm: str, command: list[str], name: str) -> None:
        assert program_name(comm, command) == name

    @given(st.text(), st.lists(st.text()))
    def test_any_command_line_has_a_name(self, comm: str, command: list[str]) -> None:
        assert isinstance(program_name(comm, command), str)

    @pytest.mark.parametrize(("count", "said"), [(0, ""), (1, "p (pid 0)"), (3, "p (pid 0), p (pid 1) and p (pid 2)")])
    def test_holders_in_words(self, count: int, said: str) -> None:
        assert in_words([Holder(pid, "p") for pid in range(count)]) == said


class TestAccess:
    def test_what_may_be_opened_is_fine(self, machine: FakeMachine) -> None:
        (finding,) = check_access(machine)
        assert finding.level is Level.OK

    def test_who_is_not_in_the_group_joins_it(self, machine: FakeMachine, camera: FakeCamera) -> None:
        camera.denied = True
        machine.people = [Person("ada", 1000, frozenset({"ada"}), frozenset({"ada"}))]
        (finding,) = check_access(machine)
        assert finding.level is Level.BROKEN
        assert finding.cure == "sudo usermod -aG video ada, then log in again"

    def test_who_joined_since_the_login_logs_in_again(self, machine: FakeMachine, camera: FakeCamera) -> None:
        camera.denied = True
        machine.people = [Person("ada", 1000, frozenset({"ada"}), frozenset({"ada", "video"}))]
        (finding,) = check_access(machine)
        assert "not before the next login" in finding.what
        assert "newgrp video" in finding.cure

    def test_a_node_that_udev_gave_to_nobody_is_given_anew(self, machine: FakeMachine, camera: FakeCamera) -> None:
        camera.denied = True
        machine.owners["/dev/video0"] = ("root", "root", 0o600)
        (finding,) = check_access(machine)
        assert finding.cure.startswith("sudo udevadm trigger")

    def test_in_a_container_it_is_started_with_the_device(self, machine: FakeMachine, camera: FakeCamera) -> None:
        camera.denied = True
        machine.owners["/dev/video0"] = ("root", "root", 0o600)
        machine.write("/run/.containerenv", "")
        (finding,) = check_access(machine)
        assert finding.cure == "start the container with --device /dev/video0 --group-add video"

    def test_the_services_user_belongs_to_the_group_too(self, machine: FakeMachine, found: Found) -> None:
        properties = ",".join(type(machine.unit).PROPERTIES)
        del machine.unit
        machine.answers[f"systemctl show bgcamd.service --property={properties}"] = "LoadState=loaded"
        machine.people = [USER, Person("bgcamd", 990, frozenset({"bgcamd"}), frozenset({"bgcamd"}))]
        assert found(check_access(machine))["access.service"].level is Level.NOTE

    def test_without_devices_there_is_nothing_to_say(self, machine: FakeMachine) -> None:
        machine.kernel = FakeKernel()
        assert list(check_access(machine)) == []


def test_a_virtual_camera_is_no_camera(machine: FakeMachine) -> None:
    machine.kernel = FakeKernel(FakeLoopback(held=True))
    (finding,) = check_cameras(machine)
    assert finding.check == "camera.present"
