# Shared by ./run and ./test: find Python, make the virtual environment, install Debian's packages.
# Sets $python. Both scripts stand in the root of the project when they read this.

say() { printf '== %s\n' "$*"; }

stop() {
    printf '%s\n' "$*" >&2
    exit 1
}

install_from_debian() { # package ...
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "Not installed, since this is not root on Debian:$missing"
        return 0
    fi
    say "Installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of words
    { apt-get -qq -o DPkg::Lock::Timeout=120 update && apt-get -qq -y -o DPkg::Lock::Timeout=120 \
        --no-install-recommends install $missing; } >/dev/null 2>&1 || echo "Could not be installed:$missing"
}

find_python() {
    for candidate in python3.11 python3; do
        if command -v "$candidate" >/dev/null &&
            [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = 3.11 ]; then
            command -v "$candidate"
            return
        fi
    done
}

make_environment() { # requirements file
    system=$(find_python)
    [ -n "$system" ] || stop "Python 3.11 is needed and was not found. On Debian 12: apt install python3 python3-venv"
    if ! "$system" -c 'import ensurepip, venv' 2>/dev/null; then
        install_from_debian python3-venv
        "$system" -c 'import ensurepip, venv' 2>/dev/null || stop "Python has no venv. On Debian: apt install python3-venv"
    fi
    folder=${DFC_VENV:-$PWD/.venv}
    python=$folder/bin/python
    wanted=$(sha256sum "$1" | cut -d ' ' -f 1)
    if [ -x "$python" ] && grep -qs "$wanted" "$folder/installed"; then
        return
    fi
    say "Installing Python packages ($1)"
    [ -x "$python" ] || "$system" -m venv "$folder" || stop "The virtual environment $folder could not be made."
    "$python" -m pip --quiet --disable-pip-version-check install uv 2>/dev/null
    if ! "$python" -m uv pip install --quiet --python "$python" --require-hashes -r "$1" 2>/dev/null; then
        "$python" -m pip --quiet --disable-pip-version-check install --require-hashes -r "$1" ||
            stop "The packages of $1 could not be installed; pip said why above. Is the package index reachable?"
    fi
    echo "$wanted" >>"$folder/installed"
}
