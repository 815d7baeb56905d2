"""Packets of RTP, and the descriptions of them."""

from __future__ import annotations

import struct

import pytest
from stream_pictures import RATE, SIZE, picture

from bgcamd.video.stream.encoder import TICKS, Encoder, nal_units
from bgcamd.video.stream.packets import Packetizer, is_rtcp
from bgcamd.video.stream.sdp import description, expectation
from bgcamd.video.stream_address import CODECS, Rtp


def unpacked(packets: list[bytes]) -> list[bytes]:
    """The NAL units in packets of RTP: single, aggregated (STAP-A) or in fragments (FU-A), as RFC 6184 has them."""
    units: list[bytes] = []
    for packet in packets:
        payload = packet[12:]
        kind = payload[0] & 31
        if kind == 24:
            rest = payload[1:]
            while rest:
                length = int.from_bytes(rest[:2], "big")
                units.append(rest[2 : 2 + length])
                rest = rest[2 + length :]
        elif kind == 28:
            if payload[1] & 0x80:
                units.append(bytes((payload[0] & 0xE0 | payload[1] & 31,)))
            units[-1] += payload[2:]
        else:
            units.append(payload)
    return units


class TestPacketizer:
    def test_the_packets_hold_the_picture_and_the_last_says_so(self) -> None:
        encoder = Encoder(SIZE, RATE)
        with Packetizer(SIZE) as packetizer:
            for number in range(4):
                coded = encoder.encode(picture(number), key=number == 2)
                packets = [packet for packet in packetizer.packets(coded) if not is_rtcp(packet)]
                assert unpacked(packets) == nal_units(coded.data)
                assert [packet[1] >> 7 for packet in packets] == [0] * (len(packets) - 1) + [1]
                assert max(map(len, packets)) <= 1200

    def test_numbers_follow_each_other_from_the_announced_one_under_the_announced_source(self) -> None:
        encoder = Encoder(SIZE, RATE)
        with Packetizer(SIZE) as packetizer:
            first, numbers = packetizer.next_number, []
            for number in range(5):
                for packet in packetizer.packets(encoder.encode(picture(number))):
                    if not is_rtcp(packet):
                        assert struct.unpack(">I", packet[8:12])[0] == packetizer.ssrc
                        numbers.append(struct.unpack(">H", packet[2:4])[0])
                assert packetizer.next_number == (numbers[-1] + 1) & 0xFFFF
        assert numbers == [(first + count) & 0xFFFF for count in range(len(numbers))]

    def test_the_first_report_ties_the_pictures_time_to_the_time_of_day(self) -> None:
        coded = Encoder(SIZE, RATE).encode(picture(0))
        with Packetizer(SIZE) as packetizer:
            report, *packets = packetizer.packets(coded)
        assert is_rtcp(report)
        stamps = [struct.unpack(">I", field)[0] for field in (report[16:20], packets[0][4:8])]
        apart = (stamps[0] - stamps[1] + 2**31) % 2**32 - 2**31
        assert abs(apart) < 10 * TICKS  # the report is of now, to the millisecond; the picture of a moment ago


def test_what_receivers_are_told_are_the_encoders_own_parameters() -> None:
    text = description("192.168.1.7", 5004, parameters=(b"\x67\x42\xc0\x1f\xda", b"\x68\xce"), rate=RATE)
    assert "c=IN IP4 192.168.1.7\r\n" in text
    assert "m=video 5004 RTP/AVP 96\r\n" in text
    assert "profile-level-id=42C01F;sprop-parameter-sets=Z0LAH9o=,aM4=\r\n" in text
    assert "a=control" not in text


@pytest.mark.parametrize("codec", CODECS)
def test_what_arrives_is_expected_at_the_address_only(codec: str) -> None:
    text = expectation(Rtp("::1", 5004, listens=True, codec=codec))
    assert "c=IN IP6 ::1\r\n" in text
    assert "a=rtpmap:" in text
