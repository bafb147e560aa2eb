import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from video_colbert.evaluation.robustness.perceptual_change import perceptual_change
from video_colbert.evaluation.robustness.perceptual_change import structural_similarity as our_similarity


def frames(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2, 24, 31, 3), dtype=np.uint8)


@pytest.mark.parametrize("budget", [1, 8, 64])
def test_psnr_and_ssim_are_those_of_scikit_image(budget: int) -> None:
    before = frames(0)
    noise = np.random.default_rng(1).integers(-budget, budget + 1, before.shape)
    after = np.clip(before.astype(int) + noise, 0, 255).astype(np.uint8)
    change = perceptual_change(before, after)
    similarity = [
        structural_similarity(
            *pair, channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for pair in zip(before, after, strict=True)
    ]
    assert change.psnr == pytest.approx(peak_signal_noise_ratio(before, after))
    # It blurs in its own order of sums.
    assert change.ssim == pytest.approx(np.mean(similarity), abs=1e-6)
    assert change.largest == budget


def test_only_frames_that_were_changed_count() -> None:
    before = frames(0)
    after = before.copy()
    after[1] = 255 - after[1]
    change = perceptual_change(before, after)
    assert (change.num_changed, change.num_frames) == (1, 2)
    assert change.psnr == pytest.approx(peak_signal_noise_ratio(before[1], after[1]))
    assert perceptual_change(before, before).psnr == float("inf")


def test_frames_of_other_shapes_or_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="of shape"):
        perceptual_change(frames(0), frames(0)[:1])
    with pytest.raises(ValueError, match="smaller than SSIM's window"):
        our_similarity(frames(0)[:, :8], frames(0)[:, :8])
