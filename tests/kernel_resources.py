#!/usr/bin/env python3
"""What the CUDA kernels take of a multiprocessor, without a card: registers, shared memory, spills.

    kernel_resources.py BUILD [--update]

Reads what the compiler said while it built the CUDA backend in BUILD (keep_kernel_report.sh) for sm_80
and sm_90, and fails with a sentence for each
  - kernel whose largest block does not fit into a multiprocessor's registers,
  - kernel that takes more registers or static shared memory, or spills more bytes, than
    kernel_resources.txt allows: it names the kernels that spill at all, with their bytes.
--update writes that table anew. Other compilers allocate differently: the table is compared only
under the release of nvcc that wrote it.
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "kernel_resources.txt"
ARCHITECTURES = ("80", "90")
REGISTERS = 65536  # of a multiprocessor
GRANULE = 8  # registers of a thread are handed out in such steps
WIDEST_BLOCK = 1024  # of a kernel without __launch_bounds__
COLUMNS = {"80": "registers on sm_80", "90": "registers on sm_90",
           "shared": "bytes of shared memory", "spill80": "bytes of spills on sm_80",
           "spill90": "bytes of spills on sm_90"}



def compiler_release(build):
    """Of the nvcc that the build used."""
    cache = (build / "CMakeCache.txt").read_text()
    nvcc = re.search(r"^CMAKE_CUDA_COMPILER:\w+=(.+)$", cache, re.MULTILINE).group(1)
    text = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"release ([\d.]+)", text).group(1)


def kept_of(build, source):
    """ptxas's report of a source and, by architecture, the PTX."""
    folders = list(build.glob(f"**/{source.name}.o.kept"))
    if len(folders) != 1:
        sys.exit(f"{build} has {len(folders)} reports of {source.name}: build the target taper_cuda there")
    ptx = {sm: "".join(file.read_text() for file in folders[0].glob(f"*compute_{sm}.ptx"))
           for sm in ARCHITECTURES}
    return (folders[0] / "report").read_text(), ptx


def block_bounds(ptx):
    """Largest number of threads in a block, by the kernel's mangled name."""
    bounds = {}
    for entry, rest in re.findall(r"\.entry (\w+)\(.*?\)([^{]*)\{", ptx, re.DOTALL):
        sizes = re.search(r"\.maxntid ([\d, ]+)", rest)
        bounds[entry] = 1
        for size in sizes.group(1).split(",") if sizes else [WIDEST_BLOCK]:
            bounds[entry] *= int(size)
    return bounds


def parse_report(report):
    """[(architecture, mangled name, spilled bytes, registers or None, shared)] in order."""
    pattern = re.compile(
        r"Compiling entry function '(?P<entry>\w+)' for 'sm_(?P<sm>\d+)'"
        r"|Function properties for (?P<function>\S+)"
        r"|(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+)"
        r"|Used (?P<registers>\d+) registers(?P<rest>.*)")
    sm = function = None
    for found in pattern.finditer(report):
        if found["entry"]:
            sm = found["sm"]
        elif found["function"]:
            function = found["function"]
        elif found["stack"]:
            stack, spilled = int(found["stack"]), int(found["stores"]) + int(found["loads"])
            yield sm, function, max(stack, spilled), None, 0
        else:
            shared = re.search(r"(\d+) bytes smem", found["rest"])
            yield sm, function, 0, int(found["registers"]), int(shared[1]) if shared else 0


def demangle(names):
    names = sorted(names)
    text = subprocess.run(["c++filt", "-p", "-t"], input="\n".join(names), capture_output=True,
                          text=True, check=True).stdout
    return {mangled: re.sub(r"^void |\(anonymous namespace\)::|_INTERNAL_\w+::", "", plain)
            for mangled, plain in zip(names, text.splitlines())}


def measure(build, source):
    """{kernel: {architecture: registers, "shared": bytes}} and sentences about what is too much."""
    report, ptx = kept_of(build, source)
    bounds = {sm: block_bounds(text) for sm, text in ptx.items()}
    rows = list(parse_report(report))
    plain = demangle({function for _, function, *_ in rows})
    kernels, offenders = {}, []
    for sm, function, spilled, registers, shared in rows:
        name = f"{source.stem}: {plain[function]}"
        kernel = kernels.setdefault(name, {"shared": 0, "spill80": 0, "spill90": 0})
        kernel[f"spill{sm}"] += spilled
        if registers is None:
            continue
        kernel[sm] = registers
        kernel["shared"] = max(kernel["shared"], shared)
        threads = bounds[sm][function]
        if -(-registers // GRANULE) * GRANULE * threads > REGISTERS:
            offenders.append(f"{name}: {registers} registers for each of {threads} threads are more "
                             f"than the {REGISTERS} of a multiprocessor on sm_{sm}.")
    return kernels, offenders


def measure_all(build):
    kernels, offenders = {}, []
    for source in sorted((ROOT / "kernels").glob("*.cu")):
        found, bad = measure(build, source)
        kernels.update(found)
        offenders += bad
    return kernels, offenders


def write_table(kernels, release):
    width = max(map(len, kernels))
    lines = [f"# nvcc {release}",
             f"{'# kernel':{width}}  sm_80  sm_90  shared  spilled on sm_80, sm_90"]
    for name, kernel in sorted(kernels.items()):
        lines.append(f"{name:{width}}  {kernel['80']:5}  {kernel['90']:5}  {kernel['shared']:6}  "
                     f"{kernel['spill80']:5}  {kernel['spill90']:5}")
    TABLE.write_text("\n".join(lines) + "\n")


def read_table():
    """The release of nvcc, and the kernels as measure() gives them."""
    release, kernels = None, {}
    for line in TABLE.read_text().splitlines():
        if line.startswith("# nvcc "):
            release = line.split()[2]
        elif not line.startswith("#"):
            name, *numbers = line.rsplit(None, len(COLUMNS))
            kernels[name] = dict(zip(COLUMNS, map(int, numbers)))
    return release, kernels


def compare(kernels, allowed):
    for name, kernel in sorted(kernels.items()):
        if name not in allowed:
            yield f"{name} has no line in {TABLE.name}."
            continue
        for what, unit in COLUMNS.items():
            if kernel[what] > allowed[name][what]:
                yield f"{name} takes {kernel[what]} {unit}; {allowed[name][what]} are allowed."
    for name in sorted(allowed.keys() - kernels.keys()):
        yield f"{TABLE.name} has a line for {name}, which is no kernel."


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--update", action="store_true", help=f"write {TABLE.name} anew")
    arguments = parser.parse_args()
    release = compiler_release(arguments.build)
    kernels, offenders = measure_all(arguments.build)
    if arguments.update:
        write_table(kernels, release)
    else:
        written_by, allowed = read_table()
        if written_by == release:
            offenders += compare(kernels, allowed)
        else:
            print(f"nvcc {release}: not compared with {TABLE.name}, which nvcc {written_by} wrote.")
    for sentence in offenders:
        print(sentence, file=sys.stderr)
    print(f"{len(kernels)} kernels, {len(offenders)} complaints")
    return 1 if offenders else 0


if __name__ == "__main__":
    sys.exit(main())
