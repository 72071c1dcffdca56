#!/bin/sh
# The program on two ranks under MPI: the same bits as on one; killed, stopped and taken up on another
# number of ranks, too; and no file but rank 0's. Usage: ranks.sh TAPER CONFIG FOLDER
set -eu
taper=$1 config=$2 folder=$3
# shellcheck source=tests/small_run.sh
. "$(dirname "$0")/small_run.sh"
if ! command -v mpirun >/dev/null || [ ! -e "$(dirname "$taper")/libtaper_mpi.so" ]; then
    echo "ranks.sh: no MPI: skipped"
    exit 77
fi
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" # MPI's own
rm -rf "$folder"
mkdir -p "$folder"
small_data "$folder/data"
settings="$(small_settings "$folder/data") --set supernet.save_seconds=60 --set train.distill=0.3 --set supernet.epochs=40"

fail() {
    echo "ranks.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    exit 1
}

# shellcheck disable=SC2086  # $settings is a list of words
run() { # OUT ARGUMENT...
    out=$1
    shift
    "$taper" run "$config" $settings --out "$folder/$out" --threads 1 "$@" >>"$folder/output.txt" 2>&1
}

run one || fail "a run on one rank failed"
run two --ranks 2 || fail "a run on two ranks failed"
same_run "$folder/one" "$folder/two" || fail "one and two ranks differ"
run sums --ranks 3 --set cluster.deterministic=no || fail "a run with sums in any order failed"

# Processes of a run in OUT, without the launcher's: rank R.
rank_process() { # OUT R
    for process in $(pgrep -f "out $folder/$1 "); do
        if tr '\0' '\n' <"/proc/$process/environ" 2>/dev/null | grep -qx "OMPI_COMM_WORLD_RANK=$2"; then
            echo "$process"
        fi
    done
}

# A run that is under way: its log has begun.
begin() { # OUT ARGUMENT...
    out=$1
    shift
    run "$out" "$@" --ranks 2 &
    background=$!
    tries=0
    until [ -e "$folder/$out/supernet.state.safetensors" ]; do
        tries=$((tries + 1))
        [ $tries -lt 1000 ] || fail "$out does not begin"
        sleep 0.02
    done
}

ends_with() { # CODE
    code=0
    wait "$background" || code=$?
    [ "$code" -eq "$1" ] || fail "it ended with code $code instead of $1"
}

often="--set supernet.save_seconds=0"
# shellcheck disable=SC2086
begin killed $often
kill -KILL "$(rank_process killed 1)"
ends_with 4
grep -q "error: rank 1 (process [0-9]* on .*) died" "$folder/output.txt" || fail "the dead rank is not named"
[ -z "$(rank_process killed 0)" ] || fail "an orphan is left"
run killed --ranks 2 || fail "a killed run cannot go on"
sed -i '/save_seconds/d' "$folder/killed/config.yaml" "$folder/one/config.yaml"
same_run "$folder/one" "$folder/killed" || fail "a killed run differs"

# shellcheck disable=SC2086
begin stopped $often --set cluster.deadline=300
kill -TERM "$(pgrep -o -f "out $folder/stopped ")"
ends_with 3
run stopped || fail "a stopped run cannot go on with one rank"
sed -i '/save_seconds/d' "$folder/stopped/config.yaml"
same_run "$folder/one" "$folder/stopped" || fail "a stopped run differs"

# A program whose build found no MPI.
mkdir "$folder/without"
cp "$taper" "$folder/without/taper"
code=0
"$folder/without/taper" run "$config" --out "$folder/without/out" --ranks 2 2>"$folder/without.txt" || code=$?
[ $code -eq 1 ] || fail "two ranks without MPI ended with code $code"
grep -q "error: several ranks need the MPI transport, which this taper was built without" \
    "$folder/without.txt" || fail "two ranks without MPI do not say what is missing"

# Programs that a launcher of another kind started do not all write into one folder.
code=0
WORLD_SIZE=2 run alone || code=$?
[ $code -eq 2 ] || fail "rank 0 of 1 under WORLD_SIZE=2 ended with code $code"
grep -q "this is rank 0 of 1, but the environment's WORLD_SIZE says that there are 2" "$folder/output.txt" ||
    fail "rank 0 of 1 does not say what is wrong"
[ ! -e "$folder/alone" ] || fail "rank 0 of 1 made a folder"
