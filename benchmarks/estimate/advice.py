"""What to change, from the numbers of an Estimate."""


def advice(found):
    """Estimate -> sentences, the largest saving first."""
    savings = []
    launches = len(found.layers)
    if found.launch_s >= 0.1 * found.seconds:
        savings.append((found.launch_s, (
            "launches: {} kernels cost {}; a CUDA graph saves at most that, and fewer kernels save it for good".format(
                launches, _ms(found.launch_s)))))  # fmt: skip
    glue = [item for item in found.layers if item.kind == "copy" and " of " in item.name]
    if len(glue) >= 0.1 * launches:
        spent = sum(item.seconds for item in glue)
        savings.append((spent, (
            "slices and copies: {} kernels, {}, only move numbers; TensorRT 8 fuses no split and no concatenation of "
            "inputs: let a layer of its own make each part, or add instead of joining".format(len(glue), _ms(spent)))))  # fmt: skip
    saved = found.seconds - found.half_s
    if found.precision == "fp32" and saved > 0.05 * found.seconds:
        savings.append((saved, "precision: fp16 would take {}".format(_ms(found.half_s))))
    if found.idle_s >= 0.1 * found.seconds:
        savings.append((found.idle_s, (
            "idle cores: products with few outputs leave {} of arithmetic unused at batch {}; a larger batch, or fewer "
            "and wider layers, use it".format(_ms(found.idle_s), found.batch))))  # fmt: skip
    if found.memory_s >= 0.25 * found.seconds:
        savings.append((found.memory_s, (
            "memory: {} go into traffic of kernels that compute little; fuse them, or make their arrays smaller".format(
                _ms(found.memory_s)))))  # fmt: skip
    longest = max(found.layers, key=lambda item: item.seconds)
    if longest.seconds >= 0.15 * found.seconds:
        savings.append((longest.seconds, "one layer: '{}' alone takes {} ({})".format(
            longest.name[:60], _ms(longest.seconds), longest.bound)))  # fmt: skip
    slow = sum(item.seconds for item in found.layers if item.kind == "depthwise")
    if slow >= 0.2 * found.seconds:
        savings.append((slow, "depthwise convolutions: {}; a plain convolution of a few channels may be faster".format(
            _ms(slow))))  # fmt: skip
    return [text for _, text in sorted(savings, key=lambda item: -item[0])]


def _ms(seconds):
    return "{:.2f} ms".format(1e3 * seconds)
