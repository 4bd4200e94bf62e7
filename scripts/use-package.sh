# Sourced by the scripts that run on a GPU machine: sets `python` and makes it find the package. It is that of a wheel
# where the first argument names one, which is taken away from the arguments; otherwise that of this tree where
# SFA_LIBRARY names its libsfa.so, or the installed one. `root` is this tree.

python=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

if [[ $# -gt 0 && $1 == *.whl ]]; then
  "$python" -m pip install --quiet --no-deps --no-index --target "$scratch/site" "$1"
  unset SFA_LIBRARY
  export PYTHONPATH="$scratch/site${PYTHONPATH:+:$PYTHONPATH}"
  shift
elif [[ -n ${SFA_LIBRARY:-} ]]; then
  export PYTHONPATH="$root/python${PYTHONPATH:+:$PYTHONPATH}"
fi

# Kernels that earlier versions compiled are not those of this one.
export SFA_CACHE_DIR="$scratch/cache"
