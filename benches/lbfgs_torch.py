"""The loss of preset `gatys` minimised by torch.optim.LBFGS, to compare impasto's L-BFGS with.

    lbfgs_torch.py prepare CONTENT STYLE DIRECTORY LONG_SIDE   writes content.png and style.png at exactly the size used
    lbfgs_torch.py minimise DIRECTORY WEIGHTS EVALUATIONS RANGE   prints the total loss of every evaluation, one a line

RANGE is the largest value of the canvas that torch sees, 1 or 255. It changes nothing but the scale of torch's first
step, 1/|g|_1, and with it everything: with 1 that step vanishes in float32's rounding.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
from PIL import Image

POOLS_BEFORE = ("conv2_1", "conv3_1", "conv4_1", "conv5_1")
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
CONTENT_LAYER = "conv4_2"
MEAN_BGR = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)


def prepare(content, style, directory, long_side):
    for name, path in (("content", content), ("style", style)):
        picture = Image.open(path).convert("RGB")
        factor = long_side / max(picture.size)
        size = tuple(max(1, round(side * factor)) for side in picture.size)
        picture.resize(size, Image.Resampling.LANCZOS).save(Path(directory) / f"{name}.png")


def read_safetensors(path):
    """The format is a length, a JSON header and the bytes: no package is needed to read it."""
    data = Path(path).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    kinds = {"F16": numpy.float16, "F32": numpy.float32}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            values = numpy.frombuffer(data[start:end], kinds[entry["dtype"]]).astype(numpy.float32)
            tensors[name] = torch.from_numpy(values.reshape(entry["shape"]))
    return tensors


def read_picture(path):
    pixels = numpy.asarray(Image.open(path).convert("RGB"), dtype=numpy.float32) / 255.0
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def features(canvas, weights):
    x = canvas.flip(1) * 255.0 - MEAN_BGR
    taps = {}
    for name in [f"conv{b}_{i}" for b, n in ((1, 2), (2, 2), (3, 4), (4, 4), (5, 1)) for i in range(1, n + 1)]:
        if name in POOLS_BEFORE:
            x = torch.nn.functional.max_pool2d(x, 2)
        x = torch.relu(torch.nn.functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1))
        taps[name] = x
    return taps


def gram(tap):
    f = tap[0].flatten(1)
    return f @ f.T / f.shape[1]


def minimise(directory, weights_path, evaluations, largest):
    weights = read_safetensors(weights_path)
    content, style = (read_picture(Path(directory) / f"{name}.png") for name in ("content", "style"))
    with torch.no_grad():
        wanted = features(content, weights)[CONTENT_LAYER]
        grams = {name: gram(tap) for name, tap in features(style, weights).items() if name in STYLE_LAYERS}
    canvas = (content * largest).requires_grad_()
    optimiser = torch.optim.LBFGS(
        [canvas], lr=1, history_size=100, max_iter=evaluations, max_eval=evaluations, tolerance_grad=0, tolerance_change=0
    )

    def closure():
        optimiser.zero_grad()
        taps = features(canvas / largest, weights)
        loss = ((taps[CONTENT_LAYER] - wanted) ** 2).mean()
        for name, target in grams.items():
            found = gram(taps[name])
            loss = loss + 1e3 / found.shape[0] ** 2 * ((found - target) ** 2).mean()
        loss.backward()
        print(f"{loss.item():.9e}", flush=True)
        return loss

    optimiser.step(closure)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["prepare", content, style, directory, long_side]:
            prepare(content, style, directory, int(long_side))
        case ["minimise", directory, weights, evaluations, largest]:
            minimise(directory, weights, int(evaluations), float(largest))
        case _:
            sys.exit(__doc__)
