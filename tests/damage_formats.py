"""What can be wrong inside a file of one format: headers that lie, bombs, values that are none, ways out of the folder.

`of(file)` lists (name, change, harmless): `change(path)` replaces the file by a damaged one; a harmless change may
leave a recording that can be used.
"""

from pathlib import Path

from tests.damage_arrays import HDF5, MAT, NPY
from tests.damage_bytes import Row
from tests.damage_labels import JSON, TABLE, XML
from tests.damage_pictures import BMP, JPEG, LARGER, PGM, PNG
from tests.damage_videos import AVI, MKV, MP4, PLAYLISTS
from tests.damage_zips import ZIP


def of(file: Path) -> list[Row]:
    """All ways to damage this file that belong to its format."""
    found = {
        ".avi": [*AVI, *PLAYLISTS],
        ".mp4": [*MP4, *PLAYLISTS],
        ".mkv": [*MKV, *PLAYLISTS],
        ".png": [*PNG, LARGER],
        ".bmp": [*BMP, LARGER],
        ".pgm": PGM,
        ".PW": TABLE,
        ".jpg": [*JPEG, LARGER],
        ".xml": XML,
        ".npy": NPY,
        ".json": JSON,
        ".csv": TABLE,
        ".txt": TABLE,
        ".xmp": TABLE,
        ".hdf5": HDF5,
        ".zip": ZIP,
    }
    if file.suffix == ".mat":
        return HDF5 if file.read_bytes()[:10] == b"MATLAB 7.3" else MAT
    return found.get(file.suffix, [])
