"""Losses that make a photo a painting and keep what it shows; they hold no weights and no data."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from sfumato.nets.vgg import Features

LUMINANCE = (0.299, 0.587, 0.114)

LIKE_COLOURS = 0.15
"""Distance in RGB less luminance, levels in 0..1, over which two colours stop being alike: two blues are 0.1 apart."""


@dataclass(frozen=True, slots=True)
class Style:
    """Texture statistics of N pictures: Gram matrices NxCxC by layer; mean and deviation Nx512 at relu3_1."""

    grams: tuple[torch.Tensor, ...]
    moments: torch.Tensor

    def take(self, rows: torch.Tensor) -> "Style":
        """Return the statistics of the pictures `rows`."""
        return Style(tuple(g[rows].float() for g in self.grams), self.moments[rows])


def style_of(features: Features) -> Style:
    """Return the texture statistics at relu1_1, relu2_1 and relu3_1."""
    layers = (features.relu1_1, features.relu2_1, features.relu3_1)
    return Style(tuple(gram(x) for x in layers), moments(features.relu3_1.float()))


def gram(x: torch.Tensor) -> torch.Tensor:
    """Return the channels' mean products, NxCxC (Gatys et al., "Image style transfer", 2016, equation 3)."""
    pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
    return (pixels.transpose(1, 2) @ pixels).float() / pixels.shape[1]


def moments(x: torch.Tensor) -> torch.Tensor:
    """Return each channel's mean and deviation over the picture, Nx2C."""
    mean = x.mean((2, 3))
    variance = (x - mean[:, :, None, None]).square().mean((2, 3))
    return torch.cat([mean, (variance + 1e-6).sqrt()], dim=1)


def gram_loss(actual: Style, target: Style) -> torch.Tensor:
    """Return the squared distance of the Gram matrices, each layer relative to its target's square."""
    ratios = [relative_error(a, t) for a, t in zip(actual.grams, target.grams, strict=True)]
    return torch.stack(ratios).mean()


