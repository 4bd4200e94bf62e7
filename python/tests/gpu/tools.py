"""The tools of an unpacked archive: what they compute on the GPU against what they compute on this CPU."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch

from harness import group, read_npy, require, same_bits

ROOT = pathlib.Path(__file__).resolve().parents[3]
TOOLS = ("sfa-opt", "sfa-compile", "sfa-run", "sfa-bench")
# f16 results differ by their rounding.
TOLERANCE = 1.5e-3


def output_of(*command, timeout=120):
    """What a command prints; it has to succeed."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout)
    require(done.returncode == 0, f"exit status {done.returncode}: {done.stdout[-200:]}: {' '.join(map(str, command))}")
    return done.stdout


@group("tools", each_chip=False, shared=False)
def tools(run):
    if run.tools is None:
        run.note("SKIPPED: tools: --tools DIR names no unpacked archive (scripts/package.sh)")
        return
    folder = pathlib.Path(run.tools).resolve()
    for tool in TOOLS:
        run.case(f"{tool} --version", output_of, folder / "bin" / tool, "--version")
    examples = folder / "share/flashsfa/examples"
    major, minor = torch.cuda.get_device_capability()
    for chip in ("sm_90a", "sm_80") if (major, minor) == (9, 0) else ("sm_80",):
        for name, entry, results, exact in (("1-sparsify", "sparsify", 3, True), ("attention", "attention", 2, False),
                                            ("dense-attention", "attention", 2, False),
                                            ("3-schedules", "dense", 1, False)):
            for layer in ("layer1", "layer4"):
                run.case(f"sfa-run {name} {layer} {chip}", compare_targets, folder / "bin/sfa-run",
                         examples / f"{name}.mlir", entry, layer, results, exact, ("--target=cuda", f"--chip={chip}"))
        for value in ("scores", "probabilities", "state0"):
            run.case(f"sfa-insert-probe {value} {chip}", compare_probes, folder, examples / "dense-attention.mlir", value, chip)
        run.case(f"sfa-compile {chip}", check_program, folder / "bin/sfa-compile", examples / "attention.mlir", chip)
        ptxas = shutil.which("ptxas") or shutil.which("ptxas", path=os.path.join(
            os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin"))
        if ptxas:
            run.case(f"sfa-compile {chip} cubin", check_cubin, folder / "bin/sfa-compile",
                     examples / "attention.mlir", chip, ptxas)
        else:
            run.note("SKIPPED: tools: sfa-compile --emit=cubin, no ptxas on PATH")
    run.case("python -m sfa.info", check_info)
    tests = folder / "libexec/flashsfa/SFARuntimeDeviceTests"
    if tests.exists():
        run.case(tests.name, check_device_tests, run, tests)
    else:
        run.note(f"SKIPPED: tools: there is no {tests}")


def compare_targets(sfa_run, example, entry, layer, num_results, exact, target):
    """Runs a function on the CPU and on `target`; bit for bit where `exact`."""
    q, k, v = (ROOT / f"test/data/{layer}_{name}.npy" for name in "qkv")
    arguments = [word for tensor in ((q,) if exact else (q, k, v)) for word in ("--arg", tensor)]
    with tempfile.TemporaryDirectory() as scratch:
        files = {where: [pathlib.Path(scratch) / f"{where}{number}.npy" for number in range(num_results)]
                 for where in ("cpu", "other")}
        for where, flags in (("cpu", ("--target=cpu",)), ("other", target)):
            output_of(sfa_run, example, f"--entry={entry}", *arguments, *flags,
                      *(word for file in files[where] for word in ("--out", file)))
        for number, (expected, actual) in enumerate(zip(*files.values())):
            expected, actual = read_npy(expected), read_npy(actual)
            require(expected.shape == actual.shape and expected.dtype == actual.dtype,
                    f"result {number} is {actual.dtype} {list(actual.shape)}, on the CPU {expected.dtype} "
                    f"{list(expected.shape)}")
            if exact:
                require(same_bits(expected, actual), f"result {number} differs from that of the CPU")
                continue
            require(bool(actual.isfinite().all()), f"result {number} is not finite")
            error = ((actual.double() - expected.double()).norm() / expected.double().norm()).item()
            require(error < TOLERANCE, f"result {number} differs from that of the CPU by {error:.1e}")


def compare_probes(folder, example, value, chip):
    """What a kernel has between its inputs and its outputs at the last row tile, which sees all keys."""
    with tempfile.TemporaryDirectory() as scratch:
        probed = pathlib.Path(scratch) / "probed.mlir"
        output_of(folder / "bin/sfa-opt", f"--sfa-assign-schedule=chip={chip}", "--convert-sfa-to-tile",
                  f"--sfa-insert-probe=value={value} point=0,1,1", example, "-o", probed)
        compare_targets(folder / "bin/sfa-run", probed, "attention", "layer1", 3, False, ("--target=cuda", f"--chip={chip}"))


def check_program(sfa_compile, example, chip):
    document = json.loads(output_of(sfa_compile, example, f"--chip={chip}"))
    require(document["chip"] == chip and document["launches"], "the document is of another chip, or has no launches")
    require(f".target {chip}" in document["image"]["text"], f"the image has no code for {chip}")


def check_cubin(sfa_compile, example, chip, ptxas):
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch) / "cubin"
        output_of(sfa_compile, example, f"--chip={chip}", "--emit=cubin", f"--ptxas={ptxas}", "-o", file)
        require(file.read_bytes()[:4] == b"\x7fELF", "what was written is no ELF file")


def check_info():
    report = output_of(sys.executable, "-m", "sfa.info")
    checks = [line for line in report.splitlines() if line.startswith("self check, cuda")]
    require(checks and all(line.endswith(" right") for line in checks), f"the self check fails: {checks}")


def check_device_tests(run, tests):
    """None of them may be skipped: there is a GPU."""
    printed = output_of(tests)
    require("[  SKIPPED ]" not in printed, f"tests are skipped: {printed[-400:]}")
    for line in printed.splitlines():
        if line.startswith("launch, "):
            run.note(line)
