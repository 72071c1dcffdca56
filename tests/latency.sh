#!/bin/sh
# A search under a budget in milliseconds, killed and interrupted again and again: it ends, what it
# found meets the budget, and no sub-network is measured twice. And one network measured alone.
# Usage: latency.sh TAPER CONFIG FOLDER
set -eu
. "$(dirname "$0")/small_run.sh"
taper=$1 config=$2 folder=$3
rm -rf "$folder"
mkdir -p "$folder"
small_data "$folder/data"

fail() {
    echo "latency.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    exit 1
}

# shellcheck disable=SC2046,SC2086  # lists of words
run_in_parts 0.2 60 "$folder/output.txt" "$taper" run "$config" --out "$folder/run" --device cpu \
    $(small_settings "$folder/data") --set 'search.budgets=[{metric: latency, share: 0.6}]' \
    --set latency.seconds=0.02 --set latency.interval=0.5 ||
    fail "the search does not get through"

python3 - "$folder/run" <<'END' || fail "its files are wrong"
import json, sys
lines = lambda name: [json.loads(line) for line in open(f"{sys.argv[1]}/{name}.jsonl")]
measured, samples, log = lines("latency"), lines("search"), lines("log")
names = [json.dumps(line["subnetwork"]) for line in measured]
assert len(set(names)) == len(names), "a sub-network was measured twice"
latency = {name: line["latency"] for name, line in zip(names, measured)}
for sample in samples:
    assert latency[json.dumps(sample["subnetwork"])] == sample["metrics"]["latency"]
budget = 0.6 * samples[0]["metrics"]["latency"]
last = [sample for sample in samples if sample["chosen"]][-1]
assert last["metrics"]["latency"] <= budget, "the last network is over its budget"
for line in measured:
    assert line["low"] <= line["latency"] <= line["high"] and line["repetitions"] >= 10
told = [event for event in log if event["event"] == "latency"]
assert told and told[0]["device"] == measured[0]["device"] and told[0]["batch_images"] == 1
END

"$taper" latency "$folder/run" --sample 1 --json >"$folder/one.json" 2>>"$folder/output.txt" ||
    fail "a sample cannot be measured"
python3 -c "import json, sys
one = json.load(open(sys.argv[1]))
assert one['network'] == 'sample 1' and 0 < one['low'] <= one['latency'] <= one['high']
assert one['memory'] > 0 and one['threads'] == 1" "$folder/one.json" || fail "its JSON is wrong"

# A budget below the smallest network, and one of nothing, end before anything is written.
for case in "1e-9 below the smallest network" "0 is not within 1e-30"; do
    code=0
    "$taper" run "$config" --out "$folder/none" --device cpu \
        --set "search.budgets=[{metric: latency, value: ${case%% *}}]" \
        --set latency.seconds=0.02 2>"$folder/error.txt" || code=$?
    cat "$folder/error.txt" >>"$folder/output.txt"
    [ $code -eq 2 ] || fail "a budget of ${case%% *} ms ended with code $code"
    grep -q "^error: .*${case#* }" "$folder/error.txt" || fail "no '${case#* }'"
    [ ! -e "$folder/none" ] || fail "a budget of ${case%% *} ms left a folder"
done
echo "latency.sh: ${cuts} parts, nothing measured twice"
