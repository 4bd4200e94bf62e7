#!/usr/bin/env bash
# Makes the packages of a release, for any Linux on x86-64 with glibc 2.28 or later, and checks them:
#
#   dist/flashsfa-VERSION-py3-none-manylinux_2_28_x86_64.whl    the Python package with libsfa.so
#   dist/flashsfa-VERSION-linux-x86_64.tar.zst                  tools, libraries, headers, documents, examples
#
#   scripts/package.sh
#
# Sets up what is missing first; the build is in build-package/. What is inside and what the checks are:
# docs/packaging.md. The last line names the two files and their sizes. Exit status: 0 when both are there and right, 1
# otherwise; then dist/ is as it was.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-package
dist=$root/dist
deviceTests=$build/device-tests/test/unittests/Runtime/SFARuntimeDeviceTests
maxBytes=30000000
maxGlibc=2.28 # scripts/old-glibc.sh
platform=manylinux_${maxGlibc/./_}_x86_64
tools=(sfa-opt sfa-compile sfa-run sfa-bench sfa-tune sfa-layout sfa-lsp-server)
# Debian's packages of what is linked into the libraries; their licences go along.
inside=(libmlir-22-dev libfmt-dev nlohmann-json3-dev libxxhash-dev libeigen3-dev zlib1g-dev libzstd-dev libstdc++-12-dev)

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '==> %s\n' "$*"; }

