#!/bin/sh
# The whole program on the CUDA backend executed on the CPU: a small search, undisturbed and
# interrupted, to the same bits. Usage: cuda_on_cpu_search.sh TAPER CONFIG BACKEND FOLDER
set -eu
taper=$1 config=$2 backend=$3 folder=$4
# Executed CUDA is slow: a few small batches.
settings="--device cuda --set backend=$backend --set data.train_images=96 \
--set data.holdout_images=20 --set data.test_images=32 --set supernet.epochs=1 \
--set supernet.batch_images=24 --set supernet.subnets_per_batch=4 --set train.epochs=1 \
--set train.batch_images=24 --set search.samples=2 --set search.reduction=0.4 \
--set search.calibration_images=24 --set supernet.save_seconds=0 --set train.save_seconds=0"
rm -rf "$folder"
mkdir -p "$folder"

fail() {
    echo "cuda_on_cpu_search.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    exit 1
}

# shellcheck disable=SC2086  # $settings is a list of words
run() { # FOLDER [COMMAND THAT RUNS IT...]
    out=$1
    shift
    "$@" "$taper" run "$config" $settings --out "$folder/$out" >>"$folder/output.txt" 2>&1
}

start=$(date +%s%N)
run whole || fail "the undisturbed run failed"
seconds=$(awk "BEGIN {print ($(date +%s%N) - $start) / 1e9}")
grep -q "device: cuda" "$folder/whole/log.jsonl" || fail "it was not the CUDA backend that ran"
tail -n 1 "$folder/whole/log.jsonl" | grep -q '"event": "done"' ||
    fail "log.jsonl does not end with done"

# Interrupted at ever later moments until a run gets through.
cuts=0 code=1
while [ $code -ne 0 ]; do
    cuts=$((cuts + 1))
    [ $cuts -le 15 ] || fail "the run does not get through"
    code=0
    run cut timeout --foreground -s INT "$(awk "BEGIN {print $cuts * $seconds * 0.2}")" || code=$?
    case $code in
    0 | 3 | 124) ;;
    *) fail "an interrupted run ended with code $code" ;;
    esac
done
[ $cuts -gt 1 ] || fail "the run was never interrupted"
for file in supernet.safetensors search.jsonl found.yaml found.safetensors; do
    cmp "$folder/whole/$file" "$folder/cut/$file" || fail "$file differs after $cuts parts"
done
echo "cuda_on_cpu_search.sh: the same bits in $cuts parts, $seconds s undisturbed"
