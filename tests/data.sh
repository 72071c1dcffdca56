#!/bin/sh
# The commands of `taper data` on one data set as a folder, as shards and as packs: what they print,
# every bad picture named, and a pack killed with SIGKILL at N random moments of packing, with
# changing numbers of threads, of the same bits as an undisturbed one.
# Usage: data.sh N TAPER CONFIG FOLDER [SEED]
set -eu
kills=$1 taper=$2 config=$3 folder=$4 seed=${5:-1}
rm -rf "$folder"
mkdir -p "$folder/packs"

fail() {
    echo "data.sh: $1" >&2
    cat "$folder/output.txt" "$folder/error.txt" >&2
    exit 1
}

# The first 2500 training and 500 test pictures of Debian's Fashion-MNIST, each a PGM file.
python3 - "$folder" <<'END'
import gzip, os, sys
folder = sys.argv[1]
for part, name, count in (("train", "train", 2500), ("val", "t10k", 500)):
    source = "/usr/share/datasets/fashion-mnist/" + name
    pixels = gzip.open(source + "-images-idx3-ubyte.gz").read()[16:]
    labels = gzip.open(source + "-labels-idx1-ubyte.gz").read()[8:]
    for i in range(count):
        file = b"P5 28 28 255\n" + pixels[784 * i:784 * i + 784]
        of_class = "%s/folder/%s/class-%d" % (folder, part, labels[i])
        shard = "%s/shards/%s-%03d" % (folder, part, i // 1000)
        os.makedirs(of_class, exist_ok=True)
        os.makedirs(shard, exist_ok=True)
        open("%s/%05d.pgm" % (of_class, i), "wb").write(file)
        open("%s/%05d.pgm" % (shard, i), "wb").write(file)
        open("%s/%05d.cls" % (shard, i), "w").write(str(labels[i]))
END
for shard in "$folder"/shards/*; do
    tar --sort=name -cf "$shard.tar" -C "$shard" .
    rm -r "$shard"
done

data() { # CODE COMMAND SOURCE FOLDER ARGUMENT...
    wanted=$1 command=$2 source=$3 in=$4 code=0
    shift 4
    "$taper" data "$command" "$config" --set "data.source=$source" --set "data.folder=$in" "$@" \
        >"$folder/output.txt" 2>"$folder/error.txt" || code=$?
    [ $code -eq "$wanted" ] || fail "exit code $code, not $wanted, of: $command $source $*"
}
says() { # WORDS, or their number of lines
    [ "$(grep -cF -- "$1" "$folder/output.txt")" -eq "${2:-1}" ] || fail "no '$1'"
}
complains() {
    [ "$(wc -l <"$folder/error.txt")" -eq 1 ] || fail "not one sentence"
    grep -qF -- "error: $1" "$folder/error.txt" || grep -qF -- "$1" "$folder/error.txt" || fail "no '$1'"
}

# --- The same of every form.
data 0 pack folder "$folder/folder" --out "$folder/packs/train.pack"
says "train.pack: 2,500 pictures, 2 MB"
data 0 pack folder "$folder/folder" --out "$folder/packs/val.pack" --part test --threads 3
for form in folder shards pack; do
    in=$folder/$form
    [ $form != pack ] || in=$folder/packs
    data 0 info $form "$in"
    says "train: 2,500 pictures of 10 classes, 2 MB, each 0.8 kB to 0.8 kB"
    says "test: 500 pictures of 10 classes"
    [ $form = shards ] || says "class-3" 2
    data 0 verify $form "$in" --threads 2
    says "train: 2,500 pictures of 10 classes are right, 28 to 28 pixels high, 28 to 28 wide"
    says "test: 500 pictures of 10 classes are right"
done
data 0 pack folder "$folder/folder" --out "$folder/small.pack" --short-side 14 --part test
data 0 verify pack "$folder" --set data.test=small.pack --part test
says "14 to 14 pixels high, 14 to 14 wide"

# --- Usage.
data 2 pack folder "$folder/folder"
complains "taper data pack CONFIG --out FILE"
data 2 verify idx "$folder/folder"
complains "data.source \"idx\" holds no picture files"
code=0
"$taper" data look >"$folder/output.txt" 2>"$folder/error.txt" || code=$?
[ $code -eq 2 ] || fail "exit code $code of an unknown command"
complains "taper data has the commands info, verify and pack"
for command in "" info verify pack; do
    "$taper" data $command --help >"$folder/output.txt" || fail "no help of $command"
    says "Usage: taper data"
done

# --- A pack that is cut: the pictures of the last complete save stay, and the bits are the same.
moment() { # LIMIT: the next random moment within it
    seed=$((seed * 1103515245 % 2147483648 + 12345))
    awk "BEGIN {srand($seed); print 0.001 + rand() * $1}"
}
cut=$folder/cut.pack
start=$(date +%s%N)
data 0 pack folder "$folder/folder" --out "$cut"
seconds=$(awk "BEGIN {print ($(date +%s%N) - $start) / 1e9}")
rm "$cut"
killed=0 finished=0 resumed=0 threads=1
while [ $killed -lt "$kills" ]; do
    code=0
    [ ! -s "$cut.partial.index" ] || resumed=$((resumed + 1))
    timeout --foreground -s KILL "$(moment "$seconds")" "$taper" data pack "$config" --out "$cut" \
        --set data.source=folder --set "data.folder=$folder/folder" --threads $threads \
        >"$folder/output.txt" 2>"$folder/error.txt" || code=$?
    threads=$((3 - threads))
    case $code in
    137) killed=$((killed + 1)) ;;
    124) ;; # it ended by itself just then
    0)
        cmp "$cut" "$folder/packs/train.pack" >&2 || fail "other bits after $killed kills"
        finished=$((finished + 1))
        rm -f "$cut" "$cut.partial" "$cut.partial.index"
        ;;
    *) fail "a killed pack ended with code $code" ;;
    esac
done
data 0 pack folder "$folder/folder" --out "$cut"
cmp "$cut" "$folder/packs/train.pack" >&2 || fail "other bits after $killed kills"
data 0 pack folder "$folder/folder" --out "$cut"
says "is complete already: 2,500 pictures"
[ "$(ls "$folder" | grep -c partial)" -eq 0 ] || fail "something partial is left"
echo "data.sh: the same pack in $((finished + 1)) runs with $killed kills in $seconds s; $resumed went on"

# --- A whole run on pictures in files: the same bits from a folder and from its pack, for any number
# of decoding threads; one bad picture is left out, and said.
run() { # NAME SOURCE FOLDER ARGUMENT...
    name=$1 source=$2 in=$3
    shift 3
    "$taper" run "$config" --out "$folder/run-$name" --set "data.source=$source" \
        --set "data.folder=$in" --set data.train_images=1500 "$@" \
        >"$folder/output.txt" 2>"$folder/error.txt"
}
run folder folder "$folder/folder" || fail "no run on a folder"
run pack pack "$folder/packs" --threads 1 --set data.decoders=3 || fail "no run on a pack"
# All but the hash of the keys, which name the source.
python3 - "$folder/run-folder" "$folder/run-pack" >&2 <<'END' || fail "folder and pack differ"
import json, struct, sys
def tensors(path):
    file = open(path, "rb").read()
    return file[8 + struct.unpack("<Q", file[:8])[0]:]
def samples(path):
    return [dict(json.loads(line), config_hash="") for line in open(path)]
one, other = sys.argv[1:]
for name in ("/supernet.safetensors", "/found.safetensors"):
    assert tensors(one + name) == tensors(other + name), name
assert samples(one + "/search.jsonl") == samples(other + "/search.jsonl"), "search.jsonl"
END
[ "$(wc -l <"$folder/run-folder/holdout.txt")" -eq 500 ] || fail "holdout.txt has not 500 names"
[ "$(grep -c "train/class-3/" "$folder/run-folder/holdout.txt")" -eq 50 ] || fail "not 50 of a class held out"

# --- Bad pictures: all are named, by every form.
first=$folder/folder/train/class-9/00000.pgm
truncate -s -10 "$first"
: >"$folder/folder/train/class-0/00001.pgm"
echo "no picture" >"$folder/folder/val/class-9/00000.pgm"
data 1 verify folder "$folder/folder"
complains "error: 3 pictures are bad"
says "bad: train/class-9/00000.pgm has 774 bytes of pixels, its header announces 784"
says "bad: train/class-0/00001.pgm: is empty"
says "bad: val/class-9/00000.pgm is not a JPEG, PNG or PNM picture"
says "train: 2,498 pictures of 10 classes are right"
says "train: class class-9: 1 of"
code=0
run bad folder "$folder/folder" || code=$?
[ $code -eq 2 ] || fail "exit code $code of a run on bad pictures"
complains "data.max_bad_images leaves some out"
run bad folder "$folder/folder" --set data.max_bad_images=2 || fail "no run without two bad pictures"
tail -n 1 "$folder/run-bad/log.jsonl" | grep -qF '"event": "done"' || fail "the log does not end with done"
says "bad picture: val/class-9/00000.pgm is not a JPEG, PNG or PNM picture"
says "bad picture: train/class-9/00000.pgm has 774 bytes of pixels, its header announces 784"
grep -qF "<li>train/class-9/00000.pgm has 774 bytes" "$folder/run-bad/report.html" || fail "not in the report"
data 2 pack folder "$folder/folder" --out "$folder/bad.pack"
grep -qF "error: train/class-0/00001.pgm: is empty" "$folder/error.txt" || fail "no bad picture named"
data 0 pack folder "$folder/folder" --out "$folder/bad.pack" --set data.max_bad_images=1
says "bad.pack: 2,499 pictures"
truncate -s -300000 "$folder/shards/train-002.tar"
printf 'rubbish' | dd of="$folder/shards/train-001.tar" bs=1 seek=700 conv=notrunc status=none
data 1 verify shards "$folder/shards" --part train
says "bad: $folder/shards/train-002.tar is cut off or damaged: ./"
says "bad: $folder/shards/train-001.tar is damaged: there is no header at byte 512"
printf 'rubbish' | dd of="$folder/packs/train.pack" bs=1 seek=1700 conv=notrunc status=none
data 1 verify pack "$folder/packs" --part train
complains "error: 1 pictures are bad"
says "bad: train/class-0/" 1
truncate -s -1 "$folder/packs/train.pack"
data 2 verify pack "$folder/packs" --part train
complains "is damaged or cut off: it has not the size that its header states"
