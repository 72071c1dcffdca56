#!/bin/sh
# The n-th allocation, write or sync of a whole run, or of packing pictures, fails: one sentence, exit
# code 1, and the folder then goes on to the same bits, the pack to the same file. Usage: faults.sh TAPER CONFIG FAULTS FOLDER [SAMPLES OF EACH KIND]
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

one_sentence() { # WHERE
    if [ "$(wc -l <"$folder/error.txt")" -ne 1 ] || ! grep -q '^error: .' "$folder/error.txt"; then
        fail "not one sentence after $1"
    fi
}

# 1100 pictures of three pixels: the list of what is packed is saved on the way, and at the end.
mkdir -p "$folder/pictures/train/a"
number=1000
while [ $number -lt 2100 ]; do
    printf 'P5 4 1 255\n%d' $number >"$folder/pictures/train/a/$number.pgm"
    number=$((number + 1))
done
pack() { # FILE [COMMAND THAT RUNS IT...]
    file=$1
    shift
    "$@" "$taper" data pack "$config" --out "$file" --threads 2 --set data.source=folder \
        --set "data.folder=$folder/pictures" >"$folder/output.txt" 2>"$folder/error.txt"
}
same_pack() { cmp "$1" "$2" >&2; }

# The calls of one kind that a piece of work makes, some of them failed, one at a time.
fail_calls() { # run|pack KIND
    work=$1 kind=$2
    rm -rf "$folder"/cut*
    "$work" "$folder/cut" env "LD_PRELOAD=$faults" FAULT="$kind" "FAULT_COUNT=$folder/count" ||
        fail "the counted $work failed"
    calls=$(cat "$folder/count")
    [ "$calls" -ge 5 ] || fail "only $calls calls of kind $kind: are they counted?"
    sample=0 survived=0 count=$((calls < samples ? calls : samples))
    while [ $sample -lt $count ]; do
        at=$((1 + (calls - 1) * sample / (count - 1)))
        rm -rf "$folder"/cut*
        code=0
        "$work" "$folder/cut" env "LD_PRELOAD=$faults" FAULT="$kind" FAULT_AT=$at || code=$?
        where="$kind call $at of $calls"
        case $code in
        0) survived=$((survived + 1)) ;; # what failed was not needed, like a report
        1) one_sentence "$where" ;;
        *) fail "exit code $code after $where" ;;
        esac
        [ -z "$(find "$folder"/cut* -name '*.tmp' 2>/dev/null)" ] || fail "$where leaves a temporary file"
        "$work" "$folder/cut" || fail "the $work does not go on after $where"
        "same_$work" "$folder/whole-$work" "$folder/cut" || fail "the bits differ after $where"
        sample=$((sample + 1))
    done
    echo "faults.sh: $work: $kind: $count of $calls calls failed, $survived without effect; the same bits"
}

for work in run pack; do
    $work "$folder/whole-$work" || fail "the undisturbed $work failed"
    for kind in memory write sync; do
        fail_calls $work $kind
        # nearly half of the allocations are those of the report, without which a run goes on
        [ $work = pack ] || [ $((4 * survived)) -le $((3 * count)) ] ||
            fail "$survived of $count $kind faults had no effect"
    done
done
