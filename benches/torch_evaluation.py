#!/usr/bin/env python3
"""Seconds for one value and gradient of VGG19 to relu5_1 by PyTorch's autograd, as one JSON line.

Needs torch. Five Gram terms and a content term at relu4_2, the network frozen, channels last: the work of `impasto bench`.
The weights are random, on the scale of trained ones (their values cost nothing).
"""
import argparse
import json
import time

import torch

WIDTHS = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512, 512, 512, 512, "pool", 512]
STYLE, CONTENT = {0, 2, 4, 8, 12}, 9

parser = argparse.ArgumentParser()
parser.add_argument("--size", type=int, default=512)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--evaluations", type=int, default=3)
parser.add_argument("--bfloat16", action="store_true")
parser.add_argument("--forward", action="store_true")
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
torch.manual_seed(1)

modules, inputs = [], 3
for width in WIDTHS:
    if width == "pool":
        modules.append(torch.nn.MaxPool2d(2))
    else:
        convolution = torch.nn.Conv2d(inputs, width, 3, padding=1)
        torch.nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        modules.append(convolution)
        inputs = width
network = torch.nn.ModuleList(modules).requires_grad_(False).to(memory_format=torch.channels_last)
canvas = 255 * torch.rand(1, 3, arguments.size, arguments.size) - 116
canvas = canvas.to(memory_format=torch.channels_last).requires_grad_(not arguments.forward)


def evaluate():
    value, loss, index = canvas, 0.0, 0
    with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bfloat16):
        for module in network:
            value = module(value)
            if isinstance(module, torch.nn.Conv2d):
                value = value.relu()
                if index in STYLE:
                    flat = value.float().flatten(2)[0]
                    loss = loss + (flat @ flat.T / flat.shape[1]).square().mean()
                if index == CONTENT:
                    loss = loss + value.float().square().mean()
                index += 1
    return loss.item() if arguments.forward else torch.autograd.grad(loss, canvas)


evaluate()
seconds = []
for _ in range(arguments.evaluations):
    started = time.perf_counter()
    evaluate()
    seconds.append(time.perf_counter() - started)
print(json.dumps({"seconds_per_evaluation": sorted(seconds)[len(seconds) // 2]}))
