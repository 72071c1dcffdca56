#!/bin/sh
# `taper evaluate` and `taper predict` on a small run, checked against each other, against the labels
# in the data set and against pictures cut out of it. Usage: predict.sh TAPER CONFIG FOLDER
set -eu
taper=$1 config=$2 folder=$3
data=/usr/share/datasets/fashion-mnist/t10k
images=$data-images-idx3-ubyte.gz labels=$data-labels-idx1-ubyte.gz
run=$folder/run

fail() {
    echo "predict.sh: $1" >&2
    exit 1
}

# first KEY FILE: the value of the first "KEY": VALUE of a JSON text
first() {
    grep -o "\"$1\": [^,}]*" "$2" | head -n 1 | sed 's/^[^:]*: //; s/"//g'
}

rm -rf "$folder"
mkdir -p "$folder"
"$taper" run "$config" --out "$run" \
    --set 'data.classes=[shirt, trousers, pullover, dress, coat, sandal, blouse, sneaker, bag, boot]' \
    >"$folder/run.txt" || fail "the run failed"
"$taper" evaluate "$run" --predictions "$folder/predictions.safetensors" >"$folder/evaluate.txt" ||
    fail "evaluate failed"

# The score is the one that the training ended with, and names are used.
said=$(sed -n 's/^\([0-9.]* % of the test images right\).*/\1/p' "$folder/run.txt")
grep -q "^$said (" "$folder/evaluate.txt" || fail "evaluate does not say '$said'"
grep -q '^trousers ' "$folder/evaluate.txt" || fail "evaluate does not name the classes"
grep -q '"name": "boot"' "$run/evaluation.json" || fail "evaluation.json does not name the classes"

# Top-1 counted anew: what predict answers beside the labels of the data set (smoke.yaml: 500).
"$taper" predict --json "$run" "$images:0-499" >"$folder/answers.jsonl" || fail "predict failed"
sed 's/.*"label": \([0-9]*\),.*/\1/' "$folder/answers.jsonl" >"$folder/answered.txt"
gzip -dc "$labels" | od -An -v -tu1 -w1 -j8 -N500 | tr -d ' ' >"$folder/right.txt"
right=$(paste "$folder/answered.txt" "$folder/right.txt" | awk '$1 == $2' | wc -l)
top1=$(first top1 "$run/evaluation.json")
[ "$(awk "BEGIN {print int($top1 * 500 + 0.5)}")" = "$right" ] ||
    fail "top1 is $top1, but $right of 500 answers are right"

# The hardest picture, taken out of evaluation.json, and by its index: the same answer.
grep -o 'data:image/png;base64,[^"]*' "$run/evaluation.json" | head -n 1 |
    sed 's/.*,//' | base64 -d >"$folder/hardest.png"
grep -o '"hardest":.*' "$run/evaluation.json" >"$folder/hardest.json"
index=$(first index "$folder/hardest.json")
"$taper" predict --json "$run" "$folder/hardest.png" >"$folder/a.json"
"$taper" predict --json "$run" "$images:$index" >"$folder/b.json"
for file in a b; do
    [ "$(first label "$folder/$file.json")" = "$(first predicted "$folder/hardest.json")" ] ||
        fail "picture $index gets another label alone ($file)"
done
sed 's/.*"label"//' "$folder/a.json" >"$folder/a.txt"
sed 's/.*"label"//' "$folder/b.json" >"$folder/b.txt"
cmp "$folder/a.txt" "$folder/b.txt" || fail "hardest.png is not picture $index"

# The same picture as PGM, cut out by hand; and many at once give what each gives alone.
{ printf 'P5 28 28 255\n'; gzip -dc "$images" | tail -c +$((17 + 784 * index)) | head -c 784; } \
    >"$folder/hardest.pgm"
"$taper" predict --json "$run" "$folder/hardest.pgm" | sed 's/.*"label"//' >"$folder/c.txt"
cmp "$folder/a.txt" "$folder/c.txt" || fail "the PGM gives another answer"
"$taper" predict "$run" "$images:0-2" "$folder/hardest.png" >"$folder/many.txt"
[ "$(wc -l <"$folder/many.txt")" = 4 ] || fail "four pictures do not give four lines"
for n in 0 1 2; do
    "$taper" predict "$run" "$images:$n"
done >"$folder/each.txt"
head -n 3 "$folder/many.txt" | cmp - "$folder/each.txt" || fail "together they answer otherwise"

# A name of bytes that are no text stops no line of JSON.
odd=$folder/$(printf 'caf\351.pgm')
cp "$folder/hardest.pgm" "$odd"
"$taper" predict --json "$run" "$odd" >"$folder/d.json" || fail "no answer for an odd name"
sed 's/.*"label"//' "$folder/d.json" | cmp - "$folder/a.txt" || fail "the odd name gives another answer"
grep -qF '/caf?.pgm"' "$folder/d.json" || fail "the odd name is not in the answer"

# Another point of the curve.
"$taper" train "$run" --point 0 >"$folder/point.txt" || fail "--point 0 failed"
"$taper" evaluate "$run" --point 0 >>"$folder/point.txt" || fail "evaluate --point 0 failed"
grep -q '"network": "found-0"' "$run/evaluation-0.json" || fail "evaluation-0.json is missing"
"$taper" predict "$run" --point 0 "$images:0" >>"$folder/point.txt" || fail "predict --point 0"

# Bad input: exit 2, one sentence, nothing printed, nothing changed.
cp "$run/evaluation.json" "$folder/before.json"
refused() { # WORDS ARGUMENT...
    words=$1 code=0
    shift
    "$taper" predict "$run" "$@" >"$folder/out.txt" 2>"$folder/err.txt" || code=$?
    [ $code = 2 ] || fail "$words: exit $code"
    [ ! -s "$folder/out.txt" ] || fail "$words: something was printed"
    [ "$(wc -l <"$folder/err.txt")" = 1 ] || fail "$words: not one sentence"
    grep -q "$words" "$folder/err.txt" || fail "no '$words' in: $(cat "$folder/err.txt")"
}
refused "there is no file" "$images:0" /no/such.png
refused "none with the number 10000" "$images:10000"
refused "no picture is named"
refused "there is no trained network" --point 99 "$images:0"
head -c 100 "$folder/hardest.png" >"$folder/cut.png"
refused "truncated or damaged" "$folder/hardest.png" "$folder/cut.png"
cp -r "$run" "$folder/damaged"
head -c 2000 "$run/found.safetensors" >"$folder/damaged/found.safetensors"
code=0
"$taper" evaluate "$folder/damaged" >"$folder/out.txt" 2>"$folder/err.txt" || code=$?
[ $code = 2 ] || fail "evaluate of a damaged network: exit $code"
cmp "$folder/damaged/evaluation.json" "$folder/before.json" || fail "it changed evaluation.json"
echo "predict.sh: $right of 500 right, three ways"
