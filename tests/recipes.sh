#!/bin/sh
# Options that the default run leaves alone, each in a whole small run: it must end, and change what
# it is said to change and nothing else. Usage: recipes.sh TAPER CONFIG FOLDER
set -eu
taper=$1 config=$2 folder=$3
rm -rf "$folder"
mkdir -p "$folder"

fail() {
    echo "recipes.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    exit 1
}

run() { # NAME OPTION...
    name=$1
    shift
    "$taper" run "$config" --out "$folder/$name" "$@" >>"$folder/output.txt" 2>&1 ||
        fail "$name does not run"
    tail -n 1 "$folder/$name/log.jsonl" | grep -q '"event": "done"' || fail "$name is not done"
}

same() { # FILE RUN RUN
    cmp -s "$folder/$2/$1" "$folder/$3/$1" || fail "$1 of $2 and $3 should be the same"
}

differ() { # FILE RUN RUN
    ! cmp -s "$folder/$2/$1" "$folder/$3/$1" || fail "$1 of $2 and $3 should differ"
}

run plain

# What only concerns the found network: the same super-network and the same search.
trained="--supernet $folder/plain/supernet.safetensors"
for recipe in "distill --set train.distill=0.5 --set train.distill_temperature=2" \
    "fresh --set train.inherit=no" "all-images --set train.use_holdout=yes" \
    "rmsprop --set train.optimiser=rmsprop --set train.learning_rate=0.005 --set train.schedule=step" \
    "smoothed --set train.label_smoothing=0.1"; do
    # shellcheck disable=SC2086  # lists of words
    run $recipe $trained
    name=${recipe%% *}
    same search.jsonl plain "$name"
    same found.yaml plain "$name"
    differ found.safetensors plain "$name"
done

# How the super-network trains: other weights.
for recipe in "shared --set supernet.shared_norm=yes" "single-images --set supernet.subnets_per_batch=64 --set supernet.shared_norm=yes" \
    "uniform --set supernet.draw=uniform" "supernet-rmsprop --set supernet.optimiser=rmsprop --set supernet.learning_rate=0.005"; do
    # shellcheck disable=SC2086
    run $recipe
    differ supernet.safetensors plain "${recipe%% *}"
done

# How it is searched: strategies draw their own samples, several budgets hold at once.
for strategy in single_layer random uniform_scaling evolution; do
    # shellcheck disable=SC2086
    run $strategy $trained --set search.strategy=$strategy --set search.total_samples=12
    differ search.jsonl plain $strategy
done
# shellcheck disable=SC2086
run budgets $trained --set 'search.budgets=[{metric: macs, share: 0.6}, {metric: parameters, share: 0.5}]'
tail -n 1 "$folder/budgets/log.jsonl" >"$folder/done.json"
awk -F'[:,]' '{ for (i = 1; i < NF; i++) { gsub(/[ "{}]/, "", $i); value[$i] = $(i + 1) } }
    END { exit !(value["macs"] <= 0.6 * value["initial_macs"]) }' "$folder/done.json" ||
    fail "a budget of MACs was missed"
echo "recipes.sh: every recipe runs"
