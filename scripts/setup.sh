#!/usr/bin/env bash
# Gets from a fresh machine to a build: installs the system packages that are missing, configures, builds.
#
#   scripts/setup.sh [TARGET...]                without a target: everything
#   scripts/setup.sh --package [TARGET...]      the build of packages, in build-package/; see package.sh
#
# For Debian and Ubuntu, as root or with sudo; tested on a minimal Debian 12. Where no package is missing nothing is
# downloaded and no privilege is needed. A folder build/ that is already configured is kept as it is, so that an LLVM from elsewhere can
# be used: cmake --preset dev -DMLIR_DIR=...
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
preset=dev

# All that the build and the tests need on top of a minimal system.
packages=(
  clang-22 lld-22              # compiler, which brings the C++ library, and linker
  ccache                       # the build of packages takes what this one has compiled
  cmake ninja-build            # build
  llvm-22-dev llvm-22-tools    # LLVM; FileCheck, lit, not and split-file for the tests
  libmlir-22-dev mlir-22-tools # MLIR; mlir-tblgen
  libfmt-dev libgtest-dev      # formatted messages; unit tests
  nlohmann-json3-dev           # JSON of the runtime; headers only
  libxxhash-dev                # checksums of the runtime; headers only
  libeigen3-dev                # least squares of the tuner; headers only
  python3                      # runs lit
)

# What packages need beside that.
packagePackages=(
  zlib1g-dev libzstd-dev # archives that LLVM needs when it is linked statically
  zstd                   # compresses the archive
  binutils               # objdump and readelf for the checks
  python3-venv           # for the programs of package-tools.txt
)

if [[ ${1-} == --package ]]; then
  shift
  build=$root/build-package
  preset=package
  packages+=("${packagePackages[@]}")
fi

say() { printf '==> %s\n' "$*"; }

fail() {
  printf 'setup: error: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

isInstalled() { [[ $(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null) == ?i* ]]; }

installPackages() {
  local package missing=()
  local ownBuild="or configure with packages of your own: cmake --preset $preset -DMLIR_DIR=.../lib/cmake/mlir"
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "not Debian or Ubuntu: expecting CMake, Ninja, Clang, lld, LLVM and MLIR 22, fmt, nlohmann-json, xxHash, GoogleTest and Python 3"
    return
  fi
  for package in "${packages[@]}"; do
    isInstalled "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local byHand="apt-get install --no-install-recommends ${missing[*]}"
  if [[ -f $build/build.ninja ]]; then
    say "packages that are not installed: ${missing[*]}; going on, since ${build##*/}/ is configured already"
    return
  fi

  local asRoot=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      fail "packages are missing, and this is neither root nor is there sudo" "as root: $byHand" "$ownBuild"
    asRoot=(sudo)
  fi
  local apt=("${asRoot[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q
    -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)

  say "installing ${missing[*]}"
  # One source that fails is no reason to stop: the others may have what is missing.
  "${apt[@]}" update || true
  local unknown=()
  for package in "${missing[@]}"; do
    [[ -n $(apt-cache madison "$package" 2>/dev/null) ]] || unknown+=("$package")
  done
  ((${#unknown[@]} == 0)) ||
    fail "no package source has ${unknown[*]}" \
      "without a network connection: connect once, later runs need none" \
      "LLVM and MLIR 22 are in the security updates of Debian 12 (bookworm-security main), and for other versions of" \
      "  Debian and Ubuntu from the LLVM project" \
      "then: $byHand" "$ownBuild"
  "${apt[@]}" install -y --no-install-recommends --no-remove "${missing[@]}" ||
    fail "the packages could not be installed; the lines above say why (no network connection?)" \
      "by hand: $byHand" "$ownBuild"
}

configure() {
  [[ ! -f $build/build.ninja ]] || return 0
  local log
  log=$(mktemp)
  say "configuring ${build##*/}/"
  if ! (cd -- "$root" && cmake --preset "$preset") >"$log" 2>&1; then
    cat -- "$log" >&2
    rm -f -- "$log"
    fail "CMake could not configure the build; its output is above"
  fi
  rm -f -- "$log"
}

installPackages
configure
say "building ${*:-everything} on $(nproc) cores"
NINJA_STATUS='[%f/%t, %e s] ' ninja -C "$build" "$@" || fail "the build broke; the lines above say where"
