#!/bin/sh
# A run exports what it trained, exports nothing that does not belong together, and another run can
# start from its weights. Usage: exports.sh TAPER CONFIG FOLDER
#
# With tests/python_environment.sh's libraries onnxruntime runs found.onnx on the test images.
set -eu
taper=$1 config=$2 folder=$3
here=$(dirname "$0")
rm -rf "$folder"
mkdir -p "$folder"

fail() {
    echo "exports.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    exit 1
}

run() { # OPTION...
    "$taper" run "$config" --threads 1 "$@"
}

quietly() {
    "$@" >>"$folder/output.txt" 2>&1
}

# The command must end with exit code 2 and a sentence that has these words.
refused() { # WORDS COMMAND...
    words=$1 code=0
    shift
    "$@" >"$folder/refusal.txt" 2>&1 || code=$?
    cat "$folder/refusal.txt" >>"$folder/output.txt"
    [ $code -eq 2 ] || fail "exit code $code, not 2: $*"
    grep -q "$words" "$folder/refusal.txt" || fail "no words '$words': $*"
}

refused 'train.init: .*missing.safetensors' run --out "$folder/early" \
    --set train.init="$folder/missing.safetensors"
[ ! -e "$folder/early" ] || fail "a missing train.init was noticed too late"
quietly "$taper" supernet "$config" --out "$folder/early" || fail "no super-network"
quietly "$taper" search "$folder/early" || fail "no search"
refused 'has no trained network' "$taper" export "$folder/early"
[ ! -e "$folder/early/found.py" ] || fail "an export of nothing"

quietly run --out "$folder/first" || fail "the run failed"
grep -q '^class Network' "$folder/first/found.py" || fail "no found.py"
grep -q 'exported: .*found.onnx' "$folder/output.txt" ||
    grep -q 'not exported: .*built without ONNX' "$folder/output.txt" || fail "no found.onnx"

# The same bytes by the command alone.
cp "$folder/first/found.py" "$folder/before.py"
rm "$folder/first/found.py"
quietly "$taper" export "$folder/first" --format pytorch || fail "no export"
cmp "$folder/before.py" "$folder/first/found.py" || fail "another found.py"

# A network of other keys is not what found.safetensors holds.
refused 'has no trained network' "$taper" export "$folder/first" --set train.epochs=1
refused 'neither onnx nor pytorch' "$taper" export "$folder/first" --format jpeg
cmp "$folder/before.py" "$folder/first/found.py" || fail "a refused export changed found.py"

# Trained for no time at all, a network that starts from these weights answers as they do.
quietly run --out "$folder/second" --set train.init="$folder/first/found.safetensors" \
    --set train.epochs=0 || fail "train.init failed"
for which in first second; do
    "$taper" evaluate "$folder/$which" >"$folder/$which.txt"
done
cmp "$folder/first.txt" "$folder/second.txt" || fail "train.init starts from something else"
quietly run --out "$folder/third" --set train.epochs=0 || fail "a run without train.init failed"
"$taper" evaluate "$folder/third" >"$folder/third.txt"
! cmp -s "$folder/first.txt" "$folder/third.txt" || fail "train.init makes no difference"
refused 'there is no tensor\|is expected' run --out "$folder/fourth" \
    --set train.init="$folder/first/supernet.safetensors"
[ ! -e "$folder/fourth/found.safetensors" ] || fail "weights of something else were taken"

exec "$here/run_python.sh" "$here/check_exports.py" "$folder/first" --run "$taper"
