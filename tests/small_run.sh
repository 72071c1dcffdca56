# Sourced by tests that run the whole program often: a data set and settings for a run in a fraction of
# a second, and when two finished folders are the same.
# shellcheck shell=sh

# The first 1000 training and 400 test pictures of Debian's Fashion-MNIST as a data set in FOLDER.
small_data() { # FOLDER
    mkdir -p "$1"
    size='\0000\0000\0000\0034\0000\0000\0000\0034' # 28 by 28
    first_entries "$1" train-images-idx3-ubyte.gz 784000 '\0000\0000\0010\0003\0000\0000\0003\0350'"$size"
    first_entries "$1" train-labels-idx1-ubyte.gz 1000 '\0000\0000\0010\0001\0000\0000\0003\0350'
    first_entries "$1" t10k-images-idx3-ubyte.gz 313600 '\0000\0000\0010\0003\0000\0000\0001\0220'"$size"
    first_entries "$1" t10k-labels-idx1-ubyte.gz 400 '\0000\0000\0010\0001\0000\0000\0001\0220'
}

first_entries() { # FOLDER NAME BYTES HEADER
    header=8
    [ "$3" -lt 10000 ] || header=16
    { printf '%b' "$4"; gzip -dc "/usr/share/datasets/fashion-mnist/$2" 2>/dev/null |
        tail -c +$((header + 1)) | head -c "$3"; } | gzip -9n >"$1/$2"
}

# Settings of a small run on that data: saved after every step, so that it can be cut everywhere.
small_settings() { # FOLDER
    echo "--set data.folder=$1 --set data.holdout_images=100 --set data.train_images=256" \
        "--set data.test_images=100 --set supernet.epochs=2 --set train.epochs=2" \
        "--set search.samples=4 --set search.reduction=0.1" \
        "--set supernet.save_seconds=0 --set train.save_seconds=0"
}

# Runs a command again and again, cut after STEP, 2 STEP, ... seconds by SIGKILL and SIGINT in turn, on
# one thread and on two, until it gets through; `cuts` says in how many parts. Its output is added to a
# file. Fails when it does not get through, or ends with another code than a cut may give.
run_in_parts() { # STEP MOST_PARTS OUTPUT COMMAND...
    step_=$1 most_=$2 output_=$3
    shift 3
    cuts=0 signal_=KILL threads_=1 code_=1
    while [ $code_ -ne 0 ]; do
        cuts=$((cuts + 1))
        [ $cuts -le "$most_" ] || return 1
        code_=0
        timeout --foreground -s $signal_ "$(awk "BEGIN {print $cuts * $step_}")" \
            "$@" --threads $threads_ >>"$output_" 2>&1 || code_=$?
        case $code_ in
        0 | 3 | 124 | 137) ;;
        *)
            echo "part $cuts ended with code $code_" >>"$output_"
            return 1
            ;;
        esac
        [ $signal_ = KILL ] && signal_=INT || signal_=KILL
        threads_=$((3 - threads_))
    done
}

# What must be the same in two finished folders: every file bit for bit; of config.yaml all but the
# folder and the threads; of log.jsonl what the clock does not decide (a line that a kill made double
# counts once); of a report its sections that show no time; and nothing of an unfinished step.
same_run() { # FOLDER FOLDER
    for folder_ in "$1" "$2"; do
        (cd "$folder_" && find . -type f ! -name times.json | sort) >"$2.names"
        [ "$folder_" = "$1" ] && mv "$2.names" "$2.other-names"
    done
    cmp "$2.other-names" "$2.names" >&2 || { diff "$2.other-names" "$2.names" >&2; return 1; }
    while read -r entry_; do
        case $entry_ in
        ./config.yaml) same_text "$entry_" "$1" "$2" '/^\(out\|threads\):/d' || return 1 ;;
        ./log.jsonl)
            same_text "$entry_" "$1" "$2" '/"event": "\(start\|note\|progress\)"/d
                s/, "seconds": {[^}]*}//' || return 1
            ;;
        ./report.html)
            same_text "$entry_" "$1" "$2" -n \
                '/<section><h2>/h; G; /<h2>\(Search\|Network\|Test images\)/s/\n<section>.*//p' || return 1
            ;;
        *) cmp "$1/$entry_" "$2/$entry_" >&2 || return 1 ;;
        esac
    done <"$2.names"
    rm -f "$2.names" "$2.other-names"
}

same_text() { # NAME FOLDER FOLDER ARGUMENT OF SED...
    name_=$1 first_=$2 second_=$3
    shift 3
    sed "$@" "$first_/$name_" | uniq >"$second_.first"
    sed "$@" "$second_/$name_" | uniq >"$second_.second"
    cmp "$second_.first" "$second_.second" >&2 || { diff "$second_.first" "$second_.second" >&2; return 1; }
    rm -f "$second_.first" "$second_.second"
}
