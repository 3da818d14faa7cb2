"""Reference values of the Gaussian Wasserstein term, float64, PyTorch: an independent computation, by symmetric roots.

    python-with-torch tests/reference/wasserstein.py weights/vgg19.safetensors

writes wasserstein.json and wasserstein.safetensors beside itself. Definition, with F the features after ReLU at relu1_1, relu2_1, relu3_1,
relu4_1 and relu5_1, [C, n]; mu their mean, M = F F^T / n, Sigma = M - mu mu^T + e I; mu*, M*, Sigma* those of the style; u = tr(M*) / C and
e = 1e-5 u:

    loss = 1e6 sum over taps of (|mu - mu*|^2 + tr Sigma + tr Sigma* - 2 tr (S Sigma S)^(1/2)) / (C u),   S = Sigma*^(1/2)
"""
import json, os, sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.numpy import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
WEIGHTS = load_file(sys.argv[1])
BLOCKS = [(1, 2), (2, 2), (3, 4), (4, 4), (5, 1)]
MEAN = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64).view(1, 3, 1, 1)


def picture(name):
    pixels = np.asarray(Image.open(os.path.join(HERE, name)).convert("RGB"), dtype=np.float64) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def taps(rgb, pooling):
    h, found = rgb.flip(1) * 255 - MEAN, {}
    for block, layers in BLOCKS:
        for layer in range(1, layers + 1):
            weight, bias = (torch.from_numpy(WEIGHTS[f"conv{block}_{layer}.{kind}"]).double() for kind in ("weight", "bias"))
            h = F.relu(F.conv2d(h, weight, bias, padding=1))
            if layer == 1:
                found[f"relu{block}_1"] = h[0].flatten(1)
        h = F.max_pool2d(h, 2) if pooling == "max" else F.avg_pool2d(h, 2)
    return found


def moments(features):
    n = features.shape[1]
    return features.mean(1), features @ features.T / n


def distance(canvas, style):
    (mu, m), (mu_s, m_s) = moments(canvas), moments(style)
    channels = len(mu)
    unit = m_s.trace() / channels
    eps = 1e-5 * unit * torch.eye(channels, dtype=torch.float64)
    sigma, sigma_s = m - torch.outer(mu, mu) + eps, m_s - torch.outer(mu_s, mu_s) + eps
    values, vectors = torch.linalg.eigh(sigma_s)
    root = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    roots = torch.linalg.eigvalsh(root @ sigma @ root).clamp_min(1e-3 * (1e-5 * unit) ** 2).sqrt()
    return ((mu - mu_s).square().sum() + sigma.trace() + sigma_s.trace() - 2 * roots.sum()) / (channels * unit)


expected, gradients = {}, {}
for pooling in ("max", "average"):
    style = {name: f.detach() for name, f in taps(picture("style_88x70.png"), pooling).items()}
    canvas = picture("canvas_101x75.png").requires_grad_(True)
    terms = {name: 1e6 * distance(f, style[name]) for name, f in taps(canvas, pooling).items()}
    total = sum(terms.values())
    total.backward()
    gradient = canvas.grad[0]
    expected[pooling] = {
        "total": total.item(),
        "taps": {name: term.item() for name, term in terms.items()},
        "gradient-l2": gradient.norm().item(),
    }
    gradients[f"gradient.{pooling}"] = gradient.float().numpy().copy()
json.dump(expected, open(os.path.join(HERE, "wasserstein.json"), "w"), indent=1)
save_file(gradients, os.path.join(HERE, "wasserstein.safetensors"))
print(json.dumps(expected, indent=1))
