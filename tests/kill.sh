#!/bin/sh
# A run killed with SIGKILL at N random moments of every step, with changing numbers of threads, ends
# in the same folder as an undisturbed one. Usage: kill.sh N TAPER CONFIG FOLDER [SEED]
set -eu
kills=$1 taper=$2 config=$3 folder=$4 seed=${5:-1}
# shellcheck source=tests/small_run.sh
. "$(dirname "$0")/small_run.sh"
rm -rf "$folder"
mkdir -p "$folder"
small_data "$folder/data"
settings=$(small_settings "$folder/data")

fail() {
    echo "kill.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    exit 1
}

# shellcheck disable=SC2086  # $settings is a list of words
step() { # NAME OUT THREADS [COMMAND THAT RUNS IT...]
    name=$1 out=$2 threads=$3
    shift 3
    "$@" "$taper" "$name" "$config" $settings --out "$out" --threads "$threads" \
        >>"$folder/output.txt" 2>&1
}

# The next random moment in 0..$1 seconds, from a seed that goes on from call to call.
moment() {
    seed=$((seed * 1103515245 % 2147483648 + 12345))
    awk "BEGIN {srand($seed); print 0.001 + rand() * $1}"
}

begin() { # STEP: a folder in which the steps before it are done
    rm -rf "$folder/cut"
    if [ -d "$folder/before-$1" ]; then cp -a "$folder/before-$1" "$folder/cut"; fi
}

# The undisturbed run, with the folder kept as it is before every step.
for name in supernet search train; do
    if [ -d "$folder/whole" ]; then cp -a "$folder/whole" "$folder/before-$name"; fi
    step "$name" "$folder/whole" 1 || fail "the undisturbed $name failed"
    cp -a "$folder/whole" "$folder/after-$name"
done
step run "$folder/after-run" 1 || fail "the undisturbed run failed"
same_run "$folder/whole" "$folder/after-run" || fail "steps and the whole run differ"

for name in supernet search train run; do
    begin "$name"
    start=$(date +%s%N)
    step "$name" "$folder/cut" 1 || fail "the timed $name failed"
    seconds=$(awk "BEGIN {print ($(date +%s%N) - $start) / 1e9}")
    begin "$name"
    killed=0 finished=0 threads=1
    while [ $killed -lt "$kills" ]; do
        code=0
        at=$(moment "$seconds")
        step "$name" "$folder/cut" $threads timeout --foreground -s KILL "$at" || code=$?
        threads=$((3 - threads))
        case $code in
        137) killed=$((killed + 1)) ;;
        124) ;; # it ended by itself just then: the next one sees what it left
        0)
            same_run "$folder/after-$name" "$folder/cut" ||
                fail "$name differs after $killed kills (the last moment was $at s)"
            finished=$((finished + 1))
            begin "$name"
            ;;
        *) fail "a killed $name ended with code $code" ;;
        esac
    done
    step "$name" "$folder/cut" 2 || fail "$name cannot go on after $killed kills"
    same_run "$folder/after-$name" "$folder/cut" || fail "$name differs after $killed kills"
    echo "kill.sh: $name: the same bits in $((finished + 1)) runs with $killed kills in $seconds s"
done
