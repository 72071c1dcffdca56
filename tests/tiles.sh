#!/bin/sh
# A whole run on colour JPEG tiles: the same bits from a folder, from tar shards and from packs.
# Usage: tiles.sh CUT_TILES TAPER CONFIG FOLDER
set -eu
cut=$1 taper=$2 config=$3 folder=$4
rm -rf "$folder"
mkdir -p "$folder/pictures" "$folder/pack"

fail() {
    echo "tiles.sh: $1" >&2
    tail -n 20 "$folder/output.txt" >&2
    [ ! -e "$folder/error.txt" ] || cat "$folder/error.txt" >&2
    exit 1
}

# Four pictures of coloured waves stand for photographs.
python3 - "$folder/pictures" <<'END'
import math, sys
for picture in range(4):
    wave = [[127.5 + 127.5 * math.sin((x + 1) * (1 + picture + c) / 40) for x in range(640)] for c in range(3)]
    pixels = bytearray()
    for y in range(512):
        for x in range(640):
            pixels += bytes(int(wave[c][(x + y * (picture + 1) * c) % 640]) for c in range(3))
    open("%s/waves-%d.ppm" % (sys.argv[1], picture), "wb").write(b"P6 640 512 255\n" + pixels)
END
"$(dirname "$0")/cut_tiles.sh" "$cut" "$folder/pictures" "$folder" 64 8 50 >"$folder/output.txt"

sed 's/47/4/' "$config" >"$folder/tiles.yaml"
config=$folder/tiles.yaml
small="--set data.holdout_images=64 --set search.calibration_images=32"
for part in train test; do
    name=$part.pack
    [ $part = train ] || name=val.pack
    "$taper" data pack "$config" --set "data.folder=$folder/folder" --part $part \
        --out "$folder/pack/$name" >>"$folder/output.txt" 2>&1 || fail "no pack of $part"
done
"$(dirname "$0")/same_tiles.py" "$folder" 8 10 || fail "the tiles differ"
# What is found of each class: its number, its pictures and their bytes, without its name.
for source in folder shards pack; do
    "$taper" data info "$config" --set data.source=$source --set "data.folder=$folder/$source" \
        >>"$folder/output.txt" 2>&1 || fail "no info of $source"
    tail -n 10 "$folder/output.txt" | sed 's/^\( *[0-9]*  \)[^ ]* */\1/' >"$folder/info-$source.txt"
    grep -q "^test: 64 pictures of 4 classes" "$folder/info-$source.txt" || fail "not all of $source"
    cmp "$folder/info-folder.txt" "$folder/info-$source.txt" || fail "another info of $source"
done
# Shards have numbers alone: a list names their classes.
for picture in 0 1 2 3; do printf 'waves-%d\twaves %d\n' $picture $picture; done >"$folder/classes.txt"
# shellcheck disable=SC2086
run() { # SOURCE OUT ARGUMENT...
    source=$1 out=$2
    shift 2
    "$taper" run "$config" --out "$folder/$out" --set data.source=$source \
        --set "data.folder=$folder/$source" $small --set supernet.epochs=1 --set train.epochs=1 \
        --set supernet.batch_images=32 --set search.samples=2 --set search.reduction=0.3 "$@" \
        >>"$folder/output.txt" 2>"$folder/error.txt"
}
run folder run-folder || fail "no run on a folder"
run pack run-pack || fail "no run on packs"
run shards run-shards --set "data.class_list=$folder/classes.txt" || fail "no run on shards"
# All but the hash of the keys, which name the source.
python3 - "$folder" >&2 <<'END' || fail "the sources differ"
import json, struct, sys
def tensors(path):
    file = open(path, "rb").read()
    return file[8 + struct.unpack("<Q", file[:8])[0]:]
def samples(path):
    return [dict(json.loads(line), config_hash="") for line in open(path)]
one = sys.argv[1] + "/run-folder"
for source in ("shards", "pack"):
    other = sys.argv[1] + "/run-" + source
    for name in ("/supernet.safetensors", "/found.safetensors"):
        assert tensors(one + name) == tensors(other + name), source + name
    assert samples(one + "/search.jsonl") == samples(other + "/search.jsonl"), source
