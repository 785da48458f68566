"""Change how a training picture was lit, shot and stored, without moving a pixel; it keeps no random state."""

import os
import threading
from typing import TYPE_CHECKING

import numpy as np

from sfumato.types import Image

if TYPE_CHECKING:
    import albumentations

_local = threading.local()


def vary_photo(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture under another light, camera and file: tone, cast, grey, shadow, blur, noise, JPEG."""
    if not hasattr(_local, "photometry"):
        _local.photometry = _compose()  # one a thread: it is seeded in place
    _local.photometry.set_random_seed(int(rng.integers(2**31)))
    return np.asarray(_local.photometry(image=image)["image"], dtype=np.uint8)


def _compose() -> "albumentations.Compose":
    """Return the changes, each by its own chance (Buslaev et al., Albumentations, 2020)."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else it asks the network for its newest version
    import albumentations as A  # its documented alias

    blur = [
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.4, 1.8)),
        A.MotionBlur(blur_limit=(3, 7)),
        A.Defocus(radius=(1, 3), alias_blur=(0.1, 0.4)),
        A.Downscale(scale_range=(0.4, 0.8)),
    ]
    noise = [
        A.GaussNoise(std_range=(0.005, 0.03)),
        A.ISONoise(color_shift=(0.01, 0.05), intensity=(0.1, 0.3)),
    ]
    light = [
        A.RandomGamma(gamma_limit=(60, 170)),
        A.RandomBrightnessContrast(brightness_limit=(-0.25, 0.15), contrast_limit=(-0.3, 0.25)),
        A.PlanckianJitter(),
        A.PlasmaShadow(shadow_intensity_range=(0.2, 0.6)),
    ]
    return A.Compose(
        [
            A.SomeOf(light, n=2, replace=False, p=0.6),
            A.HueSaturationValue(hue_shift_limit=8, sat_shift_limit=(-90, 35), val_shift_limit=10, p=0.5),
            A.OneOf([A.ToGray(), A.ToSepia()], p=0.12),
            A.OneOf(blur, p=0.3),
            A.OneOf(noise, p=0.2),
            A.ImageCompression(quality_range=(25, 90), p=0.3),
        ]
    )
