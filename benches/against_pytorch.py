#!/usr/bin/env python3
"""impasto and PyTorch in turns on this machine: seconds of one evaluation, and every ratio that impasto is meant to keep.

    python-with-torch benches/against_pytorch.py [--sizes 512 1024] [--rounds 3] [--evaluations 3] [--cpu]

Each round runs all cases once, so that other load on the machine hits both. The table shows medians over the rounds. With `--cpu` it
counts the processor time of all threads instead of the clock (the difference between runs of two lengths): steadier on a busy machine,
but only fair with one thread, since PyTorch's threads spin while they wait.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMPASTO = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/impasto"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--evaluations", type=int, default=3)
parser.add_argument("--cpu", action="store_true")
parser.add_argument("--no-build", action="store_true", help="take the binary as it is")
arguments = parser.parse_args()


def run(command, evaluations, isa=None):
    """The program's JSON line, and the processor seconds of the whole process."""
    environment = dict(os.environ, IMPASTO_ISA=isa) if isa else None
    process = subprocess.Popen([*command, "--evaluations", str(evaluations)], stdout=subprocess.PIPE, env=environment)
    line = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}")
    return json.loads(line), usage.ru_utime + usage.ru_stime


def measure(command, isa=None):
    answer, long = run(command, arguments.evaluations, isa)
    if arguments.cpu:
        _, short = run(command, 1, isa)
        answer["seconds-per-evaluation"] = (long - short) / (arguments.evaluations - 1)
    return answer


def ours(size, threads, *options, isa=None):
    return measure([IMPASTO, "bench", "--json", "--size", str(size), "--threads", str(threads), *options], isa)


def theirs(size, threads, *options):
    script = ROOT / "benches/torch_evaluation.py"
    return measure([sys.executable, script, "--size", str(size), "--threads", str(threads), *options])


def cases(size):
    """Name and measurement, both programs in turns."""
    most = 1 if arguments.cpu else arguments.threads
    yield "torch", lambda: theirs(size, most)
    yield "float32", lambda: ours(size, most)
    if best == "avx512":
        yield "avx2", lambda: ours(size, most, isa="avx2")
    if bfloat16:
        yield "bfloat16", lambda: ours(size, most, "--precision", "bfloat16")
    yield "forward", lambda: ours(size, most, "--forward")
    if not arguments.cpu and arguments.threads > 1:
        yield "torch, one thread", lambda: theirs(size, 1)
        yield "float32, one thread", lambda: ours(size, 1)


if arguments.cpu and arguments.evaluations < 2:
    sys.exit("--cpu needs at least 2 evaluations")
if not arguments.no_build:
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
best = run([IMPASTO, "bench", "--json", "--size", "64"], 1)[0]["isa"]
probe = [IMPASTO, "bench", "--json", "--size", "64", "--evaluations", "1", "--precision", "bfloat16"]
bfloat16 = subprocess.run(probe, capture_output=True).returncode == 0

for size in arguments.sizes:
    times, memory = {}, None
    for _ in range(arguments.rounds):
        for name, work in cases(size):
            answer = work()
            times.setdefault(name, []).append(answer["seconds-per-evaluation"])
            if name == "float32":
                memory = answer
    middle = {name: statistics.median(seconds) for name, seconds in times.items()}
    kind = "processor seconds, one thread" if arguments.cpu else f"seconds, {arguments.threads} threads"
    print(f"\n{size}x{size} px, {kind}; medians of {arguments.rounds} rounds")
    for name, seconds in times.items():
        print(f"  {name:<20} {middle[name]:8.3f}   ({min(seconds):.3f} to {max(seconds):.3f})")

    def ratio(text, above, below, target):
        if above in middle and below in middle:
            print(f"  {text:<44} {middle[above] / middle[below]:6.3f}   meant: {target}")

    ratio("float32 of PyTorch", "float32", "torch", "at most 0.25 at 512, 0.20 at 1024")
    ratio("AVX2 of PyTorch", "avx2", "torch", "at most 0.45")
    ratio("bfloat16 of PyTorch's float32", "bfloat16", "torch", "at most 0.15")
    ratio("forward alone of an evaluation", "forward", "float32", "at most 0.42")
    ratio("one thread of PyTorch's one thread", "float32, one thread", "torch, one thread", "at most 0.25")
    ratio(f"one thread over {arguments.threads}", "float32, one thread", "float32", "at least 1.85 for two")
    if memory and memory.get("peak-memory-bytes"):
        beyond = (memory["peak-memory-bytes"] - memory["fixed-memory-bytes"]) / size**2
        print(f"  bytes a pixel beyond fixed memory            {beyond:6.0f}   meant: at most 600")
        print(f"  fixed memory, MB                             {memory['fixed-memory-bytes'] / 1e6:6.0f}   meant: at most 500")
