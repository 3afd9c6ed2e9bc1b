"""Decoding: the same pixels wherever one looks, real times, and no damaged file that passes for a whole one."""

import io
import os

import av
import cv2
import numpy as np
import pytest

from dataset.files.arrays import iter_array
from dataset.files.decoding import decoding
from dataset.files.frames import ArrayFrame, VideoError, as_frame
from dataset.files.images import iter_images
from dataset.files.opencv import is_bottom_up_raw_avi
from dataset.files.planes import turned_back
from dataset.files.video import frame_count, iter_frames
from tests.damage_arrays import shaped
from tests.damage_pictures import png
from tests.damage_videos import strf
from tests.video_tools import BOTTOM_UP_ABORTS, CODECS, cut_file, moving_face, write_video

ENDINGS = {"mjpg": ".avi", "mjpg420": ".avi", "h264": ".mp4", "raw": ".avi", "raw_top_down": ".avi"}
ALL = [*CODECS, "raw", "raw_top_down"]


def file_of(folder, codec, **more):
    """A short video of this codec."""
    return write_video(folder / f"video{ENDINGS.get(codec, '.mkv')}", moving_face(4), codec, **more)


@pytest.mark.parametrize("codec", ALL)
def test_a_cut_has_the_pixels_of_the_whole_frame(tmp_path, codec):
    """`rgb(box)` equals the whole converted frame, cut: for boxes on and off the chroma grid, at borders, one pixel."""
    rng = np.random.default_rng(0)
    for frame in iter_frames(file_of(tmp_path, codec)):
        whole = frame.rgb()
        height, width = frame.shape
        assert whole.shape == (height, width, 3)
        boxes = [(0, 0, width, height), (width - 1, height - 1, 1, 1), (1, 1, 3, 3)]
        for _ in range(20):
            w, h = rng.integers(1, 200, 2)
            boxes.append((int(rng.integers(0, width - w)), int(rng.integers(0, height - h)), int(w), int(h)))
        for x, y, w, h in boxes:
            np.testing.assert_array_equal(frame.rgb((x, y, w, h)), whole[y : y + h, x : x + w])


@pytest.mark.parametrize("size", [(321, 240), (320, 241), (323, 243)])
def test_odd_frame_sizes_are_cut_exactly(tmp_path, size):
    """Frames whose size is no multiple of the chroma grid give the same pixels, too."""
    path = write_video(tmp_path / "odd.mkv", moving_face(1, *size), "ffv1")
    frame = next(iter_frames(path))
    np.testing.assert_array_equal(frame.rgb((101, 51, 77, 63)), frame.rgb()[51:114, 101:178])


@pytest.mark.parametrize("codec", ["mjpg", "h264", "ffv1", "raw", "raw_top_down"])
def test_both_decoders_give_the_same_pixels_and_times(tmp_path, codec):
    """OpenCV and PyAV agree on every pixel."""
    if codec == "raw" and BOTTOM_UP_ABORTS:
        pytest.skip("this OpenCV ends the process on such files, which are refused (see below)")
    path = file_of(tmp_path, codec)
    ours, theirs = list(iter_frames(path, "pyav")), list(iter_frames(path, "opencv"))
    assert len(ours) == len(theirs) == 4
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.rgb(), other.rgb())
        np.testing.assert_array_equal(other.rgb((3, 5, 40, 30)), one.rgb((3, 5, 40, 30)))
        assert one.time == pytest.approx(other.time, abs=2e-3)


@pytest.mark.parametrize("codec", ["raw", "raw_top_down", "ffv1_rgb"])
def test_lossless_files_give_the_frames_that_were_written(tmp_path, codec):
    """Uncompressed AVI in both row orders and lossless RGB come back bit for bit."""
    for frame, written in zip(iter_frames(file_of(tmp_path, codec)), moving_face(4), strict=True):
        np.testing.assert_array_equal(frame.rgb(), written)


