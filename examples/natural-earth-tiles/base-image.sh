#!/bin/sh
# Make the base image of this example from Debian's packages, load it into podman, and print its name with its digest:
#   ./base-image.sh FOLDER
# Needs mmdebstrap, podman, python3 and pip, and reaches Debian's mirror and the Python package index. The archive is
# kept in FOLDER and made only once. Debian's packages go on, so that an image of another day has another digest:
# put the name that is printed into the Containerfile's FROM, and commit it.
set -eu
here=$(dirname "$(readlink -f "$0")")
folder=${1:?name a folder for the archive}
mkdir -p "$folder/context"
folder=$(readlink -f "$folder")
tag=localhost/dfc-example-gdal:trixie
export SOURCE_DATE_EPOCH=1767225600
flags="--ulimit nofile=1024:1024 --ulimit nproc=4096:4096"

if [ ! -f "$folder/context/base.tar" ]; then
    python3 -m pip download --quiet --no-deps --require-hashes --only-binary=:all: --python-version 3.13 \
        --platform manylinux_2_28_x86_64 --dest "$folder/wheels" --requirement "$here/wheels.lock" >&2
    rm -rf "$folder/packages"
    mkdir "$folder/packages"
    for wheel in "$folder"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$folder/packages"; done
    mmdebstrap --quiet --variant=minbase --keyring=/usr/share/keyrings --include=gdal-bin,tippecanoe,python3 \
        --customize-hook="copy-in $folder/packages /opt" trixie "$folder/base.unfinished.tar" \
        "deb ${DEBIAN_MIRROR:-http://deb.debian.org/debian} trixie main" >&2
    mv "$folder/base.unfinished.tar" "$folder/context/base.tar"
fi
printf 'FROM scratch\nADD base.tar /\nENV PATH=/usr/local/bin:/usr/bin:/bin PYTHONPATH=/opt/packages\n' >"$folder/Containerfile"
# shellcheck disable=SC2086  # a list of words
podman build --quiet --format docker --timestamp "$SOURCE_DATE_EPOCH" $flags --tag "$tag" \
    --file "$folder/Containerfile" "$folder/context" >/dev/null
podman image inspect --format '{{index .RepoDigests 0}}' "$tag"
