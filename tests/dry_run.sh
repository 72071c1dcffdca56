#!/bin/sh
# All steps of the ImageNet recipes, made small: 2,000 synthetic tiles of 1,000 classes, 64x64 pixels, one
# epoch, two iterations of four samples, learning rates as small as the batches. The rest is as the files say.
# Usage: dry_run.sh MAKE_TILES TAPER FOLDER CONFIG...
set -eu
make_tiles=$1 taper=$2 folder=$3
shift 3
rm -rf "$folder"
mkdir -p "$folder"

fail() {
    echo "dry_run.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    exit 1
}

"$make_tiles" "$folder/tiles" 1000 64 2 1
"$taper" data info "$1" --set "data.folder=$folder/tiles" >"$folder/output.txt"
grep -q '^train: 2,000 pictures of 1000 classes' "$folder/output.txt" || fail "the tiles are not as said"

supernet=
for config; do
    run=$folder/$(basename "$config" .yaml)
    # shellcheck disable=SC2086  # $supernet: an option and its value, or nothing
    "$taper" run "$config" --out "$run" $supernet \
        --set "data.folder=$folder/tiles" --set data.holdout_images=1000 \
        --set network.input.height=64 --set network.input.width=64 \
        --set supernet.epochs=1 --set supernet.warmup_epochs=0.2 --set supernet.width_warmup_epochs=0.5 \
        --set supernet.batch_images=64 --set supernet.subnets_per_batch=8 --set supernet.learning_rate=0.05 \
        --set search.samples=4 --set search.budgets.0.share=0.85 --set search.reduction=0.08 \
        --set search.calibration_images=64 --set search.holdout_images=100 \
        --set latency.repetitions=10 --set latency.interval=0.05 --set latency.seconds=0.05 \
        --set train.epochs=1 --set train.warmup_epochs=0.2 --set train.batch_images=64 --set train.learning_rate=0.004 \
        >>"$folder/output.txt" 2>&1 || fail "$config does not run"
    supernet="--supernet $run/supernet.safetensors" # the other recipe trains the same

    tail -n 1 "$run/log.jsonl" | grep -q '"event": "done"' || fail "$config is not done"
    [ "$(cut -d/ -f2 "$run/holdout.txt" | sort -u | wc -l)" = 1000 ] ||
        fail "not one hold-out picture of each class"
    ! grep -q jumped "$run/log.jsonl" || fail "$config diverges"
    for file in found.yaml found.safetensors evaluation.json report.html; do
        [ -s "$run/$file" ] || fail "$config leaves no $file"
    done
    python3 - "$run" "$config" >&2 <<'END' || fail "the search of $config is not as said"
import json, re, sys
samples = [json.loads(line) for line in open(sys.argv[1] + "/search.jsonl")]
metric = re.search(r"metric: (\w+)", open(sys.argv[2]).read()).group(1)
counts = [sum(s["iteration"] == i for s in samples) for i in range(samples[-1]["iteration"] + 1)]
# Milliseconds are uncertain where other programs run: an iteration may fall deeper than it was asked to.
assert counts == [1, 4, 4] or metric == "latency" and counts == [1, 4], counts
assert [s for s in samples if s["chosen"]][-1]["metrics"][metric] <= 0.85 * samples[0]["metrics"][metric]
END
done
echo "dry_run.sh: the recipes run, all steps"
