#!/usr/bin/env python3
"""The table of a run of benches/gpu.sh: impasto's seconds over PyTorch's, and over the chip's floor.

    benches/gpu_table.py RESULTS/bench.jsonl [--tflops float32=67,tf32=495,bfloat16=990] [--bandwidth 3.35]

The floor is the larger of direct convolutions at the chip's peak and of the least bytes at its bandwidth (TB/s). The defaults are what NVIDIA
states for an H100 SXM, dense.
"""
import argparse
import collections
import json

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("results")
parser.add_argument("--tflops", default="float32=67,tf32=495,bfloat16=990")
parser.add_argument("--bandwidth", type=float, default=3.35)
arguments = parser.parse_args()
peaks = {kind: float(value) for kind, value in (pair.split("=") for pair in arguments.tflops.split(","))}

ours, theirs = collections.defaultdict(list), collections.defaultdict(list)
for line in open(arguments.results):
    row = json.loads(line)
    (ours if "gflops" in row else theirs)[row["size"], row["precision"]].append(row)
print(f"{'px':>5} {'precision':<9} {'impasto':>9} {'PyTorch':>9} {'ratio':>6} {'floor':>9} {'of floor':>8}")
for (size, precision), rows in sorted(ours.items()):
    best = min(row["seconds-per-evaluation"] for row in rows)
    rival = min((row["seconds-per-evaluation"] for row in theirs[size, precision]), default=None)
    floor = max(rows[0]["direct-flops"] / peaks[precision] * 1e-12, rows[0]["least-bytes"] / arguments.bandwidth * 1e-12)
    words = [f"{rival:9.4f} {best / rival:6.2f}" if rival else f"{'-':>9} {'-':>6}", f"{floor:9.4f} {best / floor:8.1f}"]
    print(f"{size:>5} {precision:<9} {best:9.4f}", *words)
    slowest = sorted(rows[-1]["stages"].items(), key=lambda stage: -stage[1])
    print("      " + ", ".join(f"{stage} {1e3 * seconds:.2f} ms" for stage, seconds in slowest))
