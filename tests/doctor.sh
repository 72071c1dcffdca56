#!/bin/sh
# `taper doctor` names this machine and says, without a card as well, how CUDA stands.
# Usage: doctor.sh TAPER [BACKEND], a BACKEND that is executed on the CPU
set -eu
taper=$1 backend=${2:-}

fail() {
    printf 'doctor.sh: %s in:\n%s\n' "$1" "$text" >&2
    exit 1
}

# doctor WORDS... -- OPTIONS...: it succeeds and says the words.
doctor() {
    words=""
    while [ "$1" != -- ]; do words="$words|$1" && shift; done
    shift
    text=$("$taper" doctor "$@" 2>&1) || fail "exit code $?"
    IFS='|'
    for word in ${words#|}; do
        case $text in *"$word"*) ;; *) fail "no '$word'" ;; esac
    done
    unset IFS
}

doctor "taper " "-march=" "processor " "cores " "memory " "/dev/shm " "CUDA backend " --
doctor "/no/such.so" "cannot open" "if a library is missing" -- --backend /no/such.so
if [ -n "$backend" ]; then
    doctor "$backend" "runtime " "driver for CUDA up to " "device 0: " "compute capability 9.0" \
        "multiprocessors" "works: --device cuda" -- --backend "$backend"
    export CUDA_ON_CPU_DEVICES=0
    doctor "no driver" "no CUDA device" "nvidia-smi" -- --backend "$backend"
fi
