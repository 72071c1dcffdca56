#!/bin/sh
# A run that is killed or interrupted again and again, with changing numbers of threads, leaves the
# same bits as an undisturbed one. Usage: resume.sh TAPER CONFIG FOLDER
set -eu
. "$(dirname "$0")/small_run.sh"
taper=$1 config=$2 folder=$3
# Long enough to be cut many times, and saved after every step.
settings="--set supernet.epochs=3 --set train.epochs=3 --set search.samples=8 \
--set search.reduction=0.05 --set supernet.save_seconds=0 --set train.save_seconds=0"
rm -rf "$folder"
mkdir -p "$folder"

# $settings is a list of words.
run() {
    "$taper" run "$config" $settings "$@" >>"$folder/output.txt" 2>&1
}

fail() {
    echo "resume.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    exit 1
}

run --out "$folder/whole" --threads 1 || fail "the undisturbed run failed"

# shellcheck disable=SC2086
run_in_parts 0.05 60 "$folder/output.txt" "$taper" run "$config" $settings --out "$folder/cut" ||
    fail "the run does not get through in parts"

for file in supernet.safetensors search.jsonl found.yaml found.safetensors found.py found.onnx; do
    [ -e "$folder/whole/$file" ] || continue # found.onnx, in a program without ONNX
    cmp "$folder/whole/$file" "$folder/cut/$file" || fail "$file differs after $cuts parts"
done
tail -n 1 "$folder/cut/log.jsonl" | grep -q '"event": "done"' || fail "log.jsonl does not end with done"
left=$(ls "$folder/cut" | grep -E 'state|scores|tmp' || true)
[ -z "$left" ] || fail "files of unfinished steps are left: $left"

# A changed budget searches and trains again, with the same super-network.
cp "$folder/whole/found.yaml" "$folder/first.yaml"
cp "$folder/whole/supernet.safetensors" "$folder/first.safetensors"
run --out "$folder/whole" --set 'search.budgets=[{metric: macs, share: 0.4}]' ||
    fail "a changed budget failed"
cmp "$folder/first.safetensors" "$folder/whole/supernet.safetensors" ||
    fail "a changed budget trained the super-network again"
! cmp -s "$folder/first.yaml" "$folder/whole/found.yaml" ||
    fail "a changed budget found the same network"

# Another run's super-network is taken if its keys agree.
run --out "$folder/adopted" --supernet "$folder/first.safetensors" || fail "--supernet failed"
cmp "$folder/cut/found.safetensors" "$folder/adopted/found.safetensors" ||
    fail "an adopted super-network gives another result"
code=0
run --out "$folder/other" --supernet "$folder/first.safetensors" --set seed=2 || code=$?
[ $code -eq 2 ] || fail "a super-network of another seed was taken"

# A finished super-network of other keys is never replaced.
code=0
run --out "$folder/cut" --set supernet.learning_rate=0.2 || code=$?
[ $code -eq 2 ] || fail "a conflicting super-network was not refused (code $code)"
cmp "$folder/cut/supernet.safetensors" "$folder/first.safetensors" || fail "it was even replaced"

# Another point of the trade-off curve, and any sample: the first of both is the initial network.
for other in "point 0 0" "sample 0 sample-0"; do
    # shellcheck disable=SC2086  # a list of words
    set -- $other
    "$taper" train "$folder/cut" "--$1" "$2" >>"$folder/output.txt" 2>&1 || fail "--$1 $2 failed"
    [ -e "$folder/cut/found-$3.safetensors" ] || fail "--$1 $2 left no found-$3.safetensors"
done
cmp "$folder/cut/found-0.yaml" "$folder/cut/found-sample-0.yaml" ||
    fail "the initial network is not the same as a point and as a sample"
code=0
"$taper" train "$folder/cut" --sample 99999 >>"$folder/output.txt" 2>&1 || code=$?
[ $code -eq 2 ] || fail "a sample that is not there was not refused (code $code)"

# Its training begun with another seed: another start of the same network.
cp "$folder/cut/found.safetensors" "$folder/first.safetensors"
"$taper" train "$folder/cut" --set train.seed=7 >>"$folder/output.txt" 2>&1 || fail "train.seed=7 failed"
! cmp -s "$folder/cut/found.safetensors" "$folder/first.safetensors" || fail "train.seed changed nothing"
echo "resume.sh: the same bits in $cuts parts"
