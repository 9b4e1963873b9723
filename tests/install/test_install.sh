#!/bin/sh
# test_install.sh: what cmake --install leaves is enough to build against: headers, archives, .pc.
# SPDX-License-Identifier: Apache-2.0
#
# usage: test_install.sh BUILD_FOLDER C_COMPILER CMAKE [CONFIG]
# Skipped (77) while the whole is not built, or without pkg-config.
set -eu
build=$1 cc=$2 cmake=$3 config=${4:-}
source=$(cd "$(dirname "$0")" && pwd)

if [ ! -x "$build/vkalign" ]; then
    echo "skipped: $build/vkalign is not built"
    exit 77
fi
command -v pkg-config >/dev/null || { echo "skipped: no pkg-config"; exit 77; }

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
"$cmake" --install "$build" --prefix "$temp/prefix" ${config:+--config "$config"} >"$temp/log" 2>&1 ||
    { cat "$temp/log"; exit 1; }

# Found wherever the prefix's lib folder is (lib, lib64, lib/TRIPLET), in a folder it was not
# configured for.
pc=$(find "$temp/prefix" -name vkalign.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
version=$(pkg-config --modversion vkalign)

# Static archives: all that they need comes from the flags, in an order that one pass can link.
# shellcheck disable=SC2046 # flags are words
"$cc" -std=c11 -Wall -Wextra -Werror "$source/use_vkalign.c" -o "$temp/use_vkalign" \
    $(pkg-config --cflags --libs vkalign)
"$temp/use_vkalign" "$temp/absent.yaml"

# The command was installed too and is of the same version.
"$temp/prefix/bin/vkalign" --version | grep -F "$version"
