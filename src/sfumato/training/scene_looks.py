"""Change the light, colour and quality of a training picture; it moves no pixel."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.types import Image

Table = NDArray[np.uint8]
_LEVELS = np.arange(256, dtype=np.float32) / 255


def change_tone(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture with another gamma, gain and slight cast."""
    gamma = np.exp(rng.normal(0, 0.25))
    gains = rng.uniform(0.75, 1.2) * rng.uniform(0.92, 1.08, 3)
    return _apply(image, [_LEVELS**gamma * gain for gain in gains])


def _apply(image: Image, curves: list[NDArray[np.float32]]) -> Image:
    """Map each channel by its curve over 0..1."""
    table = (np.stack(curves, axis=1).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return np.asarray(cv2.LUT(np.ascontiguousarray(image), table[None]), dtype=np.uint8)


def change_look(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture as some camera, light, print or file might show it."""
    if rng.random() < 0.2:
        image = _fade(image, rng)
    if rng.random() < 0.6:
        image = _relight(image, rng)
    if rng.random() < 0.25:
        image = _shade(image, rng)
    if rng.random() < 0.2:
        image = _blur(image, rng)
    if rng.random() < 0.25:
        image = _add_noise(image, rng)
    return _compress(image, rng) if rng.random() < 0.35 else image


def _fade(image: Image, rng: np.random.Generator) -> Image:
    """Return a grey or sepia print, perhaps a pale one."""
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    tint = np.array([1.0, 0.9, 0.72]) if rng.random() < 0.4 else np.ones(3)
    low, high = rng.uniform(0, 0.3), rng.uniform(0.7, 1)
    return _apply(np.repeat(grey[:, :, None], 3, axis=2), [(low + _LEVELS * (high - low)) * t for t in tint])


def _relight(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture in another exposure and contrast, at times with a strong cast."""
    gamma = np.exp(rng.normal(0, 0.35))
    contrast = rng.uniform(0.45, 1.35)
    offset = rng.uniform(-0.12, 0.12)
    cast = rng.uniform(0.55, 1.3, 3) if rng.random() < 0.2 else rng.uniform(0.9, 1.1, 3)
    base = (_LEVELS**gamma - 0.5) * contrast + 0.5 + offset
    return _apply(image, [base * c for c in cast])


def _shade(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture lit from one side."""
    height, width = image.shape[:2]
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.75)
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    slope = np.cos(angle) * x[None] + np.sin(angle) * y[:, None]
    light = 1 - strength / (1 + np.exp(-slope * rng.uniform(1, 8)))
    return np.asarray(image * light[:, :, None], dtype=np.uint8)


def _blur(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture out of focus, moved, or enlarged from fewer pixels."""
    kind = rng.random()
    if kind < 0.4:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.2)), dtype=np.uint8)
    if kind < 0.6:
        length = int(rng.integers(3, 8))
        kernel = np.zeros((length, length), dtype=np.float32)
        end = rng.integers(0, length, 2)
        cv2.line(kernel, (int(end[0]), 0), (int(end[1]), length - 1), 1.0)
        return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.uint8)
    height, width = image.shape[:2]
    scale = rng.uniform(0.35, 0.8)
    small = cv2.resize(image, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _add_noise(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture with Gaussian noise, in colour or grey."""
    sigma = rng.uniform(2, 18)
    channels = 1 if rng.random() < 0.4 else 3
    noise = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32) * sigma
    return np.asarray((image + noise).clip(0, 255), dtype=np.uint8)


def _compress(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture after JPEG at a low or middling quality."""
    quality = int(rng.integers(18, 85))
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)[:, :, ::-1]
