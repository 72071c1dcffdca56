#!/bin/sh
# A search over folder pictures of two sizes whose budget only the smaller one meets: the same bits for
# any number of decoding threads and in parts, and a found network of that size for every other command.
# Usage: resolution.sh TAPER CONFIG FOLDER
set -eu
# shellcheck source=tests/small_run.sh
. "$(dirname "$0")/small_run.sh"
taper=$1 config=$2 folder=$3
rm -rf "$folder"
mkdir -p "$folder"

fail() {
    echo "resolution.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    exit 1
}

# Four classes of coloured waves, 60 pictures each for train and 25 for val.
python3 - "$folder/data" <<'END_OF_PYTHON'
import math, os, sys
for part, count in (("train", 60), ("val", 25)):
    for label in range(4):
        os.makedirs("%s/%s/wave%d" % (sys.argv[1], part, label))
        for i in range(count):
            shift = 7 * i + (3 if part == "val" else 0)
            pixels = bytearray()
            for y in range(26):
                for x in range(32):
                    for c in range(3):
                        wave = math.sin((x + y * (label % 2) + shift) * (1 + label + c) / 9)
                        pixels.append(int(127.5 + 90 * wave + (i * 37 + x * 11 + y * 5) % 31))
            open("%s/%s/wave%d/%d.ppm" % (sys.argv[1], part, label, i), "wb").write(b"P6 32 26 255\n" + pixels)
END_OF_PYTHON

budget=60000
run() { # COMMAND ARGUMENT...
    "$taper" "$@" --set data.source=folder --set "data.folder=$folder/data" --set data.crop_padding=0 \
        --set data.holdout_images=40 --set data.train_images=0 --set data.test_images=0 \
        --set search.calibration_images=32 --set supernet.batch_images=32 \
        --set supernet.epochs=4 --set supernet.width_warmup_epochs=1 --set train.distill=0.5 \
        --set train.batch_images=32 --set supernet.save_seconds=0 --set train.save_seconds=0 \
        --set "search.budgets=[{metric: macs, value: $budget}]" --set search.samples=6 \
        --set search.reduction=0.2 >>"$folder/output.txt" 2>&1
}
sizes='network.input={height: [24, 12], width: [28, 14], channels: 3}'

run run "$config" --set "$sizes" --out "$folder/whole" --threads 1 || fail "the run failed"
grep -q 'input: {height: \[24, 12\], width: \[28, 14\], channels: 3}' "$folder/whole/config.yaml" ||
    fail "config.yaml does not hold the sizes"
grep -q 'input: {height: 12, width: 14, channels: 3}' "$folder/whole/found.yaml" ||
    fail "the found network has not the smaller size"
for size in 24 12; do
    grep -q "\"resolution\": $size," "$folder/whole/search.jsonl" || fail "no sample of size $size"
done

# Nothing of the larger size alone meets the budget.
code=0
run run "$config" --set 'network.input={height: 24, width: 28, channels: 3}' --out "$folder/large" ||
    code=$?
[ $code -ne 0 ] && tail -n 1 "$folder/output.txt" | grep -q 'below the smallest' ||
    fail "the budget does not force the smaller size"

run run "$config" --set "$sizes" --out "$folder/decoders" --set data.decoders=3 --threads 2 ||
    fail "the run with three decoding threads failed"
for file in supernet.safetensors found.safetensors; do
    cmp "$folder/whole/$file" "$folder/decoders/$file" || fail "$file depends on the decoding threads"
done

# In parts, and then the same run.
parts() {
    set -- "$taper" run "$folder/whole/config.yaml" --out "$folder/cut"
    run_in_parts 0.1 60 "$folder/output.txt" "$@"
}
parts || fail "the run does not get through in parts"
same_run "$folder/whole" "$folder/cut" || fail "the run in $cuts parts differs"

# What predict answers for every test picture, beside evaluation.json.
grep -q '12×14' "$folder/whole/report.html" || fail "the report does not show the size"
grep -q '^\[N, 3, 12, 14\]' "$folder/whole/found.py" || fail "found.py does not name the size"
"$taper" report "$folder/whole" "$folder/decoders" --out "$folder/both.html" >>"$folder/output.txt" &&
    grep -q '<td>12×14</td><td>12×14</td>' "$folder/both.html" || fail "no size in a report of two"
right=0
for label in 0 1 2 3; do
    "$taper" predict --json "$folder/whole" "$folder/data/val/wave$label"/*.ppm >"$folder/answers.jsonl" ||
        fail "predict failed"
    right=$((right + $(grep -c "\"label\": $label," "$folder/answers.jsonl" || true)))
done
top1=$(grep -o '"top1": [^,}]*' "$folder/whole/evaluation.json" | head -n 1 | sed 's/.*: //')
[ "$(awk "BEGIN {print int($top1 * 100 + 0.5)}")" = "$right" ] ||
    fail "predict has $right of 100 right, evaluate $top1"

# The initial network, of the larger size, in the same folder.
"$taper" train "$folder/cut" --point 0 >>"$folder/output.txt" 2>&1 || fail "point 0 failed"
grep -q 'input: {height: 24, width: 28, channels: 3}' "$folder/cut/found-0.yaml" ||
    fail "the initial network has not the larger size"

run estimate "$config" --set "$sizes" || fail "estimate failed"

code=0
"$taper" run "$config" --out "$folder/idx" \
    --set 'network.input={height: [28, 14], width: [28, 14], channels: 1}' >>"$folder/output.txt" 2>&1 ||
    code=$?
[ $code -eq 2 ] && tail -n 1 "$folder/output.txt" | grep -q 'data.source idx have one' ||
    fail "idx pictures of two sizes were not refused"
echo "resolution.sh: the same bits in $cuts parts; $right of 100 right"