def test_times_are_those_of_the_container(tmp_path):
    """A video of varying rate keeps its frame times, counted from the first frame."""
    times = np.array([0.5, 0.533, 0.6, 0.7, 0.733, 1.0])
    path = write_video(tmp_path / "vfr.mkv", moving_face(6), "ffv1", times=times)
    np.testing.assert_allclose([frame.time for frame in iter_frames(path)], times - 0.5, atol=1.1e-3)


@pytest.mark.parametrize("codec", ["mjpg", "h264", "ffv1", "raw", "raw_top_down"])
@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_a_truncated_file_is_an_error(tmp_path, codec, decoder):
    """Half a file never passes for a shorter video; the error names it."""
    path = write_video(tmp_path / f"half{ENDINGS.get(codec, '.mkv')}", moving_face(60, 64, 48), codec)
    if codec == "ffv1" and decoder == "opencv":
        pytest.skip("Matroska states no frame count, and OpenCV hides the rest")
    cut_file(path, 0.5)
    with pytest.raises(VideoError, match=path.name):
        list(iter_frames(path, decoder))


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("content", [b"", b"this is no video\n" * 100, b"RIFF\x00\x00\x00\x00AVI LIST", b"\x00" * 5000])
def test_what_is_no_video_is_an_error_that_names_the_file(tmp_path, content, decoder):
    """Empty files, text and bare headers raise VideoError."""
    path = tmp_path / "broken.avi"
    path.write_bytes(content)
    with pytest.raises(VideoError, match="broken.avi.*(Copy|DECODER)"):
        list(iter_frames(path, decoder))


def test_a_missing_file_and_an_unknown_decoder_are_errors(tmp_path):
    """Both are said before the first frame is asked for."""
    with pytest.raises(VideoError, match="does not exist"):
        iter_frames(tmp_path / "none.avi")
    with pytest.raises(VideoError, match="Known: pyav, opencv"):
        iter_frames(tmp_path / "none.avi", "gstreamer")


def test_a_sound_file_has_no_video(tmp_path):
    """A container without a video stream is said to be one."""
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(VideoError, match="no video stream"):
        list(iter_frames(tmp_path / "sound.wav"))


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("ending", [".avi", ".mp4", ".mkv"])
def test_a_list_of_files_is_no_video(tmp_path, ending, decoder):
    """FFmpeg knows a playlist by its content and would show the frames of another file, or of a server, as these."""
    good = write_video(tmp_path / "good.ts", moving_face(4), "h264")
    for text in (
        f"ffconcat version 1.0\nfile {good.name}\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{good}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/good.ts\n#EXT-X-ENDLIST\n",
    ):
        path = tmp_path / f"video{ending}"
        path.write_text(text)
        with pytest.raises(VideoError, match="video.*again"):
            list(iter_frames(path, decoder))


