#!/usr/bin/env python3
"""Seconds for one value and gradient of VGG19 to relu5_1 by PyTorch on a GPU, as one JSON line.

Needs torch with CUDA. Five Gram terms and a content term at relu4_2, the network frozen, channels last: the work of `impasto bench`.
The evaluation is recorded once as a CUDA graph and played back, which leaves the GPU no wait for Python; `--eager` does without.
"""
import argparse
import json
import time

import torch

WIDTHS = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512, 512, 512, 512, "pool", 512]
STYLE, CONTENT = {0, 2, 4, 8, 12}, 9

parser = argparse.ArgumentParser()
parser.add_argument("--size", type=int, default=1024)
parser.add_argument("--evaluations", type=int, default=10)
parser.add_argument("--precision", choices=["float32", "tf32", "bfloat16"], default="float32")
parser.add_argument("--eager", action="store_true")
arguments = parser.parse_args()
torch.manual_seed(1)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = arguments.precision == "tf32"
torch.backends.cudnn.benchmark = True

modules, inputs = [], 3
for width in WIDTHS:
    if width == "pool":
        modules.append(torch.nn.MaxPool2d(2))
    else:
        convolution = torch.nn.Conv2d(inputs, width, 3, padding=1)
        torch.nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        modules.append(convolution)
        inputs = width
network = torch.nn.ModuleList(modules).requires_grad_(False).to("cuda", memory_format=torch.channels_last)
if arguments.precision == "bfloat16":
    network = network.to(torch.bfloat16)
kind = next(network.parameters()).dtype
canvas = 255 * torch.rand(1, 3, arguments.size, arguments.size, device="cuda") - 116
canvas = canvas.to(memory_format=torch.channels_last).requires_grad_(True)


def evaluate():
    value, loss, index = canvas.to(kind), 0.0, 0
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
    return loss, torch.autograd.grad(loss, canvas)[0]


if arguments.eager:
    play = evaluate
else:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            evaluate()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = evaluate()
    play = graph.replay

for _ in range(2):
    play()
torch.cuda.synchronize()
seconds = []
for _ in range(arguments.evaluations):
    started = time.perf_counter()
    play()
    torch.cuda.synchronize()
    seconds.append(time.perf_counter() - started)
print(json.dumps({
    "size": arguments.size, "precision": arguments.precision, "graph": not arguments.eager,
    "seconds_per_evaluation": sorted(seconds)[len(seconds) // 2],
    "peak_device_bytes": torch.cuda.max_memory_allocated(), "device_name": torch.cuda.get_device_name(),
}))
