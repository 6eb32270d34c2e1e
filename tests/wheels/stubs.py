"""Stand-ins for cuBLAS and cuDNN, so that a wheel of TensorRT 8 can be imported without their 1.3 GB.

TensorRT's libraries name libcublas, libcublasLt and libcudnn as libraries to load, and functions of them as symbols to
find; the wheels bring neither. Importing calls none of those functions. So for each library that is named, this writes
a C file with all functions that are missed, each of which returns 1 (an error status), and compiles it, with the
version that the symbols are asked with. Nothing can be computed with them.

Needs gcc, readelf and nm. Standard library only, CPython 3.6.
"""

import collections
import os
import re
import subprocess

MISSED = re.compile(r" U ((?:cublas|cudnn)\w+)(?:@+(\S+))?")
NAMED = re.compile(r"\(NEEDED\).*\[((libcublas|libcublasLt|libcudnn)[.]so[.]\d+)\]")


def printed(*command):
    return subprocess.check_output(command).decode()


def needs(library):
    """Path of a library -> ({family: file name it wants}, {family: functions}, {family: their version})."""
    files = {family: name for name, family in NAMED.findall(printed("readelf", "-d", library))}
    functions, versions = collections.defaultdict(set), {}
    symbols = printed("nm", "-D", "--undefined-only", "--with-symbol-versions", library)
    for name, version in MISSED.findall(symbols):
        family = family_of(name, version)
        functions[family].add(name)
        if version:
            versions[family] = version
    return files, functions, versions


def family_of(function, version):
    """The library a function belongs to: what its symbol's version says, or else its name."""
    if version.startswith("lib"):
        return version.split(".so")[0]
    for family in ("cudnn", "cublasLt", "cublas"):
        if function.startswith(family):
            return "lib" + family
    raise ValueError("'{}' is no function of cuBLAS or cuDNN".format(function))


def source(functions):
    """C code of functions that all fail."""
    lines = ['const char *cudnnGetErrorString(int status) { return "a stub"; }'] * ("cudnnGetErrorString" in functions)
    lines += ["int {}(void) {{ return 1; }}".format(name) for name in sorted(functions - {"cudnnGetErrorString"})]
    return "\n".join(lines + ["int latentjet_stub(void) { return 1; }\n"])


def compile_library(place, name, functions, version=None):
    """Write `name` into the folder `place`; version: of all its symbols."""
    stem = os.path.join(place, name)
    with open(stem + ".c", "w") as handle:
        handle.write(source(functions))
    command = ["gcc", "-shared", "-fPIC", "-w", "-o", stem, stem + ".c", "-Wl,-soname," + name]
    if version:
        with open(stem + ".map", "w") as handle:
            handle.write("{} {{ global: *; }};\n".format(version))
        command.append("-Wl,--version-script," + stem + ".map")
    subprocess.check_call(command)


def make(libraries, place):
    """Stubs for all that these libraries want of cuBLAS and cuDNN, in a new folder -> names of the files."""
    files, functions, versions = {}, collections.defaultdict(set), {}
    for library in libraries:
        wanted, missed, asked = needs(library)
        files.update(wanted)
        versions.update(asked)
        for family, names in missed.items():
            functions[family] |= names
    os.makedirs(place)
    for family, name in files.items():
        compile_library(place, name, functions[family], versions.get(family))
    return sorted(files.values())
