"""High dynamic range to the range of ordinary video, by a curve that is written down here."""

from functools import cache
from typing import Literal, TypeAlias

import numpy as np

HdrTransfer: TypeAlias = Literal["PQ", "HLG"]

# ITU-R BT.2408: the luminance of paper in cd/m2, whether coded in PQ or in HLG for a display of 1,000 cd/m2.
_PAPER_WHITE = 203.0
_HLG_PEAK = 1000.0
_HLG_GAMMA = 1.2
# What paper becomes, of 255.
_PAPER_LEVEL = 230
# ITU-R BT.2087: linear RGB of BT.2020 to linear RGB of BT.709.
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
_LEVELS = 4096


def tone_mapped(pixels: np.ndarray, transfer: HdrTransfer) -> np.ndarray:
    """Maps a picture of high dynamic range to sRGB.

    With `x` the largest of R, G, B in linear light, 1 being paper (203 cd/m2), all three are scaled by `y / x`:

        y = s x                                        up to paper, with s the light of level 230 of 255
        y = s + (1 - s) t / (1 + t)                    above, with t = (x - 1) s / (1 - s)

    The curve and its slope are continuous, and it comes close to 1 at the brightest. Then BT.2020's colours are
    brought to BT.709's, clipped, and coded by sRGB's curve.

    Args:
        pixels: uint16 `[H, W, 3]`, RGB coded in PQ or HLG, of BT.2020's colours, 65,535 being 1.
        transfer: Which of the two.

    Returns:
        uint8 `[H, W, 3]`.
    """
    linear = _linear_light(transfer)[pixels]
    if transfer == "HLG":
        # The display's own part of HLG, which follows the scene's brightness.
        luma = linear @ _BT2020_LUMA
        linear *= np.maximum(luma, 1e-9)[..., None] ** np.float32(_HLG_GAMMA - 1)
        linear *= np.float32(_HLG_PEAK / _PAPER_WHITE)
    brightest = linear.max(axis=-1, keepdims=True)
    linear *= _compressed(brightest) / np.maximum(brightest, 1e-9)
    levels = np.clip(linear @ _TO_BT709.T, 0, 1)
    # Evenly spaced square roots: dark levels, which the eye tells apart best, are not merged.
    coded: np.ndarray = _srgb_levels()[np.round(np.sqrt(levels) * (_LEVELS - 1)).astype(np.uint16)]
    return coded


def _compressed(light: np.ndarray) -> np.ndarray:
    paper = np.float32(_srgb_to_linear(_PAPER_LEVEL / 255))
    excess = np.maximum(light - 1, 0) * paper / (1 - paper)
    compressed: np.ndarray = np.minimum(light, 1) * paper + (1 - paper) * excess / (1 + excess)
    return compressed


@cache
def _linear_light(transfer: HdrTransfer) -> np.ndarray:
    """Of each 16-bit code: PQ in units of paper white, HLG as light of the scene from 0 to 1."""
    code = np.arange(65536) / 65535
    if transfer == "PQ":
        # SMPTE ST 2084.
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        root = code ** (1 / m2)
        light = 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1) / _PAPER_WHITE
    else:
        # ARIB STD-B67, ITU-R BT.2100.
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return light.astype(np.float32)


@cache
def _srgb_levels() -> np.ndarray:
    light = (np.arange(_LEVELS) / (_LEVELS - 1)) ** 2
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * code).astype(np.uint8)


def _srgb_to_linear(code: float) -> float:
    return float(((code + 0.055) / 1.055) ** 2.4)
