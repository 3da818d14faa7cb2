#!/usr/bin/env bash
# Minimises the same loss from the same start with impasto and with torch.optim.LBFGS, and prints both losses.
#
#   PYTHON=python3 IMPASTO=target/release/impasto benches/lbfgs_vs_torch.sh [LONG_SIDE] [EVALUATIONS...]
#
# PYTHON needs torch, numpy and Pillow. Both read pictures that are already at their final size, so that nothing is
# resized by either, and the shipped weights, which are float16 and computed with in float32.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
impasto=${IMPASTO:-target/release/impasto}
long_side=${1:-512}
shift || true
[ $# -gt 0 ] || set -- 100 300
most=$(printf '%s\n' "$@" | sort -n | tail -1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" benches/lbfgs_torch.py prepare samples/content/chelsea.png samples/style/starry_night.png "$work" "$long_side"
cat > "$work/pipeline.toml" <<TOML
input.content = "content.png"
style.image = "style.png"
output = { directory = "out", scale = 1.0 }
objective = { preset = "gatys", pooling = "max" }
pyramid = { short-side-px = 4096, evaluations = $most }
optimise = { method = "lbfgs", history = 100 }
TOML

"$impasto" run "$work/pipeline.toml" --json \
    | sed -n 's/.*"event":"evaluated".*"total":\([^,}]*\).*/\1/p' > "$work/impasto.txt"
for range in 1 255; do
    "$python" benches/lbfgs_torch.py minimise "$work" weights/vgg19.safetensors "$most" "$range" > "$work/torch-$range.txt"
done

# The first evaluations of both are at the same point: their losses must agree, or the losses are not the same.
printf '%-12s %14s %16s %18s\n' evaluation impasto 'torch, 0..1' 'torch, 0..255'
for n in 1 "$@"; do
    paste <(sed -n "${n}p" "$work/impasto.txt") <(sed -n "${n}p" "$work/torch-1.txt") <(sed -n "${n}p" "$work/torch-255.txt") \
        | awk -v n="$n" '{ printf "%-12d %14.6e %16.6e %18.6e\n", n, $1, $2, $3 }'
done
[ -z "${KEEP:-}" ] || cp "$work"/*.txt "$KEEP"
