#!/bin/sh
# Fetches photographs and odd JPEG files of Debian packages into FOLDER, without installing them:
# *.jpg are at least 20 photographs, odd/*.jpg are one photograph in uncommon kinds of JPEG.
#
#   tests/photographs.sh FOLDER
#
# Their licences let anyone use and share them (CC-BY-SA, CC-BY, CC0, GPL, LGPL, BSD); nothing of it
# is part of this repository.
set -eu
[ $# -eq 1 ] || { sed -n '5s/^# *//p' "$0" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

unpack() { # PACKAGE
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$1" >/dev/null && dpkg-deb -x "$1"_*.deb "$1") ||
        { echo "photographs.sh: the package $1 is not to be had (apt-get update?)" >&2; exit 1; }
}

# Names of the files' folders go into the new names where one name is used for all.
for package in lomiri-wallpapers-16.04 mate-backgrounds plasma-workspace-wallpapers; do
    unpack "$package"
    find "$work/$package" -type f -name '*.jpg' -size +100k | sort | while read -r file; do
        name=${file#"$work/$package/usr/share/"}
        cp "$file" "$folder/$package-$(printf %s "${name%.jpg}" | tr -c 'A-Za-z0-9\n' _).jpg"
    done
done

unpack libjxl-testdata
mkdir -p "$folder/odd"
find "$work/libjxl-testdata" -type f -name '*.jpg' | sort | while read -r file; do
    cp "$file" "$folder/odd/$(basename "$file")"
done
echo "photographs.sh: $(find "$folder" -maxdepth 1 -name '*.jpg' | wc -l) photographs and" \
    "$(find "$folder/odd" -name '*.jpg' | wc -l) odd files in $folder"
