#!/bin/bash
# Everything that only a machine with a GPU can show, in under 8 minutes: build, tests, sanitizers,
# timings of our step and of the PyTorch peer, a small search.
#
#   tests/gpu.sh [--deps FOLDER] [--preset NAME] [--minutes N] [PART...]
#
# Needs a CUDA toolkit, gcc, CMake and, for the peer, a python3 with PyTorch. FOLDER is what
# tests/gpu_deps.sh gathered, for a machine without our libraries. PARTs: configure build test parity
# bench operations ceilings traffic peer search memcheck racecheck compiled; without any: all, in
# this order: what is right, what is fast, and last what takes all the time that it is given. A part
# that fails or outruns its time does not stop the rest. Writes rows.jsonl, log.txt and summary.txt into
# ${OUT:-gpu-results}; exits 1 when a part failed.
# shellcheck disable=SC2016,SC2317  # sed's text; the parts are called by name
set -u
cd "$(dirname "$0")/.." || exit 1

usage() { sed -n '2,/^# \${OUT/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

deps="" preset=cuda minutes=8 wanted=""
while [ $# -gt 0 ]; do
    case $1 in
        --deps) deps=$(cd "${2:?}" && pwd) || exit 2; shift 2 ;;
        --preset) preset=${2:?}; shift 2 ;;
        --minutes) minutes=${2:?}; shift 2 ;;
        -*) usage ;;
        *) wanted="$wanted $1"; shift ;;
    esac
done
wanted="${wanted:- configure build test parity bench operations ceilings traffic peer search memcheck racecheck compiled} "
build=build/$preset
device=$([ "$preset" = cpu ] && echo cpu || echo cuda)
out=${OUT:-gpu-results}
deadline=$((SECONDS + 60 * minutes - 10))

for toolkit in "${CUDA_HOME:-}" /usr/local/cuda /usr/local/cuda-*; do
    command -v nvcc >/dev/null && break
    [ -x "$toolkit/bin/nvcc" ] && PATH=$toolkit/bin:$PATH
done
if [ -n "$deps" ]; then
    command -v pkg-config >/dev/null || PATH=$PATH:$deps/bin
    export PKG_CONFIG_PATH=$deps/lib/pkgconfig
fi
export PATH deps preset build device PYTHONUNBUFFERED=1

# --- The parts. Each runs in a shell of its own with `set -eu`.

part_configure() {
    local options=() card
    if ! command -v ninja >/dev/null; then options+=(-G "Unix Makefiles"); fi
    if [ -n "$deps" ]; then options+=("-DCMAKE_PREFIX_PATH=$deps"); fi
    # code for this card only: a third of the compiling
    card=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .)
    if [ -n "$card" ]; then options+=("-DCMAKE_CUDA_ARCHITECTURES=$card-real"); fi
    cmake --preset "$preset" "${options[@]}"
}

part_build() {
    cmake --build --preset "$preset" --parallel "$(nproc)"
    "$build/taper" doctor
}

part_test() { ctest --preset "$preset" -L gpu --parallel 4; }

# One training step: ARGUMENTS of bench_step after the network. On the GPU its backend lies one folder
# above the program.
bench() { # NETWORK ARGUMENTS...
    local network=benchmarks/$1.yaml where=()
    shift
    if [ "$device" = cuda ]; then where=("device=cuda" "backend=$build/libtaper_cuda.so"); fi
    "$build/benchmarks/bench_step" "$network" "$@" "${where[@]}"
}

# Prints JSON rows, and the times of single operations, which the timing of each slows down: no row.
part_bench() {
    bench mobilenet-v3 1 1 per_group full 30 batch=128
    bench mobilenet-v3 1 16 per_group full 30 batch=128
    bench mobilenet-v3 1 16 per_group uniform 30 batch=128
    bench mobilenet-v3 1 1 per_group full 30 batch=128 precision=fp32
    bench net-s 1 8 per_group uniform 30 batch=64
    bench mobilenet-v3 1 1 per_group full 30 batch=128 profile | grep -v '^{'
}

# Every operation and whole passes, in both precisions. The pass goes first: it is short.
sanitize() { # TOOL
    local what precision help few=()
    help=$(compute-sanitizer --help)
    # a checked launch is 10 to 100 times slower
    case $help in *--launch-count*) few=(--launch-count 400) ;; esac
    for what in pass ops; do
        for precision in fp32 bf16; do
            echo "$1: $what $precision"
            compute-sanitizer --tool "$1" --error-exitcode 9 "${few[@]}" \
                "$build/tests/test_${what}_cuda" "$build/libtaper_cuda.so" "$precision"
        done
    done
}