fail() {
  printf 'package: error: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

# A binary may need glibc alone, of the version that the name of the wheel says.
#   checkBinary FILE [LIBRARY-OF-OURS]
checkBinary() {
  local file=$1 own=${2-} name needed versions newest
  name=${file##*/}
  needed=$(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
  while read -r library; do
    case $library in
      libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | ld-linux-x86-64.so.2 | '') ;;
      "$own") ;;
      *) fail "$name needs $library; only libraries of glibc are allowed" ;;
    esac
  done <<<"$needed"
  ! readelf -S "$file" | grep -q '\.symtab' || fail "$name is not stripped"
  versions=$(objdump -T "$file" | sed -n 's/.*(\?GLIBC_\([0-9.]*\))\?.*/\1/p' | sort -Vu)
  newest=${versions##*$'\n'}
  [[ -n $newest ]] || fail "objdump shows no symbol of glibc in $name"
  [[ $(printf '%s\n' "$newest" "$maxGlibc" | sort -V | tail -n 1) == "$maxGlibc" ]] ||
    fail "$name needs glibc $newest; the packages promise $maxGlibc"
  printf '    %-22s %6.1f MB, glibc %s\n' "$name" "$(bytesToMB "$(wc -c <"$file")")" "$newest"
}

# The tests of the runtime that need a GPU, as one binary, for machines without a compiler: scripts/gpu-test.sh --tools.
buildDeviceTests() {
  local log=$work/device-tests.log flags="--ld-path=ld.lld-22 -B$build/glibc -L$build/glibc -static-libstdc++ -static-libgcc -Wl,-s"
  cmake -S "$root/runtime" -B "$build/device-tests" -G Ninja -DSFA_RUNTIME_ENABLE_TESTS=ON -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 \
    -DCMAKE_EXE_LINKER_FLAGS="$flags" >"$log" 2>&1 &&
    ninja -C "$build/device-tests" SFARuntimeDeviceTests >>"$log" 2>&1 ||
    fail "the device tests of the runtime could not be built" "$(tail -n 20 "$log")"
}

bytesToMB() { awk -v bytes="$1" 'BEGIN { printf "%.1f", bytes / 1e6 }'; }

# What is linked into libsfa.so comes with licences that ask to be passed on.
writeNotices() {
  local package file
  printf 'The libraries and tools of this package contain code of the projects below, under these licences.\n'
  for package in "${inside[@]}"; do
    file=/usr/share/doc/$package/copyright
    [[ -r $file ]] || fail "no licence in $file; the packages have to hold it" \
      "the package build needs the LLVM and the libraries of Debian or Ubuntu"
    printf '\n==================== %s ====================\n\n' "$package"
    cat -- "$file"
  done
}

# Makes the wheel as `pip install .` does, from this build, and gives it the tag of the glibc that it needs; sets `wheel`.
makeWheel() {
  local log=$work/wheel.log
  "$python" -m pip wheel --quiet --no-deps --no-build-isolation --disable-pip-version-check --wheel-dir "$work/linux" \
    --config-settings=build-dir="$build" --config-settings=cmake.args=--preset=package \
    --config-settings=install.strip=false "$root" >"$log" 2>&1 || fail "the wheel could not be made" "$(tail -n 40 "$log")"
  # The earliest time that zip can say.
  SOURCE_DATE_EPOCH=315532800 PATH=${python%/*}:$PATH "$python" -m auditwheel repair --plat "$platform" --only-plat \
    --wheel-dir "$work/out" "$work"/linux/*.whl >"$log" 2>&1 || fail "the wheel does not run on all of $platform" "$(<"$log")"
  wheel=$(echo "$work"/out/*.whl)
}

# Lays out the archive in DIR.
layOut() {
  local dir=$1 tool
  mkdir -p "$dir"/{bin,lib,libexec/flashsfa,include/sfa,share/doc/flashsfa,share/flashsfa}
  for tool in "${tools[@]}"; do
    cp "$build/packaged/bin/$tool" "$dir/bin/"
  done
  cp "$build/bin/sfa-oracle" "$dir/bin/"
  cp "$deviceTests" "$dir/libexec/flashsfa/"
  cp "$build/lib/libsfa.so" "$dir/lib/"
  DESTDIR=$work/runtime cmake --install "$build/runtime" --prefix / >"$work/install.log" 2>&1 ||
    fail "the runtime could not be installed" "$(cat "$work/install.log")"
  cp -a "$work"/runtime/lib*/. "$dir/lib/"
  cp "$root"/include/sfa/jit.h "$root"/runtime/include/sfa/{runtime.h,runtime.hpp} "$dir/include/sfa/"
  cp "$root"/{README.md,LICENSE} "$build/THIRD-PARTY-NOTICES" "$dir/share/doc/flashsfa/"
  cp -r "$root/docs" "$dir/share/doc/flashsfa/"
  cp -r "$root/examples" "$dir/share/flashsfa/"
  mkdir "$dir/share/flashsfa/data"
  cp "$root"/test/data/{README.md,*.npy} "$dir/share/flashsfa/data/"
  # Commands in the texts work in the folder of the archive.
  find "$dir/share" -type f \( -name '*.md' -o -name '*.mlir' \) -exec sed -i \
    -e 's#build/bin/#bin/#g' -e 's#test/data/#share/flashsfa/data/#g' -e 's#\([ (]\)examples/\([^ )]*\.mlir\)#\1share/flashsfa/examples/\2#g' {} +
}

# Checks the archive, unpacked in DIR.
checkArchive() {
  local dir=$1 tool input=()
  for tool in "${tools[@]}"; do
    ! env -i PATH=/usr/bin:/bin ldd "$dir/bin/$tool" | grep -E 'LLVM|MLIR|stdc|not found' ||
      fail "bin/$tool needs the library above"
    env -i "$dir/bin/$tool" --version >"$work/version" 2>&1 ||
      fail "bin/$tool --version failed" "$(cat "$work/version")"
  done
  # Both paths to GPUs, and the CPU.
  for chip in sm_80 sm_90a; do
    env -i "$dir/bin/sfa-opt" "--sfa-to-ptx=chip=$chip" "$dir/share/flashsfa/examples/attention.mlir" \
      >"$work/ptx" || fail "bin/sfa-opt cannot compile an example for $chip"
    grep -q "\.target $chip" "$work/ptx" || fail "bin/sfa-opt gave no PTX for $chip"
    env -i "$dir/bin/sfa-compile" --chip "$chip" --emit ptx "$dir/share/flashsfa/examples/attention.mlir" \
      -o "$work/ptx" || fail "bin/sfa-compile cannot compile an example for $chip"
    grep -q "\.target $chip" "$work/ptx" || fail "bin/sfa-compile gave no PTX for $chip"
  done
  for tensor in q k v; do
    input+=(--arg "$root/test/data/layer1_$tensor.npy")
  done
  env -i "$dir/bin/sfa-run" "$dir/share/flashsfa/examples/attention.mlir" "${input[@]}" --out "$work/o.npy" \
    --out "$work/lse.npy" --time || fail "bin/sfa-run cannot run an example"
  (cd "$dir" && env -i bin/sfa-oracle -q share/flashsfa/data/layer1_q.npy -k share/flashsfa/data/layer1_k.npy \
    -v share/flashsfa/data/layer1_v.npy --topk 8 --mask causal --compare "$work/o.npy" --compare-lse "$work/lse.npy") ||
    fail "bin/sfa-oracle does not find right what bin/sfa-run computes"
  env -i "$dir/bin/sfa-bench" -n 256 --repeats 1 >"$work/bench" || fail "bin/sfa-bench failed"
  env -i "$dir/bin/sfa-layout" swizzle >"$work/picture" || fail "bin/sfa-layout failed"
  # Without a GPU all but the tests of their documents are skipped.
  env -i "$dir/libexec/flashsfa/SFARuntimeDeviceTests" >"$work/tests" 2>&1 ||
    fail "libexec/flashsfa/SFARuntimeDeviceTests failed" "$(cat "$work/tests")"
}

# Runs the tools where there is glibc and nothing else. Only root may change the root folder.
checkBareRoot() {
  local dir=$1 bare=$work/bare library chroot
  chroot=$(PATH=$PATH:/usr/sbin:/sbin command -v chroot || true)
  if ((EUID != 0)) || [[ -z $chroot ]] || ! "$chroot" / true 2>/dev/null; then
    say "not checked in a bare root: that takes the right to change the root folder"
    return 0
  fi
  mkdir -p "$bare"/{lib64,tmp} "$bare/opt"
  cp -r "$dir" "$bare/opt/flashsfa"
  cp -L /lib64/ld-linux-x86-64.so.2 "$bare/lib64/"
  while read -r library; do
    cp -L "$library" "$bare/lib64/"
  done < <(ldd "$dir/lib/libsfa.so" | awk '$2 == "=>" { print $3 }')
  cp "$root"/test/data/layer1_[qkv].npy "$bare/tmp/"
  # Without /proc a program does not know where it is, so the place of libsfa.so has to be said.
  local inBare=(env -i LD_LIBRARY_PATH=/opt/flashsfa/lib:/lib64 "$chroot" "$bare")
  "${inBare[@]}" /opt/flashsfa/bin/sfa-run /opt/flashsfa/share/flashsfa/examples/attention.mlir \
    --arg /tmp/layer1_q.npy --arg /tmp/layer1_k.npy --arg /tmp/layer1_v.npy --out /tmp/o.npy --out /tmp/lse.npy ||
    fail "bin/sfa-run does not run where there is nothing but glibc"
  cmp -s "$bare/tmp/o.npy" "$work/o.npy" || fail "bin/sfa-run gives another result where there is nothing but glibc"
  "${inBare[@]}" /opt/flashsfa/bin/sfa-opt --sfa-to-ptx=chip=sm_90a \
    /opt/flashsfa/share/flashsfa/examples/attention.mlir >"$work/ptx" ||
    fail "bin/sfa-opt does not run where there is nothing but glibc"
}

# Checks the wheel, installed in DIR: its files, the library, and that the package can be imported.
checkWheel() {
  local dir=$1
  "$root/scripts/check-wheel.py" "$wheel" --tag "py3-none-$platform" --notices ||
    fail "the wheel is not whole; the lines above say why"
  ! env -i PATH=/usr/bin:/bin ldd "$dir/sfa/libsfa.so" | grep -E 'LLVM|MLIR|stdc|not found' ||
    fail "libsfa.so needs the library above"
  env -i PATH="$PATH" HOME="$work" "$root/scripts/check-library.py" "$dir/sfa/libsfa.so" ||
    fail "libsfa.so of the wheel does not work"
  (cd / && env -i PATH="$PATH" HOME="$work" PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$dir" \
    python3 -c "import sfa; assert sfa.__version__ == '$version'") || fail "the package of the wheel cannot be imported"
}

# Users download these.
checkSize() {
  local bytes
  bytes=$(wc -c <"$1")
  ((bytes <= maxBytes)) || fail "${1##*/} has $bytes bytes; $maxBytes are allowed"
}

version=$(<"$root/runtime/VERSION")

"$root/scripts/setup.sh" --package sfa sfa_runtime sfa_runtime_static sfa-oracle "${tools[@]/#/packaged-}" ||
  fail "there is nothing to pack: the build did not get through"
python=$("$root/scripts/package-tools.sh")

say "building the device tests of the runtime"
buildDeviceTests

say "checking what the binaries need"
checkBinary "$build/lib/libsfa.so"
checkBinary "$build/runtime/libsfa_runtime.so"
for tool in "${tools[@]}"; do
  checkBinary "$build/packaged/bin/$tool" libsfa.so
done
checkBinary "$deviceTests"
checkBinary "$build/bin/sfa-oracle"

say "making the wheel"
writeNotices >"$build/THIRD-PARTY-NOTICES"
makeWheel
checkSize "$wheel"

say "making the archive"
archive=$work/out/flashsfa-$version-linux-x86_64.tar.zst
layOut "$work/flashsfa-$version"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime='1980-01-01 UTC' --mode='u+w,go+rX,go-w' \
  -cf "$work/archive.tar" "flashsfa-$version"
zstd -q -19 -T0 "$work/archive.tar" -o "$archive"
checkSize "$archive"

say "trying the wheel"
mkdir "$work/unpacked"
"$python" -m pip install --quiet --no-deps --no-index --disable-pip-version-check --target "$work/wheel" "$wheel" ||
  fail "the wheel cannot be installed"
checkWheel "$work/wheel"

say "trying the archive"
zstd -q -d -c "$archive" | tar -C "$work/unpacked" -xf -
checkArchive "$work/unpacked/flashsfa-$version"
checkBareRoot "$work/unpacked/flashsfa-$version"

mkdir -p "$dist"
rm -f -- "$dist"/flashsfa-*.whl "$dist"/flashsfa-*.tar.zst
mv -- "$wheel" "$archive" "$dist/"
printf 'package: dist/%s (%s MB), dist/%s (%s MB)\n' \
  "${wheel##*/}" "$(bytesToMB "$(wc -c <"$dist/${wheel##*/}")")" \
  "${archive##*/}" "$(bytesToMB "$(wc -c <"$dist/${archive##*/}")")"