END

# Whatever shows classes has their names.
for source in folder shards pack; do
    name=waves-2
    [ $source != shards ] || name='waves 2'
    "$taper" evaluate "$folder/run-$source" >"$folder/evaluate.txt" || fail "no evaluation of $source"
    "$taper" predict "$folder/run-$source" "$folder"/folder/test/*/* >"$folder/predict.txt" ||
        fail "no prediction of $source"
    for file in evaluate.txt predict.txt run-$source/evaluation.json run-$source/report.html \
        run-$source/classes.txt; do
        grep -qF "$name" "$folder/$file" || fail "no class is named in $file of $source"
    done
done

# What is wrong with the pictures as a whole ends a run before its work: a class of the test part that
# the training part has not; and, where a run goes on, another class than before.
refused() { # WORDS OUT
    code=0
    run folder "$2" || code=$?
    [ $code -eq 2 ] || fail "exit code $code, not 2: $1"
    [ "$(wc -l <"$folder/error.txt")" -eq 1 ] || fail "not one sentence: $1"
    grep -qF "$1" "$folder/error.txt" || fail "no '$1'"
}
mkdir "$folder/folder/test/dog"
refused "folder/test/dog is no class" run-dog
[ ! -e "$folder/run-dog/supernet.safetensors" ] || fail "it was trained before"
rmdir "$folder/folder/test/dog"
mv "$folder/folder/train/waves-3" "$folder/folder/train/weaves-3"
cp -a "$folder/run-folder" "$folder/run-other"
rm "$folder/run-other/found.safetensors"
refused "class 3 is 'weaves-3' in $folder/folder/train, but 'waves-3' in $folder/run-other/classes.txt" run-other
[ ! -e "$folder/run-other/found.safetensors" ] || fail "it was trained all the same"
cmp "$folder/run-folder/classes.txt" "$folder/run-other/classes.txt" >&2 || fail "other classes are kept"
run folder run-folder || fail "a finished run does not say so"
mv "$folder/folder/train/weaves-3" "$folder/folder/train/waves-3"

# predict sees a file as evaluation does, also one that is no square: its answers beside the logits
# of `evaluate`.
for picture in 0 1 2 3; do
    cp "$folder/pictures/waves-$picture.ppm" "$folder/folder/test/waves-$picture/whole.ppm"
done
"$taper" evaluate "$folder/run-folder" --predictions "$folder/logits.safetensors" \
    >"$folder/output.txt" 2>&1 || fail "no evaluation"
"$taper" predict --json "$folder/run-folder" "$folder"/folder/test/*/* >"$folder/answers.jsonl" \
    2>"$folder/output.txt" || fail "no answers"
python3 - "$folder" >&2 <<'END' || fail "predict and evaluate differ"
import json, math, struct, sys
def tensor(file, name, format):
    size = struct.unpack("<Q", file[:8])[0]
    begin, end = json.loads(file[8:8 + size])[name]["data_offsets"]
    return [value for value, in struct.iter_unpack("<" + format, file[8 + size:][begin:end])]
file = open(sys.argv[1] + "/logits.safetensors", "rb").read()
labels, logits = tensor(file, "labels", "q"), tensor(file, "logits", "f")
answers = [json.loads(line) for line in open(sys.argv[1] + "/answers.jsonl")]
assert len(answers) == len(labels) == 64 + 4, (len(answers), len(labels))
for number, (answer, label) in enumerate(zip(answers, labels)):
    assert "/waves-%d/" % label in answer["path"], answer["path"]
    row = logits[4 * number:4 * number + 4]
    share = [math.exp(x - max(row)) for x in row]
    assert answer["label"] == row.index(max(row)), answer["path"]
    assert answer["class"] == "waves-%d" % answer["label"], answer["class"]
    for ours, theirs in zip(answer["probabilities"], share):
        assert abs(ours - theirs / sum(share)) < 1e-7, answer["path"]
END
echo "tiles.sh: the same run from a folder, shards and packs"
