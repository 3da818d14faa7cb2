"""Borders of pictures in numbers: whether the network's padding shows along them.

    python benches/borders.py PICTURE...          # needs numpy and Pillow

For each picture, in values of 0..255: mean, deviation and distance (2-Wasserstein, of colours as Gaussians) of the outermost 16 px
against the next 16, and of those against the 16 after them; the largest step of mean colour, over sides and channels, from the outermost
3 px to those 6 to 12 px inside, and the mean of the same step taken 24 to 66 px further in; and for the first lines the mean
difference to the next line over that of lines 8 to 40.
"""
import sys

import numpy as np
from PIL import Image


def sides(picture):
    """The picture seen from each side: [lines from the border, along it, 3]."""
    turned = picture.transpose(1, 0, 2)
    return [picture, picture[::-1], turned, turned[::-1]]


def step(picture, at):
    """The largest step of mean colour from lines at..at + 3 to lines at + 6..at + 12."""
    means = [(side[at:at + 3].mean((0, 1)), side[at + 6:at + 12].mean((0, 1))) for side in sides(picture)]
    return max(abs(outer - inner).max() for outer, inner in means)


def ring(picture, start, end):
    """The colours between start and end px from the border."""
    mask = np.zeros(picture.shape[:2], bool)
    mask[start:-start or None, start:-start or None] = True
    mask[end:-end, end:-end] = False
    return picture[mask]


def root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def distance(a, b):
    """2-Wasserstein distance of the colours as Gaussians."""
    of_a, of_b = np.cov(a.T), np.cov(b.T)
    half = root(of_b)
    spread = np.trace(of_a + of_b - 2 * root(half @ of_a @ half))
    return np.sqrt(((a.mean(0) - b.mean(0)) ** 2).sum() + max(spread, 0))


def lines(picture, count):
    """Difference from one line to the next, over that inside."""
    differences = [abs(np.diff(side[:48], axis=0)).mean((1, 2)) for side in sides(picture)]
    return np.mean([d[:count] / d[8:40].mean() for d in differences], axis=0)


for name in sys.argv[1:]:
    picture = np.asarray(Image.open(name).convert("RGB"), float)
    rings = [ring(picture, at, at + 16) for at in (0, 16, 32)]
    means, deviations = [r.mean() for r in rings], [r.std(0).mean() for r in rings]
    inside = np.mean([step(picture, at) for at in range(24, 67, 6)])
    print(name)
    print("  mean", *(f"{m:.1f}" for m in means), " deviation", *(f"{d:.1f}" for d in deviations),
          f" distance {distance(*rings[:2]):.1f} {distance(*rings[1:]):.1f}",
          f" step {step(picture, 0):.1f}, inside {inside:.1f}",
          " lines", *(f"{d:.2f}" for d in lines(picture, 4)))
