#!/bin/sh
# Compiles one CUDA source (the command line is the arguments) and keeps beside the object what
# kernel_resources.py reads: OBJECT.kept/report, what ptxas says of each kernel, and the PTX.
set -eu
object="" previous=""
for word in "$@"; do
    [ "$previous" != -o ] || object=$word
    previous=$word
done
kept=$object.kept
rm -rf "$kept"
mkdir -p "$kept"
code=0
"$@" -Xptxas -v --keep --keep-dir "$kept" 2> "$kept/report" || code=$?
if [ $code -ne 0 ] || grep -qi 'warning' "$kept/report"; then
    grep -v '^ptxas info\|^    [0-9]* bytes stack frame' "$kept/report" >&2 || true
fi
find "$kept" -type f ! -name report ! -name '*.ptx' -delete
exit $code
