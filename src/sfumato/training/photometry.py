"""Change how a training picture was lit, shot and stored, without moving a pixel; it keeps no random state."""

import cv2
import numpy as np

from sfumato.types import FloatImage, Image


def vary_photo(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture under another light, camera and file: tone, cast, grey, blur, noise and JPEG."""
    picture = _vary_tone(image.astype(np.float32), rng)
    if rng.random() < 0.15:
        picture = _old_photo(picture, rng)
    if rng.random() < 0.25:
        sigma = float(rng.uniform(0.4, 1.8))
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.float32)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(1, 12), picture.shape).astype(np.float32)
        picture = picture + noise
    rounded = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return _store_as_jpeg(rounded, rng) if rng.random() < 0.3 else rounded


def _vary_tone(picture: FloatImage, rng: np.random.Generator) -> FloatImage:
    gamma = np.exp(rng.normal(0, 0.3))
    cast = np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    contrast, shift = rng.uniform(0.65, 1.25), rng.normal(0, 14)
    toned = 255 * (picture / 255) ** gamma * cast
    toned = (toned - 128) * contrast + 128 + shift
    grey = toned.mean(axis=2, keepdims=True)
    return np.asarray(grey + (toned - grey) * rng.uniform(0.4, 1.35), dtype=np.float32)


def _old_photo(picture: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return a grey picture, sepia at times."""
    grey = picture @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    tint = (
        np.array([1.08, 1.0, 0.82], dtype=np.float32) if rng.random() < 0.4 else np.ones(3, dtype=np.float32)
    )
    return np.asarray(grey[..., None] * tint, dtype=np.float32)


def _store_as_jpeg(image: Image, rng: np.random.Generator) -> Image:
    quality = int(rng.integers(25, 90))
    stored = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    loaded = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(loaded[..., ::-1])