part_memcheck() { sanitize memcheck; }

part_racecheck() { sanitize racecheck; }

part_search() {
    local run=$build/gpu-search settings=(--set "device=$device")
    if [ -n "$deps" ]; then settings+=(--set "data.folder=$deps/fashion-mnist"); fi
    rm -rf "$run"
    "$build/taper" run configs/smoke.yaml --out "$run" "${settings[@]}" >"$run.txt"
    printf '{"what": "small search", "device": "%s", "result": "%s", "command": "%s"}\n' \
        "$device" "$(tr '\r' '\n' <"$run.txt" | tail -1)" "taper run configs/smoke.yaml ${settings[*]}"
}

# Single operations, the products among them beside cuBLAS; and what is counted for them.
part_operations() {
    local rows=$build/operations.jsonl
    "$build/benchmarks/bench_operations" "backend=$build/libtaper_cuda.so" | tee "$rows"
    python3 benchmarks/peers/cublas_products.py "$rows"
    "$build/benchmarks/bench_roofline" 2>"$build/roofline.txt" # its table is for people
}

# Single steps and a short training against the CPU's.
part_parity() {
    "$build/benchmarks/bench_parity" "backend=$build/libtaper_cuda.so" "threads=$(nproc)"
}

# Needs the right to read a card's counters.
part_traffic() { python3 benchmarks/device_traffic.py "$build"; }

part_ceilings() { python3 benchmarks/peers/ceilings.py; }

peer=benchmarks/peers/torch_ordered_dropout_cuda.py
export peer

part_peer() {
    python3 "$peer" --cuda-graphs
    python3 "$peer" --net s --cuda-graphs
}

# Compiling takes minutes; the time limit may cut it off.
part_compiled() { python3 "$peer" --compile; }

# --- Running them.

describe() {
    local commit name driver torch
    commit=$(git rev-parse --short HEAD 2>/dev/null) || commit=${COMMIT:-unknown}
    name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1)
    driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -1)
    torch=$(timeout 60 python3 -c 'import torch; print(torch.__version__)' 2>/dev/null)
    printf '{"what": "machine", "device": "%s", "driver": "%s", "nvcc": "%s", "gcc": "%s", ' \
        "${name:-none}" "${driver:-none}" \
        "$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')" \
        "$(gcc -dumpfullversion)"
    printf '"cmake": "%s", "torch": "%s", "cores": %d, "commit": "%s"}\n' \
        "$(cmake --version | sed -n 's/cmake version //p')" \
        "$torch" "$(nproc)" "$commit"
}

failed=0
run_part() { # NAME SECONDS
    local name=$1 limit=$2 left=$((deadline - SECONDS)) start=$SECONDS status result
    case $wanted in *" $name "*) ;; *) return ;; esac
    [ "$limit" -le "$left" ] || limit=$left
    if [ "$limit" -lt 5 ]; then
        printf '%-10s %-8s\n' "$name" "no time" >>"$out/summary.txt"
        failed=1
        return
    fi
    echo "== $name, at most $limit s"
    timeout --kill-after=5 "$limit" bash -euo pipefail -c "part_$name" >"$out/part.txt" 2>&1
    status=$?
    case $status in
        0) result=ok ;;
        124 | 137) result="time out" ;;
        *) result="failed $status" ;;
    esac
    [ $status -eq 0 ] || { failed=1; tail -40 "$out/part.txt"; }
    grep '^{' "$out/part.txt" >>"$out/rows.jsonl"
    { echo "== $name: $result"; cat "$out/part.txt"; } >>"$out/log.txt"
    printf '%-10s %-10s %4d s  %s\n' "$name" "$result" $((SECONDS - start)) \
        "$(grep -v '^{' "$out/part.txt" | grep . | tail -1 | cut -c1-110)" >>"$out/summary.txt"
    rm "$out/part.txt"
}

mkdir -p "$out"
rm -f "$out/rows.jsonl" "$out/log.txt" "$out/summary.txt"
describe | tee "$out/rows.jsonl"
while read -r part; do export -f "${part?}"; done < <(compgen -A function part_)
export -f bench sanitize

run_part configure 40
run_part build 180
run_part test 100
run_part parity 60
run_part bench 60
run_part operations 90
run_part ceilings 30
run_part traffic 60
run_part peer 100
run_part search 40
run_part memcheck 60
run_part racecheck 60
run_part compiled 200

echo
cat "$out/rows.jsonl"
echo
cat "$out/summary.txt"
exit $failed
