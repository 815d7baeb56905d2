"""What a report holds, and what it never does."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.doctor.examine import Diagnosis
from bgcamd.doctor.fake import FakeMachine
from bgcamd.doctor.finding import broken
from bgcamd.doctor.machine import Answer
from bgcamd.doctor.redaction import Redaction
from bgcamd.doctor.report import gather, pack
from bgcamd.errors import OutputError

Answering = Callable[..., None]
SECRET = "Zx9-abcdefghijklmnopqr"
REDACT = Redaction(frozenset({"ada"}), frozenset({"enigma"}), frozenset({"/srv/ada"}), frozenset({SECRET}))
JOURNAL = "--unit bgcamd --since=-1h --no-pager --quiet --output=short-iso --lines=3000"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rtsp://bob:pw@10.0.0.5:554/cam?token=1", "rtsp://HOST:554/…"),
        ("rtsp://bob:p/w@cam/x", "rtsp://HOST/…"),
        ("'rtsp://u:p'w@cam/x'", "'rtsp://HOST/…"),
        (f"open http://127.0.0.1:8080/{SECRET}/ in a browser", "open http://127.0.0.1:8080/… in a browser"),
        (f"the secret {SECRET} alone", "the secret SECRET alone"),
        ("webrtc://@0.0.0.0:8554/ada", "webrtc://@0.0.0.0:8554/…"),
        ("rtp://@:5004?codec=vp8", "rtp://@:5004?codec=vp8"),
        ("v4l2:///dev/video0", "v4l2:///dev/video0"),
        ("file:///home/ada/x.mp4", "file:///…"),
        ("/home/bob/.config/bgcamd.toml is valid", "~/.config/bgcamd.toml is valid"),
        ("/srv/ada/x and /srv/adam/x", "~/x and /srv/adam/x"),
        ("/home/ada/My Pictures/us two.jpg is no picture", "….jpg is no picture"),
        ('replace = "beach party.PNG"', 'replace = "….PNG"'),
        ("us.webp, mirrored", "….webp, mirrored"),
        ("/dev/v4l/by-id/usb-046d_C920_4711-video-index0", "/dev/v4l/by-id/…"),
        ("enigma bgcamd[1]: user ada, not adam", "HOST bgcamd[1]: user USER, not adam"),
    ],
)
def test_what_is_nobodys_business_is_taken_out(text: str, told: str) -> None:
    assert REDACT(text) == told


@given(st.text())
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    once = REDACT(text)
    assert REDACT(once) == once


@given(
    st.sampled_from(["rtsp", "rtsps", "http", "https", "rtp"]),
    st.text("abcXYZ0189-_.~%!$&()*+,;=", min_size=4, max_size=20),
    st.text("abcXYZ0189-_.~%!$&()*+,;=/?@:", max_size=30),
)
def test_no_password_gets_out(scheme: str, password: str, rest: str) -> None:
    told = REDACT(f'address = "{scheme}://me:Q{password}Q@camera.example:554/{rest}"')
    assert f"Q{password}Q" not in told
    assert "camera.example" not in told


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_texts_within_lists_and_tables_are_taken_care_of_and_the_shape_stays(value: object) -> None:
    told = REDACT.within({"outer": [value, "enigma"]})
    assert isinstance(told, dict)
    assert told["outer"][1] == "HOST"
    json.dumps(told)


@pytest.fixture
def diagnosis() -> Diagnosis:
    finding = broken(check="a.b", what="ada may not open /home/ada/x", cure="sudo usermod -aG video ada")
    return Diagnosis((finding,), "Debian 12", "6.1", "", complete=True, took_s=0.1)


class TestGather:
    def test_it_holds_what_it_should(self, machine: FakeMachine, diagnosis: Diagnosis) -> None:
        files = gather(machine, diagnosis)
        assert list(files) == [
            *("doctor.txt", "doctor.json", "status.json", "settings.toml", "versions.txt", "log.txt")
        ]
        assert json.loads(files["doctor.json"])["findings"][0]["what"] == "USER may not open ~/x"
        assert json.loads(files["status.json"])["daemon"] == "absent"
        assert "\nnumpy " in files["versions.txt"]

    def test_the_name_of_a_picture_and_the_secret_of_a_page_are_not_in_it(
        self, machine: FakeMachine, diagnosis: Diagnosis, answering: Answering
    ) -> None:
        machine.write("/var/lib/state/secret", SECRET)
        scene = {"background": "picture", "name": "our bedroom"}
        answering(state="live", scene=scene, page=f"http://127.0.0.1:9/{SECRET}/", note=SECRET)
        files = gather(machine, diagnosis)
        assert json.loads(files["status.json"])["state"] == "live"
        assert not [name for name, text in files.items() if SECRET in text or "bedroom" in text]

    def test_of_the_settings_comments_and_passwords_are_left_out(
        self, machine: FakeMachine, diagnosis: Diagnosis
    ) -> None:
        machine.write("/etc/bgcamd/bgcamd.toml", '# my pin is 1234\n[camera]\naddress = "rtsp://a:b@c/d"\n')
        assert gather(machine, diagnosis)["settings.toml"].splitlines()[1:] == [
            "[camera]",
            'address = "rtsp://HOST/…"',
        ]

    def test_the_log_of_service_and_user_is_in_it_without_names(
        self, machine: FakeMachine, diagnosis: Diagnosis
    ) -> None:
        machine.write("/proc/sys/kernel/hostname", "enigma")
        machine.answers[f"journalctl {JOURNAL}"] = "2026-01-01T10:00:00 enigma bgcamd[1]: live"
        machine.answers[f"journalctl --user {JOURNAL}"] = "2026-01-01T10:00:01 enigma bgcamd[2]: /home/ada/x"
        assert gather(machine, diagnosis)["log.txt"] == (
            "2026-01-01T10:00:00 HOST bgcamd[1]: live\n2026-01-01T10:00:01 HOST bgcamd[2]: ~/x\n"
        )

    @pytest.mark.parametrize("answer", [None, Answer(1, "No journal files were opened"), Answer(0, "")])
    def test_a_log_that_may_not_be_read_is_told_so(
        self, machine: FakeMachine, diagnosis: Diagnosis, answer: Answer | None
    ) -> None:
        if answer is not None:
            machine.answers[f"journalctl {JOURNAL}"] = answer
        assert "nothing of bgcamd" in gather(machine, diagnosis)["log.txt"]


class TestPack:
    def test_everything_is_in_one_folder_and_nobody_owns_it(self, tmp_path: Path) -> None:
        size = pack({"a.txt": "ä", "b.txt": "b"}, tmp_path / "r.tar.gz", "r", 1_700_000_000)
        assert size == (tmp_path / "r.tar.gz").stat().st_size
        with tarfile.open(tmp_path / "r.tar.gz") as archive:
            assert archive.getnames() == ["r/a.txt", "r/b.txt"]
            member = archive.getmember("r/a.txt")
            content = archive.extractfile(member)
            assert content is not None
            assert content.read().decode() == "ä"
            assert (member.uid, member.uname, member.gname) == (0, "", "")

    def test_what_is_there_is_not_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "r.tar.gz").write_text("mine")
        with pytest.raises(OutputError):
            pack({"a": "a"}, tmp_path / "r.tar.gz", "r", 0)
        assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
