#!/usr/bin/env bash
# Makes a folder to link against in place of the glibc of this machine, so that what is linked runs on older systems, too:
#
#   scripts/old-glibc.sh DIR
#   clang ... -B DIR -L DIR         # -B for the object that starts a program
#
# It has the symbols of glibc 2.28, as libraries without code, from Zig's description of all versions of glibc,
# and libnewer.a with what objects that were compiled for a newer one call beyond that: tools/Packaged/NewerGlibc.c. Nothing is
# done where the folder is there and what it is made of has not changed. Exit status: 0, or 1 with a line that says why.
set -euo pipefail
shopt -s inherit_errexit

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# The oldest glibc that packages run on; the tag of the wheel, manylinux_2_28, says it, too.
version=2.28
libraries=(libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libutil.so.1)
source=$root/tools/Packaged/NewerGlibc.c

fail() {
  printf 'old-glibc: error: %s\n' "$1" >&2
  [[ ! -s ${log-} ]] || cat -- "$log" >&2
  exit 1
}

(($# == 1)) || fail "usage: scripts/old-glibc.sh DIR"
dir=$1
stamp=$(cat -- "${BASH_SOURCE[0]}" "$source" "$root/scripts/package-tools.txt" | sha256sum)
[[ ! -f $dir/stamp || $(<"$dir/stamp") != "$stamp" ]] || exit 0

python=$("$root/scripts/package-tools.sh")
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
log=$work/log
rm -rf -- "$dir"
mkdir -p -- "$dir"

# Zig writes the libraries that it links a program against into its cache.
printf 'int main(void) { return 0; }\n' >"$work/main.c"
(cd -- "$work" && ZIG_GLOBAL_CACHE_DIR=$work/cache ZIG_LOCAL_CACHE_DIR=$work/cache "$python" -m ziglang cc \
  -target "x86_64-linux-gnu.$version" -O2 -fPIE -pie main.c -o main) >"$log" 2>&1 || fail "zig cannot link a program"
for file in "${libraries[@]}" Scrt1.o libc_nonshared.a; do
  cp -- "$work"/cache/o/*/"$file" "$dir/" 2>>"$log" || fail "zig made no $file"
done
cp -- "$work"/cache/o/*/libld.so.2 "$dir/ld-linux-x86-64.so.2" 2>>"$log" || fail "zig made no libld.so.2"
for file in "${libraries[@]:1}"; do
  ln -s -- "$file" "$dir/${file%.*}"
done

{ clang-22 -std=c11 -O2 -fPIC -fvisibility=hidden -Wall -Wextra -Werror -c "$source" -o "$work/newer.o" &&
  llvm-ar-22 rcs "$dir/libnewer.a" "$work/newer.o"; } >"$log" 2>&1 || fail "$source cannot be compiled"
# What is a library of its own in old versions is a part of libc for objects that were compiled for newer ones.
printf 'GROUP ( libc.so.6 libc_nonshared.a libnewer.a AS_NEEDED ( %s ) )\n' \
  "${libraries[*]:1} ld-linux-x86-64.so.2" >"$dir/libc.so"
printf '%s\n' "$stamp" >"$dir/stamp"
