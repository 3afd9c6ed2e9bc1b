"""Packets of a radar board: whatever the network does to them, every byte is where it belongs, or counted."""

import socket
import struct
from collections import Counter

import numpy as np
import pytest

from tests.recording_tools import take
from tools.multimodal.device import DEVICES, DeviceError
from tools.multimodal.radar_frames import HEAD, MOST_DATA, Frames, frame_bytes, packet, samples
from tools.multimodal.serial_port import Port
from tools.multimodal.simulated.board import LIGHT, Board, free_port
from tools.multimodal.simulated.body import CLOCK
from tools.multimodal.simulated.serial import Serial

SIZES = (MOST_DATA - 1, MOST_DATA, MOST_DATA + 1, 700, 16_384)  # of a frame, around that of a packet
TIMES = 40  # frames


def stream(size: int, times: int = TIMES) -> tuple[bytes, list[bytes]]:
    """Bytes of some frames, and the packets they come in."""
    data = np.random.default_rng(size).integers(0, 256, size * times, np.uint8).tobytes()
    starts = range(0, len(data), MOST_DATA)
    return data, [packet(number, at, data[at : at + MOST_DATA]) for number, at in enumerate(starts, 1)]


def received(size: int, packets: list[bytes]) -> tuple[dict[int, bytes], dict[int, int], Counter]:
    """Frames by number, their missing bytes, and what was counted."""
    frames, counts = Frames(size, Counter()), Counter()
    found = [frame for moment, one in enumerate(packets) for frame in frames.add(one, moment)]
    assert [one.index for one in found] == sorted({one.index for one in found})
    counts = +frames.counts
    return {one.index: bytes(one.data) for one in found}, {one.index: one.missing for one in found}, counts


@pytest.mark.parametrize("size", SIZES)
def test_frames_of_any_size_come_whole(size):
    """They begin and end inside packets."""
    data, packets = stream(size)
    found, missing, counts = received(size, packets)
    assert found == {k: data[k * size : (k + 1) * size] for k in range(TIMES)}  # the last ones, too
    assert not any(missing.values()) and not counts


@pytest.mark.parametrize("size", SIZES)
def test_late_and_doubled_packets_change_nothing(size):
    """A packet that comes after the next one, and one that comes twice."""
    data, packets = stream(size)
    packets[2:4] = packets[3], packets[2]
    packets.insert(3, packets[1])
    found, missing, counts = received(size, packets)
    assert all(found[k] == data[k * size : (k + 1) * size] for k in found) and not any(missing.values())
    assert counts["late packets"] == 1 and counts["doubled packets"] == 1 and not counts["lost packets"]


@pytest.mark.parametrize("size", SIZES)
def test_a_lost_packet_is_zeros_in_its_place_and_counted(size):
    """What comes after lies where it would lie anyway."""
    data, packets = stream(size)
    lost = packets.pop(2)
    found, missing, counts = received(size, packets)
    at = 2 * MOST_DATA
    without = bytearray(data)
    without[at : at + len(lost) - HEAD] = bytes(len(lost) - HEAD)
    assert found and all(found[k] == bytes(without[k * size : (k + 1) * size]) for k in found)
    assert counts["lost packets"] == 1
    whole_lost = sum(at <= k * size and (k + 1) * size <= at + MOST_DATA for k in range(TIMES))
    assert counts["lost frames"] == whole_lost and counts["filled bytes"] == sum(missing.values())
    assert sum(missing.values()) + whole_lost * size == MOST_DATA


def test_packets_before_the_first_one_that_came_are_lost():
    """The board sent before anybody listened: the count goes on from there."""
    data, packets = stream(4096, 12)
    found, _, counts = received(4096, packets[10:])
    assert min(found) == 3 and found[5] == data[5 * 4096 : 6 * 4096] and counts["lost packets"] == 10


@pytest.mark.parametrize("bad", [
    b"", b"\0" * HEAD, packet(0, 0, b"12"), packet(2, (1 << 48) - 1, b"12"), packet(1 << 31, 2000, b"12"),
    b"\xff" * 2000,
])  # fmt: skip
def test_what_no_board_sends_counts_as_stray(bad):
    """And moves nothing."""
    data, packets = stream(4096)
    found, missing, counts = received(4096, [packets[0], bad, *packets[1:]])
    assert all(found[k] == data[k * 4096 : (k + 1) * 4096] for k in found) and not any(missing.values())
    assert counts == {"stray packets": 1}


@pytest.mark.parametrize("order", ["IQ", "QI"])
def test_samples_are_where_the_board_puts_them(order):
    """Two lanes: I0 I1 Q0 Q1; and back."""
    array = np.random.default_rng(0).integers(-2000, 2000, (3, 4, 8, 2)).astype(np.int16)
    raw = np.frombuffer(frame_bytes(array, order), "<i2")
    assert raw[:4].tolist() == array[0, 0, :2, :: -1 if order == "QI" else 1].T.ravel().tolist()
    np.testing.assert_array_equal(samples(raw.tobytes(), 3, 4, 8, 2, order), array)


