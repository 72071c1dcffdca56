#!/bin/sh
# Bad input from outside: each ends with one sentence that names the place, with its exit code, and
# leaves what was there before as it was. Usage: bad_input.sh TAPER CONFIG FOLDER
set -eu
taper=$1 config=$2 folder=$3
# shellcheck source=tests/small_run.sh
. "$(dirname "$0")/small_run.sh"
rm -rf "$folder"
mkdir -p "$folder"
small_data "$folder/data"
settings=$(small_settings "$folder/data")
cases=0

fail() {
    echo "bad_input.sh: $1" >&2
    cat "$folder/error.txt" >&2
    exit 1
}

# refused CODE PART-OF-THE-SENTENCE ARGUMENT...: exactly one line comes out, within 20 seconds.
refused() {
    wanted=$1 words=$2 code=0
    shift 2
    timeout 20 "$taper" "$@" >"$folder/output.txt" 2>"$folder/error.txt" || code=$?
    [ $code -eq "$wanted" ] || fail "exit code $code, not $wanted, of: $*"
    [ "$(wc -l <"$folder/error.txt")" -eq 1 ] || fail "not one sentence of: $*"
    grep -q '^error: ' "$folder/error.txt" || fail "no error of: $*"
    grep -qF "$words" "$folder/error.txt" || fail "no '$words' of: $*"
    cases=$((cases + 1))
}

# The same for a run in a new folder: nothing of it is left.
# shellcheck disable=SC2086  # $settings is a list of words
refused_at_once() { # CODE WORDS ARGUMENT...
    wanted_code=$1 wanted_words=$2
    shift 2
    refused "$wanted_code" "$wanted_words" run "$config" $settings --out "$folder/new" "$@"
    [ ! -e "$folder/new" ] || fail "a folder is left by: $*"
}

# --- Usage and configuration.
refused 2 "there is no command \`serch\`" serch
refused 2 "taper help config" help confg
refused 2 "cannot open $folder/none.yaml" run "$folder/none.yaml"
refused_at_once 2 "the nearest valid one is 'epochs'" --set supernet.epoch=3
refused_at_once 2 "must be a number, not 'many'" --set train.epochs=many
refused_at_once 2 "is not within" --set threads=-1
refused_at_once 2 "aliases are not supported" --set 'seed=*x'
refused_at_once 2 "none of \"multi_layer\"" --set search.strategy=best
refused_at_once 2 "is more than data.train_images 256" --set supernet.batch_images=4096 --set supernet.subnets_per_batch=8

write() { # TEXT: bad.yaml
    printf '%s' "$1" >"$folder/bad.yaml"
}

