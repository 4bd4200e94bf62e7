#!/usr/bin/env bash
# Builds the pages as a site in build-docs/site/: README.md, docs/, examples/ and the others, with mkdocs-material.
#
#   scripts/docs.sh            builds it; a link or an anchor that leads nowhere is an error
#   scripts/docs.sh --serve    builds it and serves it on http://localhost:8000 until it is interrupted
#
# mkdocs is in ${XDG_CACHE_HOME:-$HOME/.cache}/flashsfa-docs, outside of the checkout, made from scripts/docs.txt where it is
# missing or that file has changed; that needs a network connection and Python 3.11 or later with its module venv. Exit status:
# 0, or 1 with lines that say why there is no site.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
wanted=$root/scripts/docs.txt
base=${XDG_CACHE_HOME:-${HOME:?}/.cache}/flashsfa-docs
build=$root/build-docs

fail() {
  printf 'docs: error: %s\n' "$*" >&2
  exit 1
}

case ${1-} in
  '' | --serve) ;;
  *) fail "given is '$1'; allowed is --serve, or nothing" ;;
esac

mkdir -p -- "$base"
exec 9>"$base/lock"
flock 9
if ! cmp -s "$wanted" "$base/stamp"; then
  rm -rf -- "$base/venv" "$base/stamp"
  { python3 -m venv "$base/venv" &&
    "$base/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: -r "$wanted"; } \
    >"$base/log" 2>&1 || fail "mkdocs cannot be installed; $base/log says why (no network connection, no python3-venv?)"
  cp -- "$wanted" "$base/stamp"
fi
exec 9>&-

files=$(python3 "$root/scripts/check-links.py" --list) || fail "links are broken; the lines above say which"
rm -rf -- "$build/source"
while read -r file; do
  [[ -f $root/$file ]] || fail "a page links to the folder $file; a site has no page for it: link to one of its files"
  mkdir -p -- "$build/source/$(dirname -- "$file")"
  cp -- "$root/$file" "$build/source/$file"
done <<<"$files"

# With --quiet it would not count warnings, which --strict takes for errors. The variable silences what mkdocs-material says of
# the future of mkdocs.
NO_MKDOCS_2_WARNING=1 "$base/venv/bin/mkdocs" build --strict --clean --config-file "$root/mkdocs.yml" >"$build/log" 2>&1 || {
  cat -- "$build/log" >&2
  fail "mkdocs refuses the pages; the lines above say why"
}
printf 'docs: %s pages in %s\n' "$(grep -c '\.md$' <<<"$files")" "${build#"$root"/}/site"
if [[ ${1-} == --serve ]]; then
  exec "$base/venv/bin/python" -m http.server --bind localhost --directory "$build/site" 8000
fi
