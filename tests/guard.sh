#!/bin/sh
# A super-network whose learning rate is far too high: the guard brings it to its end; killed and
# interrupted again and again it ends with the same bits; and at the limit it stops with a sentence.
# Usage: guard.sh TAPER CONFIG FOLDER
set -eu
. "$(dirname "$0")/small_run.sh"
taper=$1 config=$2 folder=$3
settings="--set supernet.epochs=3 --set supernet.learning_rate=1000 --set supernet.guard_window=10 \
--set supernet.guard_returns=20 --set supernet.save_seconds=0"
rm -rf "$folder"
mkdir -p "$folder"

# $settings is a list of words.
supernet() {
    "$taper" supernet "$config" $settings "$@" >>"$folder/output.txt" 2>&1
}

fail() {
    echo "guard.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    exit 1
}

supernet --out "$folder/whole" --threads 1 || fail "the guard does not bring the training to its end"
returns=$(grep -c '"event": "divergence"' "$folder/whole/log.jsonl")
[ "$returns" -ge 2 ] || fail "only $returns returns: the test tests nothing"
grep -q "back to the state before step 0, on from step 10 with 0.5 times the learning rate" \
    "$folder/output.txt" || fail "the first return is not told"

# shellcheck disable=SC2086
run_in_parts 0.02 100 "$folder/output.txt" "$taper" supernet "$config" $settings --out "$folder/cut" ||
    fail "the training does not get through in parts"
[ $cuts -ge 4 ] || fail "it was cut only $((cuts - 1)) times"
cmp "$folder/whole/supernet.safetensors" "$folder/cut/supernet.safetensors" ||
    fail "it ends with other bits after $cuts parts"

code=0
supernet --out "$folder/limit" --set supernet.guard_returns=1 || code=$?
[ $code = 1 ] || fail "at the limit it ended with code $code"
tail -n 1 "$folder/output.txt" | grep -q "^error: .*lower supernet.learning_rate" ||
    fail "at the limit it does not say what to do"
[ ! -e "$folder/limit/supernet.safetensors" ] || fail "at the limit there is a result"
echo "guard.sh: $returns returns, the same bits in $cuts parts"
