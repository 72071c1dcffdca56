#!/bin/sh
# The steps of docker/Dockerfile without a Docker engine: in an empty Debian, as far as that goes.
#
#   tests/dockerfile.sh FOLDER [TARGET]
#
# Follows ARG, COPY, RUN, USER, WORKDIR and ENTRYPOINT of TARGET (cpu), then starts what the image would
# start, as its user and without a network: a small search, and the same again, which finds it done.
# FOLDER must not exist; it is left behind. Needs root and debootstrap.
set -eu
[ $# -ge 1 ] || { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
# What is mounted below is seen by this script alone, and gone with it.
[ -n "${TAPER_UNSHARED:-}" ] || TAPER_UNSHARED=1 exec unshare --mount sh "$0" "$@"
root=$1 target=${2:-cpu}
here=$(cd "$(dirname "$0")/.." && pwd)

"$here/tests/empty_debian.sh" "$root" bookworm
for place in proc dev; do mount --rbind "/$place" "$root/$place" 2>/dev/null || true; done

user=root folder=/ entry="" alone=""
inside() { # COMMAND: as the image would run it
    $alone chroot "$root" env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C \
        su -p "$user" -s /bin/sh -c "cd $folder && $1"
}

copy() { # FROM TO
    if [ "$1" = . ]; then
        git -C "$here" archive HEAD | tar -x -C "$root$2"
    else
        install -D "$here/$1" "$root$2"
    fi
}

follow() { # INSTRUCTION REST
    echo "+ $1 $2"
    case $1 in
        ARG) eval "$2" ;;
        COPY) eval "copy $2" ;;
        RUN) inside "$(eval "echo \"$2\"")" ;;
        USER) user=$2 ;;
        WORKDIR) folder=$2 ;;
        ENTRYPOINT) entry=$(echo "$2" | tr -d '[]",') ;;
        CMD) ;;
        *) echo "dockerfile.sh: $1 is not known here" >&2; exit 1 ;;
    esac
}

steps=$(mktemp)
sed -n "/^FROM .* AS $target\$/,/^FROM/{/^FROM/d;/^\$/d;p}" "$here/docker/Dockerfile" >"$steps"
[ -s "$steps" ] || { echo "dockerfile.sh: the Dockerfile has no target $target" >&2; exit 2; }
while read -r instruction rest; do
    follow "$instruction" "$rest" </dev/null
done <"$steps"
rm "$steps"

alone="unshare --net"
for time in first second; do
    echo "+ $entry run, the $time time"
    inside "$entry run /taper/configs/smoke.yaml" | tail -n 1
done
