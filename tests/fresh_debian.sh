#!/bin/sh
# Both commands of the README in an empty Debian, made by debootstrap. Needs root and debootstrap.
#
#   tests/fresh_debian.sh FOLDER [SUITE]
#
# FOLDER must not exist; it is left behind, with both logs, for whoever wants to look.
set -eu
[ $# -ge 1 ] || { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
# What is mounted below is seen by this script alone, and gone with it.
[ -n "${TAPER_UNSHARED:-}" ] || TAPER_UNSHARED=1 exec unshare --mount sh "$0" "$@"
root=$1 suite=${2:-bookworm}
here=$(cd "$(dirname "$0")/.." && pwd)

"$here/tests/empty_debian.sh" "$root" "$suite"
mkdir "$root/taper"
git -C "$here" archive HEAD | tar -x -C "$root/taper"

for place in proc dev; do mount --rbind "/$place" "$root/$place" 2>/dev/null || true; done

# Fenced block number $1 of the README: one line.
command_of() {
    awk -v wanted="$1" '/^```/ { inside = !inside; if (inside) block++; next }
                        inside && block == wanted' "$here/README.md"
}

for block in 1 2; do
    line=$(command_of $block)
    echo "+ $line"
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
        chroot "$root" sh -c "cd /taper && $line" >"$root/command-$block.log" 2>&1 ||
        { tail -n 30 "$root/command-$block.log"; echo "fresh_debian.sh: command $block failed" >&2; exit 1; }
    tail -n 3 "$root/command-$block.log"
done
echo "fresh_debian.sh: both commands work in an empty Debian $suite"
