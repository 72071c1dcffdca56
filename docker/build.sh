#!/bin/sh
# The image's own steps after install.sh, as root: builds PRESET for the machines ARCH, installs it, and
# makes the user that it runs as, who may test it and write into /runs.
set -eu
preset=$1 arch=$2
cd "$(dirname "$0")/.."
cmake --preset "$preset" "-DTAPER_ARCH=$arch"
cmake --build --preset "$preset" --parallel "$(nproc)"
cmake --install "build/$preset" --prefix /usr/local
useradd --uid 10001 --create-home taper
install -d -o taper /runs
chown -R taper build
