"""Settings of the synthetic data: presets, keys, checks, names of folders."""

import dataclasses
import subprocess
import sys

import pytest

from dataset.synthetic.settings import OPTIONS, PRESETS, Settings, fingerprint, folder_name, resolve


def test_none_means_the_preset():
    """All keys None: exactly the preset; a key overrides only itself."""
    assert resolve({key: None for key in OPTIONS}) == PRESETS["standard"]
    assert resolve({"PRESET": "easy"}) == PRESETS["easy"]
    changed = resolve({"PRESET": "easy", "NOISE": 3})
    assert changed == dataclasses.replace(PRESETS["easy"], noise=3.0)


def test_every_property_is_a_key():
    """Each field has its upper-case key, and each number a range of what is allowed."""
    assert set(OPTIONS) == {field.name.upper() for field in dataclasses.fields(Settings)}
    for preset in PRESETS.values():
        values = {key: getattr(preset, key.lower()) for key in OPTIONS}
        assert resolve(values) == preset


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"PRESET": "hard"}, "SYNTHETIC.PRESET is 'hard'. Known: easy, standard."),
        ({"CODEC": "vp9"}, "SYNTHETIC.CODEC is 'vp9'. Known: h264"),
        ({"FACE": "robot"}, "SYNTHETIC.FACE is 'robot'. Known: portrait, modelled."),
        ({"NOSE": 1}, "SYNTHETIC.NOSE is not a setting. Known: PRESET"),
        ({"FS": 0}, "SYNTHETIC.FS is 0; it must be a number from 5 to 240."),
        ({"NOISE": float("nan")}, "SYNTHETIC.NOISE is nan; it must be a number"),
        ({"SUBJECTS": 2.5}, "SYNTHETIC.SUBJECTS is 2.5; it must be a whole number."),
        ({"HEART_RATE": [90, 60]}, "the lower end comes first"),
        ({"SKIN_RESPONSE": [1, 2]}, "SYNTHETIC.SKIN_RESPONSE is [1, 2]; it needs 3 numbers."),
        ({"SKIN_RESPONSE": [1, 0, 1]}, "relative to green"),
        ({"SEED": "x"}, "SYNTHETIC.SEED is 'x'; it must be a whole number from 0 on."),
        ({"SKIN_TONES": []}, "needs one or more numbers"),
        ({"SKIN_TONES": [7]}, "SYNTHETIC.SKIN_TONES is 7; it must be a number from 1 to 6."),
    ],
)
def test_a_bad_setting_is_named(options, message):
    """The message names key, value and what is allowed."""
    with pytest.raises(ValueError) as raised:
        resolve(options)
    assert message in str(raised.value)


def test_one_number_is_a_range_of_one():
    """HEART_RATE: 72 gives every subject 72 bpm."""
    assert resolve({"HEART_RATE": 72}).heart_rate == (72.0, 72.0)
    assert resolve({"SKIN_TONES": 6}).skin_tones == (6,)


def test_folder_names_tell_settings_apart_but_not_the_number_of_subjects():
    """More subjects join the same folder; any other change opens a new one."""
    standard = resolve({})
    assert folder_name(standard) == f"standard-{fingerprint(standard)}"
    assert fingerprint(standard) == fingerprint(resolve({"SUBJECTS": 99}))
    assert len({fingerprint(resolve(o)) for o in ({}, {"NOISE": 2.0}, {"SEED": 1}, {"PRESET": "easy"})}) == 4


def test_standard_keeps_the_committed_pulse_strength():
    """Preset `standard`: 0.3 to 0.8 % of the skin level over all skin types, 50 to 120 bpm, H.264."""
    from dataset.synthetic.face import tone_share

    standard = PRESETS["standard"]
    weakest = standard.pulse_amplitude[0] * min(tone_share(tone) for tone in standard.skin_tones)
    assert weakest >= 0.003 and standard.pulse_amplitude[1] <= 0.008
    assert standard.heart_rate == (50.0, 120.0) and standard.codec == "h264"


def test_settings_are_light():
    """Reading settings imports neither numpy nor OpenCV; config.py does it on every start."""
    code = "import sys, dataset.synthetic.settings; print({'numpy', 'cv2', 'av', 'torch'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
