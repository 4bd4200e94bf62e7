#!/usr/bin/env bash
# Tries before a release what only another system can show, in root folders that mmdebstrap makes and that are gone afterwards:
#
#   scripts/test-bare.sh commands [COMMAND...]   README.md's two commands, or COMMANDs, in a clone of this commit on a bare Debian 12
#   scripts/test-bare.sh packages                the packages of dist/ on the oldest Debian there is, see below
#
# The first installs compiler and LLVM and builds without a compiler cache, in ${TMPDIR:-/var/tmp}; README.md says how much space and
# time that takes, to which the download of the packages comes. The second takes two minutes. Its Debian is the oldest of 10, 11
# and 12 that the mirror of this machine has: glibc 2.28, 2.31, 2.36. There the tools give the same result as here and the library of
# the wheel passes scripts/check-library.py; where Python is 3.10 or later, the package is imported, too. Mirror, proxies and keys are
# those of apt on this machine, which is a Debian 12 with the package mmdebstrap; only root may change the root folder. Exit status:
# 0 when all is right, 1 otherwise.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
dist=$root/dist

say() { printf '==> %s\n' "$*"; }

fail() {
  printf 'test-bare: error: %s\n' "$1" >&2
  exit 1
}

# The sources of apt for the Debian release NAME, one a line, from where this machine has its own.
sources() {
  local name=$1 uri host label ownRelease
  ownRelease=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(LABEL)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' |
    while read -r uri host label; do
      case $label/$host in
        */"$ownRelease") printf 'deb %s %s main\n' "$uri" "$name" ;;
        # Those of a release that is not kept up any more have moved.
        */"$ownRelease"-*) [[ $name != "$ownRelease" ]] || printf 'deb %s %s main\n' "$uri" "$host" ;;
      esac
    done
}

# Whether the mirror has the Debian release NAME.
isThere() {
  local kind uri rest
  while read -r kind uri rest; do
    /usr/lib/apt/apt-helper download-file "${uri%/}/dists/$1/InRelease" "$work/InRelease" >/dev/null 2>&1 && return 0
  done < <(sources "$1" | head -n 1)
  return 1
}

# makeRoot NAME [PACKAGE,...]: makes the root folder $bare of a Debian release.
makeRoot() {
  local name=$1 packages=${2-}
  say "making a root folder of Debian $name"
  apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$work/apt.conf" || true
  sources "$name" >"$work/sources.list"
  [[ -s $work/sources.list ]] || fail "apt on this machine names no source of Debian; apt-get indextargets shows what it has"
  mmdebstrap --quiet --variant=minbase --aptopt="$work/apt.conf" ${packages:+--include="$packages"} "$name" "$bare" "$work/sources.list" ||
    fail "mmdebstrap cannot make it; the lines above say why"
  cp -L /etc/resolv.conf "$bare/etc/"
}

# Runs a command in $bare, with a /proc of its own and nothing of this environment.
inBare() {
  unshare --mount --pid --fork --kill-child --mount-proc="$bare/proc" chroot "$bare" \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C "$@"
}

testCommands() {
  local command started status=0
  (($#)) || set -- scripts/run-demo.sh scripts/run-tests.sh
  makeRoot bookworm
  git clone --quiet --no-local "$root" "$bare/flashsfa" || fail "this tree cannot be cloned"
  [[ -z $(git -C "$root" status --porcelain) ]] || say "what is not committed is not tried"
  for command in "$@"; do
    say "$command"
    started=$SECONDS
    inBare sh -c "cd /flashsfa && $command" || status=$?
    say "$command: exit status $status after $((SECONDS - started)) s"
    ((status == 0)) || fail "$command fails on a bare Debian 12"
  done
}

testPackages() {
  local name wheel archive tensor input=() here=$work/here prefix=/opt/flashsfa
  wheel=$(echo "$dist"/flashsfa-*.whl)
  archive=$(echo "$dist"/flashsfa-*.tar.zst)
  [[ -f $wheel && -f $archive ]] || fail "there are no packages in dist/; scripts/package.sh makes them"
  for name in buster bullseye bookworm; do
    ! isThere "$name" || break
  done
  makeRoot "$name" python3-minimal,libpython3-stdlib
  mkdir -p "$bare$prefix" "$bare/opt/wheel" "$here"
  zstd -q -d -c "$archive" | tar -C "$bare$prefix" --strip-components=1 -xf -
  zstd -q -d -c "$archive" | tar -C "$here" --strip-components=1 -xf -
  python3 -m zipfile -e "$wheel" "$bare/opt/wheel"
  cp "$root/scripts/check-library.py" "$bare/opt/"
  say "$(inBare ldd --version | sed -n 1p), $(inBare python3 --version)"

  for tensor in q k v; do
    input+=(--arg "share/flashsfa/data/layer1_$tensor.npy")
  done
  local run=(bin/sfa-run share/flashsfa/examples/attention.mlir "${input[@]}" --out /tmp/o.npy --out /tmp/lse.npy)
  inBare sh -c "cd $prefix && ${run[*]}" || fail "bin/sfa-run does not run there"
  (cd -- "$here" && "${run[@]/#\/tmp/$work}") || fail "bin/sfa-run does not run here"
  cmp -- "$bare/tmp/o.npy" "$work/o.npy" || fail "bin/sfa-run gives another result there"
  inBare sh -c "cd $prefix && bin/sfa-compile --chip sm_90a --emit ptx share/flashsfa/examples/attention.mlir -o /tmp/there.ptx" &&
    (cd -- "$here" && bin/sfa-compile --chip sm_90a --emit ptx share/flashsfa/examples/attention.mlir -o "$work/here.ptx") ||
    fail "bin/sfa-compile does not run"
  cmp -- "$bare/tmp/there.ptx" "$work/here.ptx" || fail "bin/sfa-compile gives another program there"
  inBare sh -c "cd $prefix && bin/sfa-oracle -q share/flashsfa/data/layer1_q.npy -k share/flashsfa/data/layer1_k.npy \
    -v share/flashsfa/data/layer1_v.npy --topk 8 --mask causal --compare /tmp/o.npy --compare-lse /tmp/lse.npy" ||
    fail "bin/sfa-oracle does not find right there what bin/sfa-run computes"
  inBare "$prefix/bin/sfa-bench" -n 256 --repeats 1 >/dev/null || fail "bin/sfa-bench fails there"
  inBare "$prefix/libexec/flashsfa/SFARuntimeDeviceTests" >"$work/tests" 2>&1 ||
    { cat -- "$work/tests" >&2 && fail "SFARuntimeDeviceTests fails there"; }
  inBare python3 /opt/check-library.py /opt/wheel/sfa/libsfa.so || fail "libsfa.so of the wheel does not work there"
  if inBare python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    inBare env PYTHONPATH=/opt/wheel python3 -c 'import sfa; print("sfa", sfa.__version__)' ||
      fail "the package cannot be imported there"
  fi
}

case ${1-} in
  commands | packages) ;;
  *) fail "usage: scripts/test-bare.sh commands [COMMAND...] | scripts/test-bare.sh packages" ;;
esac
((EUID == 0)) || fail "only root may change the root folder; try sudo"
command -v mmdebstrap >/dev/null || fail "there is no mmdebstrap: apt-get install mmdebstrap"

work=$(mktemp -d -p "${TMPDIR:-/var/tmp}")
chmod 755 "$work"
bare=$work/root
trap 'rm -rf --one-file-system -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [[ $1 == commands ]]; then
  testCommands "${@:2}"
else
  testPackages
fi
say "$1: right"
