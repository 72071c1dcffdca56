#!/bin/sh
# Installs what taper is built from, and the default data set, on Debian 12/13 or Ubuntu. As root or
# with sudo. One line per package on why it was chosen: README, "What it is built from".
set -eu
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q
$as_root apt-get install -y -q --no-install-recommends \
    gcc g++ libc6-dev cmake ninja-build pkg-config \
    libyaml-dev libjansson-dev zlib1g-dev libpng-dev libjpeg-dev libxxhash-dev libcmocka-dev \
    dataset-fashion-mnist libprotobuf-c-dev protobuf-c-compiler libonnx-dev python3 \
    libopenmpi-dev openmpi-bin
