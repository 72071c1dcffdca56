#!/bin/sh
# What is too long for every change: a million inputs for each fuzzing program, a hundred kills in
# every step, sixty failing calls of each kind. Half an hour on two cores; the log is kept.
#
#   cmake --preset cpu && cmake --build --preset cpu && cmake --preset cpu-fuzz &&
#       cmake --build --preset cpu-fuzz && tests/long.sh >tests/logs/long.txt
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
taper=build/cpu/taper config=configs/smoke.yaml

echo "commit $(git rev-parse --short HEAD), $(date +%F)"
tests/kill.sh 100 $taper $config "$folder/kill"
tests/faults.sh $taper $config build/cpu/tests/libfaults.so "$folder/faults" 60
tests/fuzz.sh build/cpu-fuzz "$folder/fuzz" -runs=1000000
rm -rf "$folder"
