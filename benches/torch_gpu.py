#!/usr/bin/env python3
"""Seconds for one value and gradient of VGG19 to relu5_1 by PyTorch on a GPU, as one JSON line.

Needs torch with CUDA. The work is that of `impasto bench`: see torch_vgg.py.
The evaluation is recorded once as a CUDA graph and played back, which leaves the GPU no wait for Python; `--eager` does without.
"""
import argparse
import json
import time

import torch
import torch_vgg

parser = argparse.ArgumentParser()
parser.add_argument("--size", type=int, default=1024)
parser.add_argument("--evaluations", type=int, default=10)
parser.add_argument("--precision", choices=["float32", "tf32", "bfloat16"], default="float32")
parser.add_argument("--eager", action="store_true")
arguments = parser.parse_args()
torch.manual_seed(1)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = arguments.precision == "tf32"
torch.backends.cudnn.benchmark = True

network = torch_vgg.network("cuda")
if arguments.precision == "bfloat16":
    network = network.to(torch.bfloat16)
kind = next(network.parameters()).dtype
canvas = torch_vgg.canvas(arguments.size, "cuda")


def evaluate():
    loss = torch_vgg.loss(network, canvas.to(kind))
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
    "seconds-per-evaluation": sorted(seconds)[len(seconds) // 2],
    "peak-device-bytes": torch.cuda.max_memory_allocated(), "device-name": torch.cuda.get_device_name(),
}))
