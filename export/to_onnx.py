"""A module -> an ONNX graph at the target's opset.

The route, chosen on purpose: torch.export and torch's current ONNX exporter, which write opset 18 with hardly a
shape operator, then our own exact lowering to the target's opset (lower.py). The older exporter writes opset 13
directly, but it is deprecated and writes twice the nodes for these models; the official version converter refuses
such graphs ("No Adapter From Version 14 for Sub").
"""

import contextlib
import io
import logging
import traceback
import warnings
from pathlib import Path

import torch

from ..runtime.errors import ExportError
from .graphs import batch_of_specimens
from .lower import lower

EXPORTER_OPSET = 18


def to_onnx(module, inputs, outputs, target):
    """Module, {input name: example tensor} in the order of forward, output names, Target -> ModelProto.

    The module is in evaluation mode. The first axis of every input is the batch and stays free; all else is fixed.
    Nodes still carry the exporter's notes on where they came from. Raises ExportError that names the operation in
    the way.
    """
    try:
        batch_of_specimens(inputs)
    except ValueError as error:
        raise ExportError(str(error)) from error
    program = _trace(module, tuple(inputs.values()))
    model = _translate(program, list(inputs), list(outputs))
    return lower(model, target.opset)


def _trace(module, inputs):
    batch = torch.export.Dim("batch", min=1, max=65536)
    shapes = ({0: batch},) * len(inputs)
    if isinstance(module, torch.nn.Module) and _takes_variable_inputs(module):
        shapes = (shapes,)
    try:
        with torch.no_grad(), _quiet():
            return torch.export.export(module, inputs, dynamic_shapes=shapes)
    except Exception as error:  # torch.export raises many kinds, none of them documented
        raise ExportError(
            f"torch.export cannot trace this module{_users_line(error)}: {_first_line(error)}; the batch (first axis) "
            "must stay free, and what is computed must not depend on the values of tensors"
        ) from error


def _takes_variable_inputs(module):
    import inspect

    kinds = [parameter.kind for parameter in inspect.signature(module.forward).parameters.values()]
    return inspect.Parameter.VAR_POSITIONAL in kinds


def _translate(program, inputs, outputs):
    try:
        with torch.no_grad(), _quiet():
            written = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=EXPORTER_OPSET,
                input_names=inputs,
                output_names=outputs,
                verbose=False,
            )
    except Exception as error:
        raise ExportError(f"torch's ONNX exporter has no translation: {_first_line(error)}") from error
    return written.model_proto


def _first_line(error):
    """The part of an exception's text that a person can use."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def _users_line(error):
    """ ", at decoder.py line 12: `if z.sum() > 0:`", the last line on the way that is neither torch's nor ours."""
    ours = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
    steps = [step for step in traceback.extract_tb(error.__traceback__) if not step.filename.startswith(ours)]
    steps = [step for step in steps if step.line and "site-packages" not in step.filename]
    return f", at {Path(steps[-1].filename).name} line {steps[-1].lineno}: `{steps[-1].line}`" if steps else ""


@contextlib.contextmanager
def _quiet():
    """The exporter talks on stdout and through its own deprecations; its errors still come as exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