def test_four_lanes():
    """All receivers' I of a sample, then their Q."""
    raw = np.arange(2 * 3 * 2 * 4, dtype="<i2")
    found = samples(raw.tobytes(), 2, 4, 3, lanes=4)
    assert found[0, :, 0, 0].tolist() == [0, 1, 2, 3] and found[0, :, 0, 1].tolist() == [4, 5, 6, 7]


# --- The board ------------------------------------------------------------------------------------------------------


@pytest.fixture
def radar(monkeypatch):
    """A function that makes the driver and a board on the loopback; all end with the test."""
    made = []
    monkeypatch.setattr("tools.multimodal.devices.dca1000.ANSWER", 0.2)

    def make(network=None, deaf=False, **options):
        local = {"host": "127.0.0.1", "board": "127.0.0.1", "data_port": free_port(), "command_port": 0, "chirps": 2}
        device = DEVICES["dca1000"]({**local, "samples": 64, "frame_period_ms": 10.0, **options})
        board = Board({**device.options, **CLOCK, "ppm": 0.0}, network, deaf)
        device.options["board_port"] = board.port
        made.extend((device.stop, board.end))
        return device, board

    yield make
    for end in made:
        end()


def test_a_chest_at_a_known_distance_is_in_its_bin(radar):
    """0.8 m, with I and Q in the order that was set; times are frame numbers times the period."""
    device, board = radar(order="QI")
    device.open()
    device.start()
    found = take(device, 20)
    cube = np.array([one.data for one in found], float)
    spectrum = np.abs(np.fft.fft((cube[..., 0] + 1j * cube[..., 1]).mean((0, 1, 2)) * np.hanning(64)))
    spectrum[:3] = 0  # the offset
    chirp = device.describe()["files"]["chirp.json"]
    metres = LIGHT * chirp["sample_rate_hz"] / 64 / (2 * chirp["slope_hz_per_s"])
    assert abs(spectrum.argmax() * metres - 0.8) < metres
    assert [one.t_device_ns for one in found] == [10_000_000 * k for k in range(20)]
    assert board.heard[2] == (3, bytes([1, 2, 1, 2, 3, 30])) and board.heard[3] == (
        11,
        struct.pack("<HHH", 1472, 3125, 0),
    )


def test_a_network_that_loses_swaps_and_doubles_is_counted(radar):
    """Frames go on; what was filled is flagged with its bytes."""
    held = []

    def network(number, data):
        if number % 50 == 7:
            return ()
        if number % 50 == 20:
            held.append(data)
            return ()
        return (data, data) if number % 50 == 30 else (data, *(held.pop() for _ in held[:]))

    device, _ = radar(network)
    device.open()
    device.start()
    found = take(device, 60)
    counts = device.noted.counts
    assert min(counts[f"{kind} packets"] for kind in ("lost", "late", "doubled")) >= 2
    flagged = [flag for one in found for flag in one.flags]
    assert flagged and {flag.kind for flag in flagged} == {"filled"}
    assert sum(flag.amount for flag in flagged) <= counts["filled bytes"] <= counts["lost packets"] * MOST_DATA


def test_packets_of_strangers_are_not_data(radar):
    """Only the board's address counts."""
    device, _ = radar()
    device.open()
    device.options["board"] = "127.0.0.9"  # the board, in whose place another one sends
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(packet(1, 0, b"x" * 100), ("127.0.0.1", device.options["data_port"]))
        assert device.read() == [] and device.noted.counts["stray packets"] == 1


def test_a_board_that_does_not_answer_and_a_taken_port_are_sentences(radar):
    """And settings that cannot be."""
    device, _ = radar(deaf=True)
    with pytest.raises(DeviceError, match="does not answer command 9. Is it on"):
        device.open()
    other, _ = radar(data_port=device.options["data_port"])
    with pytest.raises(DeviceError, match="cannot be bound"):
        other.open()
    for wrong in ({"samples": 63}, {"order": "RI"}, {"lanes": 3}, {"frame_period_ms": 0.0}, {"cli": "/dev/x"}):
        with pytest.raises(ValueError, match="dca1000: "):
            DEVICES["dca1000"](wrong).open()


class Console(Serial):
    """The radar's own serial port: repeats each line and says Done, but to one line."""

    def __init__(self, refuses=b""):
        """One line that begins so is an error."""
        self.lines, self._refuses = [], refuses
        super().__init__(200.0)

    def hear(self, data):
        """Answer whole lines."""
        super().hear(data)
        while b"\n" in self.commands:
            line, _, rest = bytes(self.commands).partition(b"\n")
            self.commands = bytearray(rest)
            self.lines.append(line.decode())
            answer = b"Error -1\n" if self._refuses and line.startswith(self._refuses) else b"Done\nmmwDemo:/>"
            self._send(line + b"\n" + answer)

    def packet(self, t_ns, t_device_ns):
        """It says nothing of itself."""
        return b""


