"""What files state of themselves is judged before it takes memory or opens another file, by both decoders alike."""

import os
import struct
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from unittest import mock

import av
import cv2
import numpy as np
import pytest

from dataset.files.frames import VideoError
from dataset.files.image_size import image_size
from dataset.files.images import iter_images
from dataset.files.limits import MOST_PIXELS, most_pixels
from dataset.files.opencv import OPENCV_OPTIONS
from dataset.files.video import DECODERS, iter_frames
from tests.damage_run import limited
from tests.damage_videos import jpeg, jpeg_in_avi
from tests.video_tools import moving_face, write_video


def read(path, decoder):
    """All frames of a video as arrays."""
    return [frame.rgb() for frame in iter_frames(path, decoder)]


# --- What a stream states later --------------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("first", [0, 5])
def test_a_picture_larger_than_its_header_is_refused_before_it_takes_memory(tmp_path, decoder, first):
    """A header of 160 x 120, pictures of 81 million pixels: refused in 200 MB, where one of them alone takes more."""
    path = tmp_path / "bomb.avi"
    path.write_bytes(jpeg_in_avi([jpeg(160, 120)] * first + [jpeg(9000, 9000)] * 3))
    with limited(growth=100_000_000), pytest.raises(VideoError, match="bomb.avi.*more than 33554432 pixels.*again"):
        read(path, decoder)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_change_of_size_is_refused_by_name(tmp_path, decoder):
    """A box would cut something else out of the later pictures."""
    path = tmp_path / "turned.avi"
    path.write_bytes(jpeg_in_avi([jpeg(160, 120)] * 5 + [jpeg(120, 160)] * 5))
    with pytest.raises(VideoError, match="turned.avi' has a picture of 120 x 160 after those of 160 x 120.*ffmpeg"):
        read(path, decoder)


def test_pictures_of_a_folder_have_one_size(tmp_path):
    """The first that differs is named, when its pixels are asked for."""
    for name, size in (("1.jpg", (64, 48)), ("2.jpg", (64, 48)), ("3.jpg", (48, 64))):
        (tmp_path / name).write_bytes(jpeg(*size))
    frames = list(iter_images([tmp_path / name for name in ("1.jpg", "2.jpg", "3.jpg")]))
    assert frames[0].shape == frames[1].shape
    with pytest.raises(VideoError, match="3.jpg' has a picture of 48 x 64 after those of 64 x 48"):
        frames[2].rgb()


@pytest.mark.parametrize("padding", [0, 5000])
def test_a_playlist_before_a_stream_opens_no_other_file(tmp_path, padding):
    """PyAV finds the stream behind it; so does OpenCV, or it refuses what its FFmpeg takes for a playlist."""
    other = write_video(tmp_path / "other.ts", moving_face(4, 96, 72), "h264")
    whole = write_video(tmp_path / "whole.ts", moving_face(8, 160, 120), "h264").read_bytes()
    text = f"#EXTM3U\n#{'x' * padding}\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:{other}\n#EXT-X-ENDLIST\n"
    path = tmp_path / "both.ts"
    path.write_bytes(text.encode() + whole)
    assert [frame.shape for frame in read(path, "pyav")] == [(120, 160, 3)] * 8
    try:
        assert [frame.shape for frame in read(path, "opencv")] == [(120, 160, 3)] * 8
    except VideoError as error:
        assert "both.ts' cannot be opened by OpenCV" in str(error)
    (tmp_path / "good.ts").write_bytes(whole)
    assert len(read(tmp_path / "good.ts", "opencv")) == 8


def test_the_environment_stays_as_it_was(tmp_path, monkeypatch):
    """OpenCV takes its options from there: set for each opening alone, after the user's own."""
    path = write_video(tmp_path / "a.mp4", moving_face(4, 96, 72), "h264")
    monkeypatch.delenv(OPENCV_OPTIONS, raising=False)
    assert len(read(path, "opencv")) == 4 and OPENCV_OPTIONS not in os.environ
    monkeypatch.setenv(OPENCV_OPTIONS, "format_whitelist;nothing")
    assert len(read(path, "opencv")) == 4 and os.environ[OPENCV_OPTIONS] == "format_whitelist;nothing"