{ cat "$config"; printf 'serch: {layers: 3}\n'; } >"$folder/bad.yaml"
refused 2 "bad.yaml:$(wc -l <"$folder/bad.yaml" | tr -d ' '): unknown key 'serch'; the nearest valid one is 'search'" \
    run "$folder/bad.yaml"
{ printf 'seed: '; head -c 100000 /dev/zero | tr '\0' '['; } >"$folder/bad.yaml"
refused 2 "bad.yaml:1: nested deeper than 32 levels" run "$folder/bad.yaml"
{ printf 'seed: '; head -c 200000 /dev/zero | sed 's/\x00/{a: /g' | head -c 900000; } >"$folder/bad.yaml"
refused 2 "bad.yaml:1: nested deeper than 32 levels" run "$folder/bad.yaml"
awk 'BEGIN {srand(7); for (i = 0; i < 1000000; i++) printf "%c", int(rand() * 95) + 32}' >"$folder/bad.yaml"
refused 2 "bad.yaml:1: " run "$folder/bad.yaml"
head -c 1100000 /dev/zero >"$folder/bad.yaml"
refused 2 "at most 1048576 are expected" run "$folder/bad.yaml"
write "$(printf 'seed: 1\n"a\\nb\\e[2J": 3\n')"
refused 2 "unknown key" run "$folder/bad.yaml"

# --- Budgets and metric commands: before anything is written.
budget() { # COMMAND [DEADLINE]
    printf "search.budgets=[{metric: phone, value: 5, deadline: %s, command: '%s'}]" "${2:-10}" "$1"
}
refused_at_once 2 "search.budgets: macs 1 is below the smallest network" \
    --set 'search.budgets=[{metric: macs, value: 1}]'
refused_at_once 2 "\"mac\" is not built in" --set 'search.budgets=[{metric: mac, share: 0.5}]'
answer='read line; echo'
refused_at_once 1 "(exit status 3)" --set "$(budget 'exit 3')"
refused_at_once 1 "(exit status 127)" --set "$(budget 'exec /nowhere/measure 2>&-')"
refused_at_once 1 "within its deadline of 0.3 s" --set "$(budget 'sleep 60' 0.3)"
refused_at_once 1 "within its deadline of 0.3 s" \
    --set "$(budget "read line; sleep 1; echo 1; sleep 60" 0.3)"
refused_at_once 1 "not asked for after question 1" \
    --set "$(budget 'read line; printf "{\"id\": 1, \"value\": 1}\n{\"id\": 1}\n"; sleep 60')"
for said in NaN 1e400 -1 '"1"' 'Infinity' ''; do
    refused_at_once 1 'metric "phone"' \
        --set "$(budget "$answer \"{\\\"id\\\": 1, \\\"value\\\": $(printf '%s' "$said" | sed 's/"/\\"/g')}\"; sleep 60")"
done
refused_at_once 1 "something else than a JSON object" --set "$(budget "$answer Hello; sleep 60")"
refused_at_once 1 "a line over 65536 bytes" \
    --set "$(budget 'read line; head -c 99999 /dev/zero | tr "\\\\0" x; sleep 60')"

# --- Folders that cannot be written.
# shellcheck disable=SC2086
in_folder() { # CODE WORDS OUT ARGUMENT...
    code_=$1 words_=$2 out_=$3
    shift 3
    refused "$code_" "$words_" run "$config" $settings --out "$out_" "$@"
}
in_folder 1 "cannot make folder /dev/null: a file has that name" /dev/null/run
in_folder 1 "cannot make folder /proc/run" /proc/run
: >"$folder/file"
in_folder 1 "a file has that name" "$folder/file"
if [ "$(id -u)" != 0 ]; then
    mkdir "$folder/closed" && chmod 555 "$folder/closed"
    in_folder 1 "Permission denied" "$folder/closed/run"
fi

# --- Data sets that do not fit.
in_folder 2 "the network reads pictures of 32x28" "$folder/shape" --set network.input.height=32
in_folder 2 "$folder/none/train-images-idx3-ubyte.gz does not exist" "$folder/shape" \
    --set "data.folder=$folder/none"
cp -a "$folder/data" "$folder/cut-data"
truncate -s -100 "$folder/cut-data/train-labels-idx1-ubyte.gz"
in_folder 2 "$folder/cut-data/train-labels-idx1-ubyte.gz is truncated" "$folder/shape" \
    --set "data.folder=$folder/cut-data"
in_folder 2 "$folder/data/train-labels-idx1-ubyte.gz: image 0 has label 9, but network.classes is 8" \
    "$folder/shape" --set network.classes=8 --set network.layers.5.width=8
in_folder 2 "cannot be made of" "$folder/shape" --set data.train_images=0 \
    --set supernet.batch_images=16384

# --- Folders, shards and packs of pictures that are none.
pictures() { # CODE WORDS COMMAND SOURCE ARGUMENT...
    code_=$1 words_=$2 command_=$3 source_=$4
    shift 4
    refused "$code_" "$words_" data "$command_" "$config" --set "data.source=$source_" \
        --set "data.folder=$folder/pictures" "$@"
}
pictures 2 "cannot open folder $folder/pictures/train: No such file" info folder
mkdir -p "$folder/pictures/train/cat"
pictures 2 "$folder/pictures/train/cat has no picture, a file that ends in .jpg" verify folder
printf 'P5 2 1 255\nab' >"$folder/pictures/train/cat/1.pgm"
pictures 2 "cannot open $folder/none" verify folder --set "data.class_list=$folder/none"
printf 'cat\ndog\n' >"$folder/list"
pictures 2 "has no folder 'dog'" verify folder --set "data.class_list=$folder/list"
pictures 2 "$folder/pictures/train-*.tar matches no file" verify shards
pictures 2 "cannot open $folder/pictures/s-7.tar" verify shards --set 'data.train=s-{7..8}.tar'
seq 1000 | gzip >"$folder/pictures/train-0.tar"
pictures 2 "train-0.tar is compressed by gzip" verify shards
seq 1000 >"$folder/pictures/train-0.tar"
pictures 2 "train-0.tar is damaged: there is no header at byte 0" verify shards
seq 1000 >"$folder/pictures/train.pack"
pictures 2 "train.pack is no pack" info pack
pictures 2 "train.pack is there and is no pack of these pictures" pack folder \
    --out "$folder/pictures/train.pack"
pictures 1 "cannot create /proc/train.pack.partial" pack folder --out /proc/train.pack
pictures 2 "no file to write is named" pack folder

# --- A finished run, damaged: refused, and nothing of it changes.
# shellcheck disable=SC2086
"$taper" run "$config" $settings --out "$folder/run" >"$folder/output.txt" 2>"$folder/error.txt" ||
    fail "the good run failed"
cp -a "$folder/run" "$folder/whole"

damaged_code=2
damaged() { # FILE WORDS COMMAND...: COMMAND changes the file
    file=$1 words=$2
    shift 2
    rm -rf "$folder/run" && cp -a "$folder/whole" "$folder/run"
    "$@" "$folder/run/$file"
    rm -rf "$folder/as-damaged" && cp -a "$folder/run" "$folder/as-damaged"
    in_folder $damaged_code "$folder/run/$file$words" "$folder/run"
    find "$folder/run" -name search.scores.jsonl -empty -delete # of a search that was taken up
    rm -f "$folder/as-damaged/report.html" "$folder/run/report.html" # shows what is there now
    same_run "$folder/as-damaged" "$folder/run" || fail "a damaged $file changed the folder"
}
cut_end() { truncate -s -"${2:-1}" "$1"; }
cut_line() { sed -i '$d' "$1"; }
other_score() { sed -i '2s/"score": 0\.\(.\)/"score": 0.9\1/' "$1"; }
other_version() { LC_ALL=C sed -i 's/"format":"\(taper [a-z-]*\) [0-9]"/"format":"\1 9"/' "$1"; }
no_header() { printf '\377\377\377\377\377\377\377\177' | dd of="$1" conv=notrunc status=none; }
changed=" is missing, damaged or changed"
damaged search.jsonl "$changed" cut_end
damaged search.jsonl "$changed" cut_line
damaged search.jsonl "$changed" other_score
damaged search.jsonl "$changed" rm
damaged supernet.safetensors ": " cut_end
damaged supernet.safetensors ": a header of 9223372036854775807 bytes" no_header
damaged supernet.safetensors " has the format \"taper super-network 9\"" other_version
damaged found.safetensors ": " cut_end
torn_line() { sed -i '2s/.$//' "$1" && rm "$folder/run/found.yaml"; }
damaged search.jsonl ":2: not a JSON object" torn_line
other_sample() { sed -i '2s/"iteration": 1/"iteration": 2/' "$1" && rm "$folder/run/found.yaml"; }
damaged_code=1
damaged search.jsonl ": search: sample 1 of iteration 2 is told where" other_sample
damaged_code=2
damaged found.safetensors " has the format \"taper network 9\"" other_version

# --- A metric's command that dies in the middle of the search: the super-network and what was scored
# stay, and the same command, well again, goes on to the result of one that never died.
cat >"$folder/measure.sh" <<'END'
left=$(dirname "$0")/answers-left
while read -r question; do
    if [ -e "$left" ]; then
        number=$(($(cat "$left") - 1))
        [ $number -ge 0 ] || exit 7
        echo $number >"$left"
    fi
    id=$(echo "$question" | sed 's/.*"id"://; s/,.*//')
    sum=$(($(echo "$question" | sed 's/.*{//; s/}.*//; s/"[^"]*"://g; s/,/+/g')))
    echo "{\"id\": $id, \"value\": $sum}"
done
END
measured="search.budgets=[{metric: phone, share: 0.92, command: 'exec sh $folder/measure.sh'}]"
# shellcheck disable=SC2086
measure() { # OUT
    "$taper" run "$config" $settings --set "$measured" --out "$1" >"$folder/output.txt" 2>"$folder/error.txt"
}
measure "$folder/measured" || fail "the run with a measuring command failed"
for answers in 7 9 12; do
    rm -rf "$folder/run"
    echo $answers >"$folder/answers-left"
    in_folder 1 "(exit status 7)" "$folder/run" --set "$measured"
    [ -e "$folder/run/supernet.safetensors" ] || fail "the command died before the search"
    rm "$folder/answers-left"
    measure "$folder/run" || fail "the search does not go on with a command that is well again"
    same_run "$folder/measured" "$folder/run" || fail "the bits differ after a command that died"
done
echo 0 >"$folder/answers-left"
measure "$folder/measured" || fail "a finished search asks its command again"

# --- Two processes in one folder.
code=0
# shellcheck disable=SC2086
flock "$folder/whole" "$taper" run "$config" $settings --out "$folder/whole" \
    >"$folder/output.txt" 2>"$folder/error.txt" || code=$?
[ $code -eq 2 ] || fail "exit code $code, not 2, of a folder that another process works in"
grep -q "^error: another process works in $folder/whole" "$folder/error.txt" || fail "no such sentence"

# --- A full disk: what is there stays, and the run goes on once there is room.
full_disk() { # BLOCKS OF 512 BYTES THAT A FILE MAY HAVE
    rm -rf "$folder/run"
    code=0
    # shellcheck disable=SC2086
    (ulimit -f "$1" && exec "$taper" run "$config" $settings --out "$folder/run") \
        >"$folder/output.txt" 2>"$folder/error.txt" || code=$?
    [ $code -eq 1 ] || fail "exit code $code, not 1, with files of $1 blocks at most"
    [ "$(wc -l <"$folder/error.txt")" -eq 1 ] || fail "not one sentence with $1 blocks"
    grep -q "^error: cannot write .*: File too large" "$folder/error.txt" || fail "no File too large"
    # shellcheck disable=SC2086
    "$taper" run "$config" $settings --out "$folder/run" >"$folder/output.txt" 2>"$folder/error.txt" ||
        fail "the run does not go on after a full disk"
    same_run "$folder/whole" "$folder/run" || fail "the bits differ after a full disk"
    cases=$((cases + 1))
}
for blocks in 1 8 16; do full_disk $blocks; done
if [ -e /dev/full ]; then
    code=0
    "$taper" help config >/dev/full 2>"$folder/error.txt" || code=$?
    [ $code -eq 1 ] || fail "exit code $code, not 1, of a full standard output"
fi

rm -rf "$folder/run" && cp -a "$folder/whole" "$folder/run"
echo 'epochs: 3' >>"$folder/run/config.yaml"
refused 2 "$folder/run/config.yaml:$(wc -l <"$folder/run/config.yaml" | tr -d ' '): unknown key 'epochs'" \
    run "$folder/run"
echo "bad_input.sh: $cases cases, one sentence each"
