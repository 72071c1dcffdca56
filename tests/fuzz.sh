#!/bin/sh
# Runs the fuzzing programs of preset cpu-fuzz, two at a time, from the corpus that is kept.
#
#   tests/fuzz.sh BUILD FOLDER OPTION...     (of libFuzzer: -max_total_time=60, -runs=1000000)
#
# FOLDER receives each program's log, what it adds to the corpus, and an input that it fails on.
set -eu
[ $# -ge 3 ] || { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
build=$1 folder=$2
shift 2
corpus=$(cd "$(dirname "$0")/fuzz/corpus" && pwd)
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1

fuzz() { # NAME OPTION...
    name=$1
    shift
    mkdir -p "$folder/$name"
    "$build/tests/fuzz/fuzz_$name" "$@" -timeout=10 -rss_limit_mb=3000 -print_final_stats=1 \
        -artifact_prefix="$folder/$name-" "$folder/$name" "$corpus/$name" \
        >"$folder/$name.log" 2>&1
}

finish() { # NAME PROCESS
    if wait "$2"; then
        echo "fuzz.sh: $1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$1.log") inputs"
    else
        tail -n 40 "$folder/$1.log" >&2
        echo "fuzz.sh: $1 fails; its input is in $folder" >&2
        failed=1
    fi
}

mkdir -p "$folder"
failed=0
for pair in "config safetensors" "idx reply" "tar pack" "picture jpeg" table; do
    first=${pair% *} second=${pair#* }
    fuzz "$first" "$@" &
    one=$!
    if [ "$second" != "$first" ]; then
        fuzz "$second" "$@" &
        two=$!
        finish "$second" $two
    fi
    finish "$first" $one
done
exit $failed