def test_files_opened_at_once_keep_their_limits(tmp_path):
    """Eight threads, each of which reads a file and a playlist."""
    path = write_video(tmp_path / "a.mp4", moving_face(4, 96, 72), "h264")

    def both(_: int) -> int:
        return len(read(path, "opencv"))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(both, range(24))) == [4] * 24
    assert OPENCV_OPTIONS not in os.environ


@pytest.mark.parametrize("alone", [True, False])
def test_an_attached_picture_is_no_video(tmp_path, alone):
    """A song with a cover has none; a video with one is read."""
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=30)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        other = container.add_stream("aac", rate=8000) if alone else container.add_stream("libx264", rate=30)
        if not alone:
            other.width, other.height, other.pix_fmt = 160, 120, "yuv420p"
        packet = av.Packet(jpeg(64, 48))
        packet.stream, packet.pts, packet.dts, packet.time_base = cover, 0, 0, Fraction(1, 30)
        container.mux(packet)
        for face in moving_face(6, 160, 120):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            sound.rate = 8000
            container.mux(other.encode(sound if alone else av.VideoFrame.from_ndarray(face, "rgb24")))
        container.mux(other.encode())
    if alone:
        for decoder in DECODERS:
            with pytest.raises(VideoError, match="song.mp4' has no video stream, only a picture that is attached"):
                read(path, decoder)
    else:
        assert [frame.shape for frame in read(path, "pyav")] == [(120, 160, 3)] * 6


def test_many_references_of_large_pictures_are_judged_together():
    """A decoder of H.264 may keep 16 pictures: 8K in 8 bits still fits, more bits have to be fewer pixels."""
    codec = mock.Mock(format=av.VideoFormat("yuv420p"))
    codec.name = "h264"
    assert most_pixels(codec) >= 7680 * 4320
    codec.format = av.VideoFormat("yuv444p10le")
    assert 3840 * 2160 <= most_pixels(codec) < 7680 * 4320
    codec.name = "ffv1"
    assert most_pixels(codec) == MOST_PIXELS


# --- Sizes in headers of pictures ------------------------------------------------------------------------------------


def tiff(*tags: tuple[int, int]) -> bytes:
    """The header of a TIFF file with these (tag, value) as numbers of four bytes."""
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4)


@pytest.mark.parametrize(
    ("tags", "size"),
    [
        ([(256, 100), (257, 80)], (100, 80)),
        ([(256, 32000), (256, 100), (257, 32000), (257, 100)], None),
        ([(256, 100), (256, 32000), (257, 100)], None),
        ([(256, 100), (257, 80), (322, 30000), (323, 30000)], (30000, 30000)),
        ([(256, 100), (257, 80), (258, 64), (277, 3)], None),
        ([(256, 100)], None),
    ],
)
def test_tags_of_tiff_that_repeat_are_no_size(tags, size):
    """The decoder might take the other one; tiles are held as well as pictures."""
    assert image_size(tiff(*tags)) == size


def test_markers_of_jpeg_without_a_length_are_stepped_over():
    """As the decoder does, which would find the size right behind one."""
    content = jpeg(64, 48)
    at = content.index(b"\xff\xc0")
    assert image_size(content) == (64, 48)
    assert image_size(content[:at] + b"\xff\xd0" + content[at:]) == (64, 48)
    assert image_size(content[:at] + b"\xff\xd8" + content[at:]) is None
    assert image_size(content[:at] + b"\xff\xd9" + content[at:]) is None
    assert image_size(content[:at]) is None and image_size(content[: at + 3]) is None


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tiff", ".webp"])
def test_sizes_are_those_of_the_decoded_picture(ending):
    """Whatever OpenCV writes."""
    for width, height in ((64, 48), (31, 17)):
        picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
        assert image_size(cv2.imencode(ending, picture)[1].tobytes()) == (width, height)
