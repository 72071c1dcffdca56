#!/bin/sh
# Gathers, on Debian or Ubuntu and without root, what tests/gpu.sh needs on a machine where nothing
# can be installed: headers, libraries, pkg-config, and a part of Fashion-MNIST.
#
#   tests/gpu_deps.sh FOLDER        (the repository ignores /gpu-deps/)
#
# FOLDER can be moved and holds plain files only: include/ lib/ lib/pkgconfig/ bin/ fashion-mnist/.
set -eu
[ $# -eq 1 ] || { echo "usage: gpu_deps.sh FOLDER" >&2; exit 2; }
packages="libyaml-dev libyaml-0-2 libjansson-dev libjansson4 libcmocka-dev libcmocka0
          zlib1g-dev zlib1g libpng-dev libxxhash-dev libxxhash0"
installed_pictures=/usr/share/datasets/fashion-mnist

mkdir -p "$1/include" "$1/lib/pkgconfig" "$1/bin" "$1/fashion-mnist"
folder=$(cd "$1" && pwd)
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
cd "$unpacked"

fetch() {
    apt-get download -q "$@" >apt.log 2>&1 || { cat apt.log >&2; return 1; }
    for package in *.deb; do
        dpkg-deb -x "$package" root
        rm "$package"
    done
}

# Links become files: a library is there under its own name and under the linker's.
copy_libraries() {
    for library in "$1"/*.so "$1"/*.so.*; do
        target=$library
        # zlib1g-dev links to an absolute path
        if [ -L "$library" ]; then
            case $(readlink "$library") in /*) target=root$(readlink "$library") ;; esac
        fi
        if [ -f "$target" ]; then cp -L "$target" "$folder/lib/$(basename "$library")"; fi
    done
}

# Paths start from where the file lies, so that the folder can be moved.
# shellcheck disable=SC2016  # pkg-config's own variables
copy_pkg_config() {
    sed -e 's|^prefix=.*|prefix=${pcfiledir}/../..|' \
        -e 's|^\([a-z]*libdir\)=.*|\1=${prefix}/lib|' \
        -e 's|^includedir=.*|includedir=${prefix}/include|' \
        -e 's|/usr/lib[^ ]*|${pcfiledir}/..|g' \
        -e 's|/usr/include|${pcfiledir}/../../include|g' "$1" \
        >"$folder/lib/pkgconfig/$(basename "$1")"
}

# The first $2 entries of the IDX file $1. The header is 8 bytes and 4 per further dimension; $3 is
# an entry's bytes, $4 the header in octal with that number of entries in it.
first_entries() {
    header=$([ "$3" -eq 1 ] && echo 8 || echo 16)
    gzip -dc "$pictures/$1" | tail -c +$((header + 1)) | head -c $(($2 * $3)) >entries
    [ "$(wc -c <entries)" -eq $(($2 * $3)) ] || { echo "$1 is too short" >&2; exit 1; }
    { printf '%b' "$4"; cat entries; } | gzip -9n >"$folder/fashion-mnist/$1"
}

# shellcheck disable=SC2086  # a list of words
fetch $packages
# Newer releases call it otherwise.
fetch libpng16-16 || fetch libpng16-16t64
# Debian's name, Ubuntu's name
fetch libjpeg62-turbo-dev libjpeg62-turbo || fetch libjpeg-turbo8-dev libjpeg-turbo8
# Older releases have no pkgconf-bin; then the machine needs a pkg-config of its own.
fetch pkgconf-bin libpkgconf3 || echo "no pkg-config gathered" >&2
[ -d "$installed_pictures" ] || fetch dataset-fashion-mnist

cp -R root/usr/include/. "$folder/include"
# zconf.h and the like may lie in a folder of the architecture
for inner in "$folder"/include/*-linux-gnu; do
    if [ -d "$inner" ]; then cp -R "$inner/." "$folder/include" && rm -r "$inner"; fi
done
for libraries in root/lib/*-linux-gnu root/usr/lib/*-linux-gnu; do
    if [ -d "$libraries" ]; then copy_libraries "$libraries"; fi
done
for description in root/usr/lib/*-linux-gnu/pkgconfig/*.pc; do
    copy_pkg_config "$description"
done
if [ -f root/usr/bin/pkgconf ]; then
    cp root/usr/bin/pkgconf "$folder/bin/"
    cat >"$folder/bin/pkg-config" <<'END'
#!/bin/sh
here=$(dirname "$0")
LD_LIBRARY_PATH=$here/../lib exec "$here/pkgconf" "$@"
END
    chmod +x "$folder/bin/pkg-config"
fi

pictures=$installed_pictures
[ -d "$pictures" ] || pictures=root$installed_pictures
# 3,000 and 1,000: configs/smoke.yaml takes 2,500 training pictures, class by class the same number.
size='\0000\0000\0000\0034\0000\0000\0000\0034'
first_entries train-images-idx3-ubyte.gz 3000 784 '\0000\0000\0010\0003\0000\0000\0013\0270'"$size"
first_entries train-labels-idx1-ubyte.gz 3000 1 '\0000\0000\0010\0001\0000\0000\0013\0270'
first_entries t10k-images-idx3-ubyte.gz 1000 784 '\0000\0000\0010\0003\0000\0000\0003\0350'"$size"
first_entries t10k-labels-idx1-ubyte.gz 1000 1 '\0000\0000\0010\0001\0000\0000\0003\0350'

du -sh "$folder"
