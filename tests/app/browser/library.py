"""A folder of clips in every container that people have, and an index over it."""

from __future__ import annotations

from pathlib import Path

from tests.app.browser.balls import Scene, write_scene

FORMATS = {
    "avi": "formats/green-yellow.avi",
    "HEVC": "formats/purple-white.mp4",
    "mkv": "formats/white-red.mkv",
    "gif": "formats/yellow-purple.gif",
    "portrait": "phone/blue-white.mp4",
    "4K": "phone/red-green.mp4",
}
"""Clips by what is particular about them."""

PLAIN = "holiday/red-blue.mp4"
"""A clip that every browser plays: 320x180, H.264."""

LONG = "holiday/long.mp4"
"""One of several windows: purple for a third, then green and then white."""

BROKEN, GONE = "holiday/broken.mp4", "holiday/gone.mp4"
"""A file that is no video, and one that is deleted once it is in the index."""


def scene_of(name: str) -> Scene:
    """What a clip shows, by its name."""
    if name == LONG:
        return Scene(("purple", "green", "white"), seconds=75.0, seed=70)
    seconds = 1.5 if name == FORMATS["4K"] else 4.0
    return Scene(tuple(Path(name).stem.split("-")), seconds, seed=sum(map(ord, name)))


def write_library(folder: Path) -> Path:
    """Writes all clips."""
    quick = {"preset": "ultrafast"}
    write_scene(folder / PLAIN, scene_of(PLAIN))
    write_scene(folder / FORMATS["avi"], scene_of(FORMATS["avi"]), codec="mpeg4")
    quiet = {**quick, "x265-params": "log-level=none"}
    write_scene(folder / FORMATS["HEVC"], scene_of(FORMATS["HEVC"]), codec="libx265", options=quiet)
    write_scene(folder / FORMATS["mkv"], scene_of(FORMATS["mkv"]), codec="mpeg4")
    write_scene(folder / FORMATS["gif"], scene_of(FORMATS["gif"]), (192, 108), codec="gif", pixels="rgb8")
    write_scene(folder / FORMATS["portrait"], scene_of(FORMATS["portrait"]), (180, 320))
    write_scene(folder / FORMATS["4K"], scene_of(FORMATS["4K"]), (3840, 2160), drawn_at=(320, 180), options=quick)
    write_scene(folder / LONG, scene_of(LONG), (96, 54), rate=4)
    write_scene(folder / GONE, Scene(("green", "purple"), seed=80), (96, 54))
    (folder / BROKEN).write_bytes(b"This is no film.")
    return folder


def metadata() -> dict[str, dict[str, str | int]]:
    """What is known of the clips, by their paths in the folder."""
    names = [*FORMATS.values(), PLAIN, LONG, GONE]
    return {
        name: {"season": "summer" if "red" in name else "winter", "year": 2018 + place}
        for place, name in enumerate(names)
    }
