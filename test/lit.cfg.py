"""The lit tests of FlashSFA: `ninja -C build check-sfa` runs all of them."""

import glob
import os
import shutil
import subprocess

import lit.formats
from lit.llvm import llvm_config
from lit.llvm.subst import ToolSubst

config.name = "FlashSFA"
config.test_format = lit.formats.ShTest(not llvm_config.use_lit_shell)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "data", "unittests", "Unit", "Oracle"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.sfa_binary_dir, "test")

# lit passes none of the project's variables on, such as SFA_TUNING_DATABASE, so that tests are the same for everybody; but this:
# 1 and 2 are for more cases than an ordinary run has: docs/testing.md.
extent = os.environ.get("SFA_TEST_FULL") or "0"
config.environment["SFA_TEST_FULL"] = extent
config.substitutions.append(("%full", "" if extent == "0" else "--full"))

# The interpreter that lit runs with loads no numpy and no torch, which takes seconds.
config.substitutions.append(("%bare_python", '"%s"' % config.python_executable))
# An interpreter with numpy and torch: scripts/run-tests.sh names the one that scripts/python-tests.sh makes.
config.python_executable = os.environ.get("SFA_TEST_PYTHON") or config.python_executable

config.substitutions.append(("%sfa_src", config.sfa_source_dir))
config.substitutions.append(("%sfa_bin", config.sfa_binary_dir))
config.substitutions.append(("%python", '"%s"' % config.python_executable))
config.substitutions.append(("%cmake", config.sfa_cmake))
config.substitutions.append(("%compilers", config.sfa_compilers))
llvm_config.use_default_substitutions()

# A tool that this build does not have is a feature that its tests require.
tools = ["sfa-opt", "sfa-compile", "sfa-run", "sfa-bench", "sfa-layout", "sfa-oracle", "sfa-tune", "sfa-lsp-server",
         "sfa-reduce"]
for tool in tools:
    if os.path.exists(os.path.join(config.sfa_tools_dir, tool)):
        config.available_features.add(tool)
llvm_config.add_tool_substitutions(
    [ToolSubst(tool, unresolved="ignore") for tool in tools] + ["not", "split-file"],
    [config.sfa_tools_dir, config.llvm_tools_dir])

# The assembler and the disassembler of the CUDA Toolkit, where there are any.
cuda_folder = os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin")
for tool in ("ptxas", "cuobjdump"):
    found = shutil.which(tool) or shutil.which(tool, path=cuda_folder)
    if found:
        config.available_features.add(tool)
        config.substitutions.append(("%" + tool, found))

# A Slurm of one node, for a script that runs in one.
if all(shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin") for tool in ("munged", "slurmctld", "slurmd", "sbatch")):
    config.available_features.add("slurm")

# Of the LLVM that this is built with, so that it reads the same LLVM IR.
clang = os.path.join(config.llvm_tools_dir, "clang")
if os.path.exists(clang):
    config.available_features.add("clang")
    config.substitutions.append(("%clang", clang))

# The Python package: needs the library of this build, and numpy and torch for its tests.
if os.path.exists(os.path.join(config.sfa_binary_dir, "lib", "libsfa.so")):
    for package in ("numpy", "torch", "mypy"):
        # Looked for, not loaded: one that is there and broken makes tests fail.
        find = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{package}') is None)"
        if subprocess.run([config.python_executable, "-c", find], capture_output=True).returncode == 0:
            config.available_features.add(package)
    if not glob.glob("/dev/nvidia[0-9]*"):
        config.available_features.add("no-gpu")

# What makes the wheel.
if subprocess.run([config.python_executable, "-c", "import scikit_build_core"], capture_output=True).returncode == 0:
    config.available_features.add("scikit-build-core")
