#!/usr/bin/env bash
# Kills a small run fifty times with SIGKILL and compares what is left with a run that was never killed, bit for bit; then
# fills its disk and makes its directory read-only, where this user may mount a small tmpfs.
#
#   scripts/kill_test.sh [KILLS]
set -euo pipefail
cd "$(dirname "$0")/.."
kills="${1:-50}"

CCFACE_KILLS="$kills" cargo test --release -p ccface-tests --no-default-features --test it -- \
  killed_again_and_again goes_on_bit_for_bit
cargo build --release -p ccface-cli
target="${CARGO_TARGET_DIR:-target}"
ccface="$target/release/ccface"

work="$(mktemp -d)"
mounted=()
finish() {
  for place in "${mounted[@]}"; do umount "$place" || true; done
  rm -rf "$work"
}
trap finish EXIT

"$ccface" data synth --out "$work/faces" --identities 6 --images 6 --size 32 >/dev/null 2>&1
train() {
  "$ccface" train --out "$1" --resume --set "data.path=$work/faces" --set student.start=scratch \
    --set 'student.backbone={ kind = "iresnet", blocks = [1, 1, 1, 1], width = 16, input_size = 32, embedding = 64, stem_stride = 2 }' \
    --set train.epochs=6 --set train.batch=8 --set checkpoint.every_steps=1 --set checkpoint.keep=1000
}

mkdir "$work/small"
if ! mount -t tmpfs -o size=6m tmpfs "$work/small" 2>/dev/null; then
  echo 'skipped: full and read-only disks (this user may not mount a tmpfs)'
  exit 0
fi
mounted+=("$work/small")

echo '== a disk that fills up'
code=0
train "$work/small/run" 2>"$work/full.log" || code=$?
tail -n 1 "$work/full.log"
[ "$code" = 2 ] || { echo "exit code $code instead of 2"; exit 1; }
grep -q 'No space left' "$work/full.log"
mount -o remount,size=256m "$work/small"
train "$work/small/run" 2>"$work/room.log"
train "$work/whole" 2>/dev/null
cmp "$work/small/run/metrics.jsonl" "$work/whole/metrics.jsonl"
cmp "$work/small/run/model/model.safetensors" "$work/whole/model/model.safetensors"
echo 'with room again it went on and ended as a run that never lacked any'

echo '== a read-only directory'
mount -o remount,ro "$work/small"
code=0
train "$work/small/other" 2>"$work/ro.log" || code=$?
tail -n 1 "$work/ro.log"
[ "$code" = 2 ] || { echo "exit code $code instead of 2"; exit 1; }
grep -q 'Read-only' "$work/ro.log"
echo 'all as it should be'