def test_the_radar_sends_only_after_everything_listens(radar, tmp_path):
    """Its lines in order, sensorStart at the very end and once; a line that is refused is named."""
    config = tmp_path / "profile.cfg"
    config.write_text("% a comment\nsensorStart\nflushCfg\nprofileCfg 0 77\n\n")
    for refuses, said in ((b"", ""), (b"profileCfg", "'profileCfg 0 77' was not done")):
        console = Console(refuses)
        device, board = radar(cli=console.path, config=str(config))
        device.open()
        if said:
            with pytest.raises(DeviceError, match=said):
                device.start()
        else:
            device.start()
            assert console.lines == ["flushCfg", "profileCfg 0 77", "sensorStart"] and board.heard[-1][0] == 5
        device.stop()
        console.end()


PROFILE = """% two chirps by turns of two transmitters, four receivers
flushCfg
dfeDataOutputMode 1
channelCfg 15 3 0
adcCfg 2 1
profileCfg 0 77 7 7 57.14 0 0 70 1 64 5000 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
chirpCfg 1 1 0 0 0 0 0 2
frameCfg 0 1 16 0 40 1 0
lvdsStreamCfg -1 0 1 0
sensorStart
"""
AS_PROFILE = {
    "chirps": 32, "rx": 4, "tx": 2, "samples": 64, "frame_period_ms": 40.0, "slope_mhz_per_us": 70.0,
    "chirp_period_us": 64.14,
}  # fmt: skip


def opened(radar, tmp_path, text, **options):
    """The driver, opened with a profile of this text."""
    (tmp_path / "profile.cfg").write_text(text)
    device, board = radar(cli="/dev/x", config=str(tmp_path / "profile.cfg"), **{**AS_PROFILE, **options})
    try:
        device.open()
    except ValueError:
        assert not board.heard
        raise
    return device


def test_a_profile_that_makes_the_frames_of_the_setup_is_taken(radar, tmp_path):
    """Nothing is said then."""
    assert not opened(radar, tmp_path, PROFILE).noted.events


@pytest.mark.parametrize(
    ("key", "set_to"),
    [("chirps", 16), ("samples", 128), ("rx", 2), ("tx", 1), ("frame_period_ms", 50.0), ("chirp_period_us", 100.0)],
)
def test_a_profile_that_makes_other_frames_is_refused_with_both_values(radar, tmp_path, key, set_to):
    """Before anything is asked of the board; what the message says mends it."""
    said = f"{key} is {set_to:g} in the setup and {AS_PROFILE[key]:g} there. Give the device {key}: {AS_PROFILE[key]:g}"
    with pytest.raises(ValueError, match=f"profile.cfg' makes other frames: {said}, or mend"):
        opened(radar, tmp_path, PROFILE, **{key: set_to})


@pytest.mark.parametrize(
    ("line", "other", "said"),
    [
        ("adcCfg 2 1", "adcCfg 2 0", "adcCfg with real samples"),
        ("adcCfg 2 1", "adcCfg 1 1", "adcCfg with other than 16 bits"),
        ("lvdsStreamCfg -1 0", "lvdsStreamCfg -1 1", "lvdsStreamCfg with headers"),
        ("frameCfg 0 1 16", "frameCfg 0 1 nan", "'frameCfg 0 1 nan 0 40 1 0', where numbers are needed"),
        ("channelCfg 15", "channelCfg all", "'channelCfg all 3 0', where numbers are needed"),
    ],
)
def test_a_profile_whose_data_cannot_be_read_is_refused(radar, tmp_path, line, other, said):
    """Real samples, headers among the samples, and what is no number."""
    with pytest.raises(ValueError, match=said):
        opened(radar, tmp_path, PROFILE.replace(line, other))


def test_profiles_of_other_chirps_are_not_compared(radar, tmp_path):
    """A second profile that no chirp of the frame uses."""
    assert opened(
        radar, tmp_path, PROFILE + "profileCfg 1 77 7 7 57.14 0 0 70 1 256 5000 0 0 30\nchirpCfg 5 5 1 0 0 0 0 4"
    )


def test_what_a_profile_does_not_say_is_an_event(radar, tmp_path):
    """Subframes, such as those of advFrameCfg, state their chirps elsewhere."""
    device = opened(radar, tmp_path, PROFILE.replace("frameCfg", "subFrameCfg"))
    assert [kind.split("does not say ")[1] for _, kind in device.noted.events] == [
        "chirps: taken as the setup has them"
    ]


def test_the_lines_of_the_radar_are_read_before_it_records(radar, tmp_path):
    """A file that is not there is said when the device is opened."""
    device, board = radar(cli="/dev/x", config=str(tmp_path / "profile.cfg"))
    with pytest.raises(FileNotFoundError, match="profile.cfg"):
        device.open()
    assert not board.heard


def test_a_port_that_is_none_is_a_sentence(tmp_path):
    """A file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="is it a serial port"):
        Port(str(tmp_path / "file"), 115200)