def relative_error(actual: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the squared distance divided by the target's square, over the whole batch."""
    return (actual - target).square().sum() / target.square().sum()


def spread_loss(
    rows: torch.Tensor, recent: torch.Tensor, wanted: torch.Tensor, directions: torch.Tensor
) -> torch.Tensor:
    """Return how far pictures lie from where they should so that all of them together vary as paintings do.

    The sliced Wasserstein distance (Rabin et al., "Wasserstein barycenter and its application to texture mixing", 2011)
    between the pictures' statistics and the paintings'. On each direction the k-th smallest of the pictures is compared
    with the same quantile of the paintings; only the new pictures are counted, as only they can move.

    Args:
        rows: Nx512, the statistics of the new pictures.
        recent: Mx512, those of pictures made shortly before.
        wanted: Px512, those of paintings.
        directions: 512xD.

    Returns:
        The mean squared distance as a part of the paintings' variance.
    """
    along = torch.cat([rows, recent]) @ directions
    target = (wanted @ directions).sort(dim=0).values
    ranks = along.detach().argsort(dim=0).argsort(dim=0)[: len(rows)]
    places = (ranks + 0.5) * (len(target) / len(along)) - 0.5
    below = places.floor().clamp(0, len(target) - 2).long()
    part = (places - below).clamp(0, 1)
    goal = target.gather(0, below) * (1 - part) + target.gather(0, below + 1) * part
    return (along[: len(rows)] - goal).square().mean() / target.var(dim=0).mean()


def content_loss(painted: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """Return how far the layout of two activations differs, blind to each channel's mean and deviation."""
    return (normalise(painted) - normalise(photo)).square().mean()


def normalise(x: torch.Tensor) -> torch.Tensor:
    """Return each channel of each picture with mean 0 and deviation near 1; a flat channel stays flat."""
    centred = x - x.mean((2, 3), keepdim=True)
    deviation = (centred.square().mean((2, 3), keepdim=True) + 1e-6).sqrt()
    return centred / (1.1 * deviation + 0.1 * deviation.mean(1, keepdim=True))


def luminance(rgb: torch.Tensor) -> torch.Tensor:
    """Return Nx1xhxw luma (ITU-R BT.601) of an RGB batch."""
    weights = rgb.new_tensor(LUMINANCE).view(1, 3, 1, 1)
    return (rgb * weights).sum(1, keepdim=True)


def structure_loss(painted: torch.Tensor, photo: torch.Tensor, tones: tuple[float, float]) -> torch.Tensor:
    """Return the distance of the luminance seen from afar: averaged over 4, 8 and 16 pixels.

    Args:
        painted: NCHW in 0..1.
        photo: NCHW in 0..1.
        tones: luminance of the photo's black and white in paint, which has neither.
    """
    black, white = tones
    wanted = black + (white - black) * luminance(photo.float())
    difference = luminance(painted.float()) - wanted
    return torch.stack([functional.avg_pool2d(difference, k).abs().mean() for k in (4, 8, 16)]).mean()


def colour_loss(painted: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """Return the distance of the colour without its luminance, averaged over 16 pixels: grass stays green."""
    difference = functional.avg_pool2d(painted.float() - photo.float(), 16)
    return (difference - luminance(difference)).abs().mean()


def flatness_loss(painted: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """Return the broad unevenness (8 pixels and more) of the paint where the photo is even: blotches."""
    near, far = functional.avg_pool2d(painted.float(), 8), functional.avg_pool2d(photo.float(), 8)
    losses = []
    for dim in (2, 3):
        step = near.diff(dim=dim).abs().mean(1)
        losses.append((_evenness(far, dim) * step).mean())
    return torch.stack(losses).mean()


def patches_loss(painted: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """Return how unequally the paint shifts what is even and of like colour in the photo: a sky that is pink in places.

    A palette may shift meadows in one way and skies in another, and each by any luminance. Squared, as one strong patch
    is worse than many faint ones.
    """
    near, far = functional.avg_pool2d(painted.float(), 8), functional.avg_pool2d(photo.float(), 8)
    down = functional.pad(_evenness(far, 2), (0, 0, 0, 1), value=1.0)
    right = functional.pad(_evenness(far, 3), (0, 1), value=1.0)
    even = (down * right).flatten(1)
    shift, hue = ((x - luminance(x)).flatten(2).transpose(1, 2) for x in (near - far, far))
    alike = even.unsqueeze(1) * torch.exp(-_squared_distances(hue) / (2 * LIKE_COLOURS**2))
    apart = (alike * _squared_distances(shift)).sum(2) / alike.sum(2).clamp_min(1e-3)
    return (even * apart).mean() / 6


def _squared_distances(rows: torch.Tensor) -> torch.Tensor:
    """Return BxNxN squared distances between the N rows of each of B sets."""
    return (rows.unsqueeze(1) - rows.unsqueeze(2)).square().sum(3)


def _evenness(far: torch.Tensor, dim: int) -> torch.Tensor:
    """Return near 1 where neighbours along a dimension of the photo, seen from afar, agree, and near 0 at edges."""
    return torch.exp(-30 * far.diff(dim=dim).abs().mean(1))


def similarity_loss(painted: torch.Tensor, photo: torch.Tensor, floor: float) -> torch.Tensor:
    """Return by how much the structural similarity of luminance falls below `floor`.

    Wang et al., "Image quality assessment", 2004, equation 13, here with a flat window of 7 pixels.
    """
    x, y = luminance(painted.float()), luminance(photo.float())
    both = torch.cat([x, y, x * x, y * y, x * y], dim=1)
    mean_x, mean_y, square_x, square_y, product = functional.avg_pool2d(both, 7, stride=2).unbind(1)
    spread = square_x - mean_x**2 + square_y - mean_y**2
    shared = product - mean_x * mean_y
    score = (2 * mean_x * mean_y + 1e-4) * (2 * shared + 9e-4)
    score = score / ((mean_x**2 + mean_y**2 + 1e-4) * (spread + 9e-4))
    return (floor - score.mean()).clamp_min(0)


def adversarial_loss(scores: torch.Tensor, target: float) -> torch.Tensor:
    """Return the least-squares GAN loss (Mao et al., 2017, equation 2 with labels 0 and 1)."""
    return (scores.float() - target).square().mean()
