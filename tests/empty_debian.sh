#!/bin/sh
# An empty Debian that reaches packages as this machine does. Needs root and debootstrap.
#
#   tests/empty_debian.sh ROOT SUITE
#
# ROOT must not exist. MIRROR overrides where packages come from.
set -eu
[ $# -eq 2 ] || { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
root=$1 suite=$2
[ ! -e "$root" ] || { echo "empty_debian.sh: $root exists" >&2; exit 2; }
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)}

debootstrap --variant=minbase "$suite" "$root" "$mirror"
# How this machine reaches packages, which may be a proxy or a mirror of its own.
cp /etc/resolv.conf "$root/etc/resolv.conf"
for part in apt.conf apt.conf.d auth.conf auth.conf.d trusted.gpg.d keyrings; do
    [ ! -e "/etc/apt/$part" ] || cp -rL "/etc/apt/$part" "$root/etc/apt/"
done
