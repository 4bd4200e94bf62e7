"""The hand-written studies that scripts/gpu-bench.py compares with: their programs, and what these print."""

import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

# Variants of the study in tensor_core/spfa.cu, by d and softmax: the fastest counts.
STUDIES = {(64, "online"): ("d64 dense online", "d64 dense online W3"), (64, "lazy"): ("d64 dense S1 BN192",),
           (128, "online"): ("dense online",), (128, "lazy"): ("dense S1",)}
STUDY_PARAMETERS = {"d64 dense online": "64,64,128,2,{causal},0,1,2", "d64 dense online W3": "64,64,128,3,{causal},0,1,2",
                    "d64 dense S1 BN192": "64,64,192,2,{causal},0,1,2,true,0,0,1",
                    "dense online": "128,128,128,2,{causal},0,1,2",
                    "dense S1": "128,128,128,2,{causal},0,1,2,true,0,0,1"}
STUDY_LINE = re.compile(r"bench (?P<name>.+?) +(?P<data>randn|sfa|sfaraw) +D=(?P<d>\d+) N=(?P<n>\d+) H=\d+ "
                        r"causal=(?P<causal>[01]) +(?P<ms>[\d.]+) ms")


def build_studies(source, target):
    """Only the variants that are compared: nvcc takes minutes for all."""
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    kernels = pathlib.Path(source) / "tensor_core"
    if not (kernels / "spfa.cu").is_file():
        sys.exit(f"there is no {kernels}/spfa.cu; --source has to name the folder of the studies")
    if not os.access(nvcc, os.X_OK):
        sys.exit("there is no nvcc on PATH or in /usr/local/cuda/bin; it comes with the CUDA Toolkit")
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    for d in (64, 128):
        variants = target / f"spfa{d}.inc"
        variants.write_text("".join(
            f'V("{name}",{parameters.format(causal=causal)});\n' for name, parameters in STUDY_PARAMETERS.items()
            if parameters.startswith(f"{d},") for causal in ("true", "false")))
        subprocess.run([nvcc, "-O3", "-std=c++17", "-gencode=arch=compute_90a,code=sm_90a", "-cudart", "static",
                        f'-DVFILE="{variants.resolve()}"', "-DX", "-DLAG=4", kernels / "spfa.cu", "-o",
                        target / f"spfa{d}"], check=True)
        variants.unlink()
        print(f"built {target / f'spfa{d}'}")


def parse_study(text):
    """Milliseconds by (name, data, d, n, causal), from what a study prints."""
    return {(m["name"], m["data"], int(m["d"]), int(m["n"]), m["causal"] == "1"): float(m["ms"])
            for m in map(STUDY_LINE.match, text.splitlines()) if m}


class Studies:
    """Samples of the studies' times, taken between those of the others."""

    def __init__(self, folder):
        self.folder, self.samples = folder and pathlib.Path(folder), {}

    def missing(self, d):
        if self.folder is None:
            return "--prototypes names no folder"
        if not any(key[0] == d for key in STUDIES):
            return f"no study for d = {d}"
        program = self.folder / f"spfa{d}"
        return None if os.access(program, os.X_OK) else f"there is no {program}"

    def run(self, d, n, causal):
        if self.missing(d):
            return
        # Batch 1, 2048 / d heads, normal data and codes of 8 features.
        done = subprocess.run([self.folder / f"spfa{d}", "bench", str(d), str(n), str(int(causal)), "0", "dense", "1"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        found = parse_study(done.stdout)
        if done.returncode or not found:
            raise RuntimeError(f"the study spfa{d} failed: {done.stdout[-200:]}")
        for key, milliseconds in found.items():
            self.samples.setdefault(key, []).append(milliseconds)

    def milliseconds(self, d, softmax, data, n, causal):
        times = [statistics.median(self.samples[key])
                 for key in ((name, data, d, n, causal) for name in STUDIES.get((d, softmax), ()))
                 if key in self.samples]
        return min(times, default=None)
