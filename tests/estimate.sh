#!/bin/sh
# What `taper estimate` says of pictures that are there, and of such that are not, beside what the files
# and a run say. Usage: estimate.sh MAKE_TILES TAPER CONFIG FOLDER
set -eu
make_tiles=$1 taper=$2 config=$3 folder=$4
recipe=$(dirname "$config")/imagenet-mobilenet-v3.yaml
rm -rf "$folder"
mkdir -p "$folder"

fail() {
    echo "estimate.sh: $1" >&2
    cat "$folder/output.txt" >&2
    exit 1
}

estimate() { # ARGUMENT...
    "$taper" estimate "$@" >"$folder/output.txt" 2>&1 || fail "estimate $* fails"
}

says() { # NAME WORDS: in the line of that name
    grep "^$1  *" "$folder/output.txt" | grep -qF -- "$2" || fail "no '$2' in the line '$1'"
}

says_nothing_of() {
    ! grep -q "$1" "$folder/output.txt" || fail "should not speak of '$1'"
}

refuses() { # WORDS ARGUMENT...
    words=$1
    shift
    if "$taper" estimate "$@" >"$folder/output.txt" 2>&1; then code=0; else code=$?; fi
    [ $code = 2 ] || fail "estimate $* exits with $code"
    grep -qF "$words" "$folder/output.txt" || fail "estimate $* does not say '$words'"
}

# Pictures in memory. The super-network's file holds its weights and a header.
estimate "$config"
says_nothing_of missing
says super-network "62 steps" # 2 epochs of 2,000 images in batches of 64
says training "2 epochs of 2000 images at 60 % of the MACs"
says loader "of the pictures in memory"
"$taper" supernet "$config" --set supernet.epochs=0.1 --out "$folder/run" >"$folder/run.txt" 2>&1
python3 - "$folder" >&2 <<'END' || fail "the super-network has another size"
import json, os, re, struct, sys
said = re.search(r"super-network ([0-9.]+) kB", open(sys.argv[1] + "/output.txt").read()).group(1)
file = open(sys.argv[1] + "/run/supernet.safetensors", "rb").read()
weights = len(file) - 8 - struct.unpack("<Q", file[:8])[0]
assert 0 <= float(said) * 1e3 / weights - 1 < 0.05, (said, weights) # rows are padded in memory
END

# Missing: no times without a number of images, and with one.
estimate "$config" --set data.folder=/nowhere --set data.train_images=0
says pictures "missing: /nowhere/train-images-idx3-ubyte.gz does not exist"
says_nothing_of "^search  "
says_nothing_of "^loader"
estimate "$config" --set data.folder=/nowhere --set data.train_images=60000
says super-network "1874 steps"

# ImageNet before it is there.
small="--set network.input.height=64 --set network.input.width=64"
small="$small --set supernet.batch_images=32 --set supernet.subnets_per_batch=2"
# shellcheck disable=SC2086  # a list of words
estimate "$recipe" --set data.folder=/nowhere $small
says "initial network" "5.483 M parameters"
says pictures "missing: cannot open folder /nowhere/train"
says loader "of synthetic JPEG files of 500x375"
says super-network "3972300 steps" # 100 epochs of (1,281,167 - 10,000) images in batches of 32
says "pictures in memory" "for 50,000 test images"

# Files that are there. A pack has their bytes and 16 more of each.
"$make_tiles" "$folder/tiles" 10 32 20 5
# shellcheck disable=SC2086
estimate "$recipe" --set "data.folder=$folder/tiles" --set data.holdout_images=40 $small
says_nothing_of missing
says loader "of the training part's files"
says super-network "500 steps" # 100 epochs of 160 images
says "pictures in memory" "for 200 calibration and hold-out images"
says "pictures in memory" "for 50 test images"
python3 - "$folder" >&2 <<'END' || fail "the packs have another size"
import os, re, sys
said = re.search(r"([0-9.]+) kB for packs .*: 200 training, 50 test", open(sys.argv[1] + "/output.txt").read())
sizes = [os.path.getsize(os.path.join(where, name)) + 16
         for where, _, names in os.walk(sys.argv[1] + "/tiles") for name in names]
assert len(sizes) == 250 and abs(float(said.group(1)) * 1e3 / sum(sizes) - 1) < 0.02, (said, sum(sizes))
END
for part in train test; do # the other sources are opened alike
    "$taper" data pack "$recipe" --set "data.folder=$folder/tiles" --part $part \
        --out "$folder/$part.pack" >>"$folder/run.txt"
done
# shellcheck disable=SC2086
estimate "$recipe" --set data.source=pack --set "data.folder=$folder" --set data.test=test.pack \
    --set data.holdout_images=40 $small
says super-network "500 steps"

# A budget in milliseconds: its share is taken for that of the multiplications.
# shellcheck disable=SC2086
estimate "$recipe" --set "data.folder=$folder/tiles" --set data.holdout_images=40 $small \
    --set 'search.budgets=[{metric: latency, share: 0.25}]'
says search "and the time that measuring takes"
says training "at 25 % of the MACs"

# What a run refuses is no missing picture.
# shellcheck disable=SC2086
refuses "data.holdout_images needs 30" "$recipe" --set "data.folder=$folder/tiles" --set data.holdout_images=300 $small
printf 'no picture' >"$folder/tiles/train/class0003/1.jpg"
# shellcheck disable=SC2086
refuses "class0003/1.jpg" "$recipe" --set "data.folder=$folder/tiles" --set data.holdout_images=40 $small
refuses 'network.input.channels is 2; picture files have 1 or 3' "$recipe" --set network.input.channels=2 \
    --set data.mean=0.5 --set data.deviation=0.5
refuses "data.source must be idx, folder, shards or pack, not 'jpegs'" "$config" --set data.source=jpegs
echo "estimate.sh: estimates are what files and runs say"
