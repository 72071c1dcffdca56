#!/bin/sh
# `taper report` from outside: a run under way, a finished one, two side by side, damaged folders,
# and the pages in a browser. Usage: report.sh TAPER CONFIG FOLDER PICTURES.PY
set -eu
taper=$1 config=$2 folder=$3 pictures=$4
rm -rf "$folder"
mkdir -p "$folder"

fail() {
    echo "report.sh: $1" >&2
    exit 1
}

# holds FILE WORDS: the page says the words.
holds() {
    grep -qF -- "$2" "$1" || fail "$1 does not say '$2'"
}

# refused WORDS ARGUMENTS...: one sentence with the words, exit code 2, and the old page stays.
refused() {
    words=$1 code=0
    shift
    before=$(cksum "$folder/one/report.html")
    text=$("$taper" report "$@" 2>&1) || code=$?
    [ $code = 2 ] || fail "report $* ended with code $code: $text"
    case $text in *"$words"*) ;; *) fail "report $*: no '$words' in: $text" ;; esac
    [ "$(printf '%s\n' "$text" | wc -l)" = 1 ] || fail "report $* says more than a sentence: $text"
    [ "$before" = "$(cksum "$folder/one/report.html")" ] || fail "report $* changed the page"
}

"$taper" supernet "$config" --out "$folder/one" >"$folder/output.txt"
holds "$folder/one/report.html" "The super-network is trained; nothing is searched yet"
"$taper" search "$folder/one" >>"$folder/output.txt"
holds "$folder/one/report.html" "the network found is not trained yet"

# Killed between its result and its page, a step that is done renews the page all the same.
for step in search supernet; do
    echo "an older page" >"$folder/one/report.html"
    "$taper" $step "$folder/one" >>"$folder/output.txt"
    holds "$folder/one/report.html" "the network found is not trained yet"
done
"$taper" train "$folder/one" >>"$folder/output.txt"
said=$(grep -o '^[0-9.]* % of the test images right' "$folder/output.txt" | tail -n 1)
holds "$folder/one/report.html" "$said"
"$taper" evaluate "$folder/one" >>"$folder/output.txt"
"$taper" run "$config" --out "$folder/two" --set seed=2 --set train.epochs=3 >>"$folder/output.txt"
"$taper" report "$folder/one" "$folder/two" --out "$folder/both.html" >>"$folder/output.txt"
holds "$folder/both.html" "2 runs side by side"

# A training that is cut, and one of other keys.
code=0
timeout -s INT 0.3 "$taper" train "$folder/two" --set train.epochs=2000 >>"$folder/output.txt" 2>&1 || code=$?
[ $code = 124 ] || [ $code = 3 ] || fail "a training that is cut ended with code $code"
"$taper" report "$folder/two" >>"$folder/output.txt"
holds "$folder/two/report.html" "found.safetensors was trained with other keys"

# Another process works in the folder: a report only reads.
flock "$folder/one" "$taper" report "$folder/one" >>"$folder/output.txt" ||
    fail "no report of a run under way"

refused "no run folder: it has no config.yaml" "$folder" --out "$folder/one/report.html"
refused "no such run" "$folder/no such run" --out "$folder/one/report.html"
for file in search.jsonl log.jsonl times.json found.yaml found.safetensors config.yaml; do
    cp "$folder/one/$file" "$folder/kept"
    hash=$(grep -ao 'config_hash [0-9a-f]*' "$folder/kept" | head -n 1 || true)
    printf '[1, \n# %s\n' "$hash" >"$folder/one/$file"
    case $file in search.jsonl) printf '{"config_hash": 1}\n[]\nx\n' >"$folder/one/$file" ;; esac
    refused "$file" "$folder/one"
    cp -p "$folder/kept" "$folder/one/$file"
done

# What files say is shown, never obeyed. A row of test images by hand: one of two is wrong.
cp -r "$folder/two" "$folder/<img src=x>"
cat >"$folder/<img src=x>/evaluation.json" <<'END'
{"format": "taper evaluation 1", "network": "found", "images": 2, "top1": 0.5, "top5": 1.0,
 "loss": 0.7, "classes": [
  {"name": "<script>alert(1)</script>", "images": 2, "correct": 1, "accuracy": 0.5},
  {"name": "\"onload='alert(2)'&", "images": 0, "correct": 0, "accuracy": null}],
 "confusion": [[1, 1], [0, 0]],
 "hardest": [{"index": 1, "label": 0, "predicted": 1, "probability": 0.9,
  "label_probability": 0.1, "picture": "x\" onerror=\"alert(3)"}]}
END
echo '# </pre><script>alert(4)</script>' >>"$folder/<img src=x>/config.yaml"
"$taper" report "$folder/<img src=x>" >>"$folder/output.txt"
page="$folder/<img src=x>/report.html"
holds "$page" "&lt;script&gt;alert(1)&lt;/script&gt;"
holds "$page" "&quot;onload=&#39;alert(2)&#39;&amp;"
holds "$page" 'src="x&quot; onerror=&quot;alert(3)"'
holds "$page" "&lt;/pre&gt;&lt;script&gt;alert(4)"
! grep -q '<script' "$page" || fail "a name became a script"

# An evaluation that does not agree with itself, or is of an older network.
for change in 's/"images": 2, "top1"/"top1"/' 's/\[1, 1\]/[1]/' 's/"predicted": 1/"predicted": 2/' 's/^ "loss"/"loss/'; do
    sed "$change" "$folder/<img src=x>/evaluation.json" >"$folder/one/evaluation.json"
    refused "evaluation.json" "$folder/one"
done
touch -d 2000-01-01 "$folder/one/evaluation.json"
"$taper" report "$folder/one" >>"$folder/output.txt" || fail "an old evaluation.json is read"
dot=data:image/png\;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==
sed "s|\"picture\": .*|\"picture\": \"$dot\"}]}|" "$folder/<img src=x>/evaluation.json" \
    >"$folder/one/evaluation.json"
"$taper" report "$folder/one" >>"$folder/output.txt"
holds "$folder/one/report.html" "50.00 % of 2 images right"

code=0
python3 "$pictures" "$folder/one/report.html" "$folder/both.html" || code=$?
[ $code = 77 ] && echo "without pictures" && exit 0
exit $code
