#!/bin/sh
# The n-th allocation, write or sync of a whole run fails: one sentence, exit code 1, and the folder
# then goes on to the same bits. Usage: faults.sh TAPER CONFIG FAULTS FOLDER [SAMPLES OF EACH KIND]
set -eu
taper=$1 config=$2 faults=$3 folder=$4 samples=${5:-8}
# shellcheck source=tests/small_run.sh
. "$(dirname "$0")/small_run.sh"
rm -rf "$folder"
mkdir -p "$folder"
small_data "$folder/data"
settings="$(small_settings "$folder/data") --threads 2"

fail() {
    echo "faults.sh: $1" >&2
    cat "$folder/error.txt" >&2
    exit 1
}

# shellcheck disable=SC2086  # $settings is a list of words
run() { # OUT [COMMAND THAT RUNS IT...]
    out=$1
    shift
    "$@" "$taper" run "$config" $settings --out "$out" >"$folder/output.txt" 2>"$folder/error.txt"
}

run "$folder/whole" || fail "the undisturbed run failed"

for kind in memory write sync; do
    rm -rf "$folder/run"
    run "$folder/run" env "LD_PRELOAD=$faults" FAULT=$kind "FAULT_COUNT=$folder/count" ||
        fail "the counted run failed"
    calls=$(cat "$folder/count")
    [ "$calls" -ge 5 ] || fail "only $calls calls of kind $kind: are they counted?"
    sample=0 survived=0 count=$((calls < samples ? calls : samples))
    while [ $sample -lt $count ]; do
        at=$((1 + (calls - 1) * sample / (count - 1)))
        rm -rf "$folder/run"
        code=0
        run "$folder/run" env "LD_PRELOAD=$faults" FAULT=$kind FAULT_AT=$at || code=$?
        where="$kind call $at of $calls"
        case $code in
        0) survived=$((survived + 1)) ;; # what failed was not needed, like a report
        1)
            if [ "$(wc -l <"$folder/error.txt")" -ne 1 ] || ! grep -q '^error: .' "$folder/error.txt"; then
                fail "not one sentence after $where"
            fi
            ;;
        *) fail "exit code $code after $where" ;;
        esac
        [ -z "$(find "$folder/run" -name '*.tmp' 2>/dev/null)" ] || fail "$where leaves a temporary file"
        run "$folder/run" || fail "the run does not go on after $where"
        same_run "$folder/whole" "$folder/run" || fail "the bits differ after $where"
        sample=$((sample + 1))
    done
    # nearly half of the allocations are those of the report, without which a run goes on
    [ $((4 * survived)) -le $((3 * count)) ] || fail "$survived of $count $kind faults had no effect"
    echo "faults.sh: $kind: $count of $calls calls failed, $survived without effect; the same bits"
done
