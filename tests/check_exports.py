#!/usr/bin/env python3
"""Runs exported networks in other frameworks and compares their logits with ours, to 1e-4.

    check_exports.py FOLDER [--torch] [--timm]
        What test_export wrote: NAME.folded.onnx and NAME.kept.onnx in onnxruntime; with --torch
        NAME.py, and with --timm the MobileNetV3-Large in timm's own class, whose tensors must be
        those of timm_mobilenetv3_large_100.txt.

    check_exports.py FOLDER --run TAPER [--torch]
        A run folder: found.onnx (and found.py) on its test images, against
        `TAPER evaluate FOLDER --predictions FILE`.

Exit code 77: a library that it needs is not installed.
"""
import argparse
import gzip
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77
# Sums of at most 10,000 products of values near 1 in another order, in single precision.
TOLERANCE = 1e-4

try:
    import numpy
    from safetensors.numpy import load_file
except ImportError as error:
    print(f"check_exports.py: skipped: {error}")
    sys.exit(SKIPPED)


def compare(what, got, wanted):
    """Largest difference of the logits, which must be finite and there."""
    if got.shape != wanted.shape:
        sys.exit(f"{what}: logits of shape {got.shape}, not {wanted.shape}")
    difference = float(numpy.abs(got - wanted).max())
    print(f"{what:32} logits up to {numpy.abs(wanted).max():6.3f}, difference {difference:.1e}")
    if not difference <= TOLERANCE:  # also when it is no number
        sys.exit(f"{what}: differs by {difference:.1e}, more than {TOLERANCE:.0e}")


def check_graph(path, onnx):
    """A valid model of opset 17 or later and any number of pictures; its kinds of nodes."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    opset = max(entry.version for entry in model.opset_import if entry.domain == "")
    shape = model.graph.input[0].type.tensor_type.shape.dim
    if opset < 17 or shape[0].dim_param == "" or model.graph.output[0].name != "logits":
        sys.exit(f"{path}: opset {opset}, batch '{shape[0].dim_param}'")
    return {node.op_type for node in model.graph.node}


def normalise(pictures, mean, deviation):
    """Bytes [N, height, width, channels] to what networks read, as the metadata of an export says."""
    values = pictures.astype(numpy.float32) / 255
    values = (values - numpy.array(mean, numpy.float32)) / numpy.array(deviation, numpy.float32)
    return numpy.ascontiguousarray(values.transpose(0, 3, 1, 2))


def run_onnx(path, pictures, runtime):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    notes = session.get_modelmeta().custom_metadata_map
    mean, deviation = ([float(v) for v in notes[key].split(",")] for key in ("mean", "deviation"))
    values = normalise(pictures, mean, deviation)
    parts = [values[:1], values[1:]] if len(values) > 1 else [values]  # any batch
    return numpy.concatenate(
        [session.run(["logits"], {"pictures": part})[0] for part in parts])


def run_torch(path, pictures):
    import torch
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load(str(path.with_suffix(".safetensors")))
    with torch.no_grad():
        values = module.normalise(torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()))
        return network(values).numpy()


def run_timm(path, pictures):
    """timm's class takes the file strictly, and answers the same. test_export's epsilon, mean and
    deviation are its own."""
    import timm
    import torch
    network = timm.create_model("mobilenetv3_large_100").eval()
    lines = sorted(" ".join([name, *map(str, tensor.shape)])
                   for name, tensor in network.state_dict().items())
    committed = pathlib.Path(__file__).with_name("timm_mobilenetv3_large_100.txt")
    if lines != committed.read_text().splitlines():
        sys.exit(f"{committed.name} is not what timm {timm.__version__} has:\n" + "\n".join(lines))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3
    from safetensors.torch import load_file as load
    network.load_state_dict(load(str(path)), strict=True)
    values = normalise(pictures, [0.5, 0.4, 0.45], [0.25, 0.3, 0.2])
    with torch.no_grad():
        return network(torch.from_numpy(values)).numpy()


def check_folder(folder, arguments, frameworks):
    answers = sorted(folder.glob("*.answers.safetensors"))
    kinds = set()
    for file in answers:
        name = file.name.removesuffix(".answers.safetensors")
        wanted = load_file(file)
        has_norms = any(key.endswith("running_mean")
                        for key in load_file(folder / f"{name}.safetensors"))
        for norms in ("folded", "kept") if frameworks else ():
            onnx, runtime = frameworks
            path = folder / f"{name}.{norms}.onnx"
            its_kinds = check_graph(path, onnx)
            if ("BatchNormalization" in its_kinds) != (has_norms and norms == "kept"):
                sys.exit(f"{path}: batch-norms are not {norms}")
            kinds |= its_kinds
            compare(path.name, run_onnx(path, wanted["pictures"], runtime), wanted["logits"])
        if arguments.torch:
            compare(f"{name}.py", run_torch(folder / f"{name}.py", wanted["pictures"]),
                    wanted["logits"])
        if arguments.timm and name == "mobilenet":
            compare("timm", run_timm(folder / f"{name}.safetensors", wanted["pictures"]),
                    wanted["logits"])
    missing = {"Slice", "Concat", "Add", "AveragePool", "HardSwish", "HardSigmoid"} - kinds
    if not answers or (frameworks and missing):
        sys.exit(f"{folder}: networks that show everything are not there: {missing or 'none at all'}")


def test_pictures(folder, count):
    """The first images of the data set that the run's resolved configuration names."""
    source = None
    for line in (folder / "config.yaml").read_text().splitlines():
        if line.startswith("  folder:"):
            source = pathlib.Path(line.split(":", 1)[1].split("#")[0].strip().strip("'\""))
    data = gzip.decompress((source / "t10k-images-idx3-ubyte.gz").read_bytes())
    _, images, height, width = numpy.frombuffer(data, ">u4", 4)
    pixels = numpy.frombuffer(data, numpy.uint8, offset=16)
    return pixels.reshape(int(images), int(height), int(width), 1)[:count]


def check_run(folder, arguments, frameworks):
    with tempfile.TemporaryDirectory() as temporary:
        file = pathlib.Path(temporary) / "predictions.safetensors"
        subprocess.run([arguments.run, "evaluate", str(folder), "--device", "cpu", "--predictions",
                        str(file)], check=True, stdout=subprocess.DEVNULL)
        logits = load_file(file)["logits"]
    pictures = test_pictures(folder, len(logits))
    if frameworks:
        onnx, runtime = frameworks
        check_graph(folder / "found.onnx", onnx)
        compare("found.onnx", run_onnx(folder / "found.onnx", pictures, runtime), logits)
    if arguments.torch:
        compare("found.py", run_torch(folder / "found.py", pictures), logits)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--run", metavar="TAPER", help="the folder is a run's")
    parser.add_argument("--torch", action="store_true", help="also the PyTorch modules")
    parser.add_argument("--timm", action="store_true", help="also timm's MobileNetV3-Large")
    parser.add_argument("--no-onnx", action="store_true", help="neither onnx nor onnxruntime")
    arguments = parser.parse_args()
    frameworks = None
    if not arguments.no_onnx:
        try:
            import onnx
            import onnxruntime
        except ImportError as error:
            print(f"check_exports.py: skipped: {error}")
            sys.exit(SKIPPED)
        frameworks = onnx, onnxruntime
    check = check_run if arguments.run else check_folder
    check(arguments.folder, arguments, frameworks)


main()
