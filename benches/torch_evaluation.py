#!/usr/bin/env python3
"""Seconds for one value and gradient of VGG19 to relu5_1 by PyTorch's autograd, as one JSON line.

Needs torch. The work is that of `impasto bench`: see torch_vgg.py.
"""
import argparse
import json
import time

import torch
import torch_vgg

parser = argparse.ArgumentParser()
parser.add_argument("--size", type=int, default=512)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--evaluations", type=int, default=3)
parser.add_argument("--bfloat16", action="store_true")
parser.add_argument("--forward", action="store_true")
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
torch.manual_seed(1)

network = torch_vgg.network("cpu")
canvas = torch_vgg.canvas(arguments.size, "cpu", gradient=not arguments.forward)


def evaluate():
    with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bfloat16):
        loss = torch_vgg.loss(network, canvas)
    return loss.item() if arguments.forward else torch.autograd.grad(loss, canvas)


evaluate()
seconds = []
for _ in range(arguments.evaluations):
    started = time.perf_counter()
    evaluate()
    seconds.append(time.perf_counter() - started)
print(json.dumps({"seconds-per-evaluation": sorted(seconds)[len(seconds) // 2]}))
