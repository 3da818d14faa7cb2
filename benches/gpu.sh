#!/usr/bin/env bash
# Checks and measures everything that takes a GPU, in one go of about ten minutes.
#
#   benches/gpu.sh [RESULTS]        results and logs go to the folder RESULTS (default gpu-results)
#
# Built before, on a machine with or without a GPU:
#   cargo build --release --features cuda                      (or cudnn)
#   cargo test --release --features cuda --test gpu --no-run
# BIN names the program (default target/release/impasto), TEST the test's binary (default: the newest under target/release/deps),
# PYTHON a Python with torch; without one the rival is left out. MINUTES bounds the poster (default 4); POSTER=no leaves it out.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-gpu-results}
mkdir -p "$out"
out=$(cd "$out" && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/release
bin=${BIN:-$target/impasto}
test=${TEST:-$(ls -t "$target"/deps/gpu-* 2>/dev/null | grep -v '\.d$' | head -1)}
python=${PYTHON:-python3}
cd "$root"
# A program that was linked where no driver is does not name the driver's library.
if ldd "$bin" | grep -q libcublas && ! ldd "$bin" | grep -q libcuda.so; then export LD_PRELOAD=libcuda.so.1; fi

step() { printf '\n== %s ==\n' "$*" | tee -a "$out/log.txt"; }
keep() { "$@" 2>&1 | tee -a "$out/log.txt"; return "${PIPESTATUS[0]}"; }

step "the device"
keep nvidia-smi --query-gpu=name,driver_version,memory.total,memory.free --format=csv

step "right: losses and gradients, the same bytes twice, tiles, two workers"
if [ -n "$test" ]; then keep "$test" --nocapture --test-threads=1 || echo "FAILED" | tee -a "$out/log.txt"; else echo "no test binary"; fi

step "fast: impasto and PyTorch in turns"
: > "$out/bench.jsonl"
for size in 1024 2048 4096; do
  for precision in float32 tf32 bfloat16; do
    for turn in 1 2; do
      "$bin" bench --devices cuda:0 --size $size --precision $precision --evaluations 5 --json 2>>"$out/log.txt" | tee -a "$out/bench.jsonl"
      if "$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
        "$python" benches/torch_gpu.py --size $size --precision $precision --evaluations 5 2>>"$out/log.txt" | tee -a "$out/bench.jsonl"
      fi
    done
    "$bin" bench --devices cuda:0 --size $size --precision $precision --evaluations 5 --forward --json 2>>"$out/log.txt" >> "$out/forward.jsonl"
  done
done

python3 benches/gpu_table.py "$out/bench.jsonl" 2>&1 | tee -a "$out/log.txt"

step "planned and painted: the poster of pipelines/poster.toml at 6048 px, 600/200/66/30 evaluations"
if [ "${POSTER:-yes}" = yes ]; then
  poster=("$root/pipelines/poster.toml" --set "output.directory=\"$out/poster\"" --set output.long-side-px=8064
    --set 'pyramid.evaluations=[600,200,66,30]' --set 'compute.devices=["cuda:0"]' --set compute.memory-gib=0)
  keep "$bin" plan "${poster[@]}"
  (while sleep 0.5; do nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits; done) > "$out/memory.csv" 2>/dev/null &
  sampler=$!
  began=$(date +%s)
  # Stopped in time it leaves the picture so far, and the next call resumes.
  timeout --signal=INT $((60 * ${MINUTES:-4})) "$bin" run "${poster[@]}" --json > "$out/poster.jsonl" 2>>"$out/log.txt"
  echo "exit code $?, $(($(date +%s) - began)) s, $(sort -n "$out/memory.csv" | tail -1) MiB of the GPU at most" | tee -a "$out/log.txt"
  kill $sampler
fi
step "done: $out"