def test_names_that_look_like_addresses_are_files(tmp_path, monkeypatch):
    """A colon in a name is not a protocol."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "video.avi", moving_face(4)).rename(tmp_path / "concat:a|b.avi")
    assert len(list(iter_frames("concat:a|b.avi"))) == 4


def test_what_is_no_file_does_not_block(tmp_path):
    """A pipe, a folder and an endless device in place of a video or picture."""
    os.mkfifo(tmp_path / "pipe.avi")
    (tmp_path / "folder.avi").mkdir()
    (tmp_path / "endless.avi").symlink_to("/dev/zero")
    for name in ("pipe.avi", "folder.avi", "endless.avi"):
        with pytest.raises(VideoError, match=f"{name}' is a .* and not a file"):
            iter_frames(tmp_path / name)
        with pytest.raises(VideoError, match=f"{name}' is a .* and not a file"):
            next(iter_images([tmp_path / name])).rgb()


def test_pictures_that_would_fill_the_memory_are_refused(tmp_path):
    """By their headers: a PNG of 50 kB that inflates to 1.2 GB, a video and an array that state 10^10 pixels."""
    (tmp_path / "bomb.png").write_bytes(png(20000, 20000))
    with pytest.raises(VideoError, match="bomb.png' states a picture of 20000 x 20000"):
        next(iter_images([tmp_path / "bomb.png"])).rgb()
    path = file_of(tmp_path, "raw")
    path.write_bytes(strf("<ii", 4, 16000, 16000)(path.read_bytes()))
    for decoder in ("pyav", "opencv"):
        with pytest.raises(VideoError, match="video.avi"):
            list(iter_frames(path, decoder))
    np.save(tmp_path / "a.npy", np.broadcast_to(np.uint8(0), (1, 1, 1, 3)))
    with open(tmp_path / "a.npy", "r+b") as file:
        file.write(shaped("(1, 100000, 100000, 3)")(b""))
        file.truncate(3 * 10**10 + 4096)
    with pytest.raises(VideoError, match="a.npy' states a picture of 100000 x 100000"):
        list(iter_array(tmp_path / "a.npy"))


def test_an_archive_is_no_array(tmp_path):
    """NumPy opens any zip file, whatever it is called."""
    with open(tmp_path / "a.npy", "wb") as file:
        np.savez(file, np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.raises(VideoError, match="a.npy"):
        list(iter_array(tmp_path / "a.npy"))


def test_damage_inside_a_file_is_noticed(tmp_path):
    """Flipped bytes in H.264 data are an error, or counted where only few frames suffer."""
    path = write_video(tmp_path / "bad.mp4", moving_face(60), "h264")
    content = bytearray(path.read_bytes())
    for at in np.random.default_rng(1).integers(len(content) // 4, len(content) // 2, 40):
        content[at] ^= 255
    path.write_bytes(content)
    with decoding() as state:
        try:
            list(iter_frames(path))
        except VideoError as error:
            assert "bad.mp4" in str(error)
        else:
            assert state.notes.get("corrupt_frames", 0) > 0


def test_the_decoder_of_the_run_reaches_the_loaders(tmp_path):
    """Inside `decoding(...)`, `iter_frames(path)` uses that decoder, and the one before afterwards."""
    path = file_of(tmp_path, "mjpg")
    with decoding("opencv"):
        assert isinstance(next(iter_frames(path)), ArrayFrame)
    assert not isinstance(next(iter_frames(path)), ArrayFrame)


def test_bottom_up_files_are_recognised_by_their_header(tmp_path):
    """Only the uncompressed AVI with rows from the bottom up is one that newer OpenCV releases crash on."""
    assert is_bottom_up_raw_avi(file_of(tmp_path / "a", "raw"))
    assert not is_bottom_up_raw_avi(file_of(tmp_path / "b", "raw_top_down"))
    assert not is_bottom_up_raw_avi(file_of(tmp_path / "c", "mjpg"))


@pytest.mark.parametrize("version", ["4.13.0", "4.14.0-dev"])
def test_newer_opencv_refuses_bottom_up_files(tmp_path, monkeypatch, version):
    """Instead of a crash of the process there is an error that names the other decoder."""
    monkeypatch.setattr(cv2, "__version__", version)
    with pytest.raises(VideoError, match="DECODER: pyav"):
        list(iter_frames(file_of(tmp_path, "raw"), "opencv"))


@pytest.mark.parametrize("ending", [".flv", ".ts"])
def test_streams_may_appear_after_the_header(tmp_path, ending):
    """Such containers, opened with options for their streams, end the process in releases of PyAV before 17."""
    path = write_video(tmp_path / f"video{ending}", moving_face(4), "h264")
    assert len(list(iter_frames(path))) == 4 and frame_count(path) is None


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_tags_in_an_old_encoding_do_not_matter(tmp_path, decoder):
    """The program that wrote a file may call itself in Latin-1; no version of PyAV refuses its pictures for that."""
    path = file_of(tmp_path, "mjpg")
    content, tag = path.read_bytes(), b"Lavf"
    at = content.index(tag, content.index(b"ISFT"))
    path.write_bytes(content[:at] + b"\xe9\xe8\xff\xfe" + content[at + len(tag) :])
    assert len(list(iter_frames(path, decoder))) == 4


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_boxes_of_turned_videos_lie_where_they_are_seen(quarters):
    """A cut of the stored frame, turned, is the cut of the turned frame."""
    stored = np.arange(5 * 7).reshape(5, 7)
    shown = np.rot90(stored, quarters)
    for box in [(0, 0, 2, 3), (1, 2, 3, 2), (shown.shape[1] - 1, shown.shape[0] - 1, 1, 1)]:
        x, y, w, h = box
        bx, by, bw, bh = turned_back(box, shown.shape, quarters)
        part = np.rot90(stored[by : by + bh, bx : bx + bw], quarters)
        np.testing.assert_array_equal(part, shown[y : y + h, x : x + w])


def test_image_folders_give_frames_with_times(tmp_path):
    """PNG files come back bit for bit, with the times they were given."""
    frames = moving_face(3)
    paths = []
    for index, frame in enumerate(frames):
        paths.append(tmp_path / f"{index} ä.png")
        paths[-1].write_bytes(cv2.imencode(".png", frame[:, :, ::-1])[1].tobytes())
    read = list(iter_images(paths, [0.0, 0.5, 0.75]))
    assert [frame.time for frame in read] == [0.0, 0.5, 0.75]
    for frame, written in zip(read, frames, strict=True):
        assert frame.shape == (240, 320)
        np.testing.assert_array_equal(frame.rgb((5, 7, 20, 10)), written[7:17, 5:25])
    with pytest.raises(VideoError, match="3 images but 2"):
        list(iter_images(paths, [0.0, 0.5]))


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.97])
def test_a_cut_image_is_an_error(tmp_path, ending, share):
    """Truncated images are named, also JPEGs, which decode to a partly grey picture without complaint."""
    content = cv2.imencode(ending, moving_face(1)[0])[1].tobytes()
    path = tmp_path / f"image{ending}"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(VideoError, match="image"):
        next(iter_images([path])).rgb()


def test_arrays_become_frames(tmp_path):
    """Integers are taken as they are, floats of 0-1 times 255; other ranges, shapes and pickles are errors."""
    video = np.random.default_rng(0).integers(0, 256, (3, 8, 9, 4))
    np.save(tmp_path / "a.npy", video)
    np.save(tmp_path / "b.npy", (video / 255).astype(np.float32))
    for name in ("a.npy", "b.npy"):
        read = np.stack([frame.rgb() for frame in iter_array(tmp_path / name)])
        np.testing.assert_array_equal(read, video[..., :3])
    for bad in (video * 2, video / 100, video[0], np.array([{}], dtype=object)):
        np.save(tmp_path / "bad.npy", bad)
        with pytest.raises(VideoError, match="bad.npy"):
            list(iter_array(tmp_path / "bad.npy"))
    (tmp_path / "bad.npy").write_bytes(io.BytesIO(b"\x93NUMPY").getvalue())
    with pytest.raises(VideoError, match="bad.npy"):
        list(iter_array(tmp_path / "bad.npy"))


def test_only_rgb_arrays_pass_for_frames():
    """Loaders that yield other arrays are told what is expected."""
    frame = np.zeros((4, 5, 3), np.uint8)
    assert np.asarray(as_frame(frame)).shape == (4, 5, 3)
    for wrong in (frame[..., 0], frame.astype(float), frame[..., :2], frame[:0]):
        with pytest.raises(VideoError, match="uint8 RGB"):
            as_frame(wrong)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_frames_of_a_pipe_are_not_counted(tmp_path):
    """Opening it would wait for ever for somebody who writes into it."""
    os.mkfifo(tmp_path / "vid.avi")
    assert frame_count(tmp_path / "vid.avi") is None
    assert frame_count(tmp_path / "missing.avi") is None
