"""The pulse in one video, from Python: a rate where there is a clear one, otherwise the reason why there is none."""

# %% The toolbox lies one folder above; results go into `runs/examples` of the folder you are in.
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# %% A video of a face with a known pulse. Put the path of your own here instead and leave out the rest of this cell.
from dataset.synthetic.layouts import write_layout

folder = Path("runs/examples/first_video")
person = {"PRESET": "easy", "SUBJECTS": 1, "SECONDS": 15.0, "HEART_RATE": [66.0, 66.0], "WIDTH": 320, "HEIGHT": 240}
write_layout("UBFC-rPPG", folder, {**person, "CODEC": "mjpg"})
video = folder / "subject1" / "vid.avi"

# %% One call. `reason` says why when there is no rate: too dark, too much motion, too short.
from pulsescope import measure  # noqa: E402

found = measure(video)
print(f"{found.heart_rate:.1f} bpm, between {found.interval[0]:.1f} and {found.interval[1]:.1f}")
print(f"confidence {found.confidence:.2f} of 1; {found.reason or 'reliable'}")

# %% The same on the command line leaves a page to look at: python main.py --video runs/examples/.../vid.avi
assert abs(found.heart_rate - 66) < 2, "the pulse was painted at 66 bpm"
