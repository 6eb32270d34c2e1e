"""A double of TensorRT against the real module: every difference, as a sentence. Nothing is run, no GPU is needed.

The real module's classes come from pybind11: a method's arguments stand in the first lines of its docstring, a property
that cannot be set has no setter, an enum has `__members__`. Names that begin with an underscore are left out, but for the
few that a double defines on purpose.
"""

import ast
import inspect
import re

OURS = {"state", "double"}  # what a double's objects carry besides
DUNDERS = ("__len__", "__getitem__", "__index__")
KINDS = {  # a type in a pybind docstring -> names of Python types that it takes
    "int": {"int"},
    "bool": {"bool"},
    "float": {"int", "float"},
    "str": {"str"},
    "buffer": {"bytes", "IHostMemory"},
    "Buffer": {"bytes", "IHostMemory"},
    "Dims": {"tuple", "list", "Dims"},
    "List": {"list"},
    "list": {"list"},
    "Sequence": {"list", "tuple"},
    "SupportsInt": {"int"},
    "SupportsIndex": {"int"},
    "capsule": {"int"},
}


def public(owner):
    """Names that an object shows, with the dunders that a double may define."""
    found = {name for name in dir(owner) if not name.startswith("_")} - OURS
    return found | {name for name in DUNDERS if hasattr(owner, name)}


def split(text, mark=","):
    """Split at a mark that stands in no bracket."""
    depth, parts = 0, [""]
    for letter in text:
        depth += (letter in "([{<") - (letter in ")]}>")
        if letter == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def arguments(line):
    """A pybind signature "name(self: T, a: int, b: bool = True) -> U" -> [(name, type, has a default)], without self."""
    line = line.replace("->", " ")
    depth, end = 0, len(line)
    for place, letter in enumerate(line):
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and depth == 0:
            end = place
            break
    found = []
    for part in split(line[line.index("(") + 1 : end]):
        default = split(part, "=")
        name, _, kind = default[0].partition(":")
        if name != "self":
            found.append((name.strip(), kind.strip(), len(default) > 1))
    return found


def signatures(function):
    """What a function of either module takes: a list of [(name, type, has a default)], one for each overload; none for a
    class that cannot be made; None where it is not known."""
    if hasattr(function, "signatures"):
        stated = function.signatures
        return stated and [[(item.rstrip("="), "", item.endswith("=")) for item in one] for one in stated]
    text = getattr(function, "__doc__", None) or ""
    lines = re.findall(r"^(?:\d+[.] )?(\w+[(].*[)].*)$", text, re.MULTILINE)
    if "Overloaded function" in text:
        lines = re.findall(r"^\d+[.] (\w+[(].*)$", text, re.MULTILINE)
        return [arguments(line) for line in lines]
    if lines:
        return [arguments(lines[0])]
    given = list(inspect.signature(function).parameters.values())[1:]
    if any(item.kind in (item.VAR_POSITIONAL, item.VAR_KEYWORD) for item in given):
        return []
    return [[(item.name, "", item.default is not item.empty) for item in given]]


def shape(overloads):
    """Signatures without their types, to be compared."""
    return sorted({tuple((name, default) for name, _, default in one) for one in overloads})


def enum_differences(path, real, double):
    """Members and their numbers."""
    theirs = {name: int(member) for name, member in real.__members__.items()}
    ours = {name: int(member) for name, member in double.__members__.items()}
    for name in sorted(set(theirs) | set(ours)):
        if theirs.get(name) != ours.get(name):
            yield "{}.{} is {} in the real one, {} in the double".format(path, name, theirs.get(name), ours.get(name))


def class_differences(path, real, double):
    """Names, arguments, and which properties can be set."""
    theirs, ours = public(real), public(double)
    for name in sorted(theirs ^ ours):
        yield "{}.{} is in the {} only".format(path, name, "double" if name in ours else "real one")
    for name in sorted((theirs & ours) | {"__init__"}):
        place, owners = "{}.{}".format(path, name), (real, double)
        fixed = [inspect.getattr_static(owner, name, None) for owner in owners]
        if any(isinstance(item, property) for item in fixed):
            yield from property_differences(place, *fixed)
        else:
            yield from member_differences(place, *[getattr(owner, name) for owner in owners])


def property_differences(path, real, double):
    kinds = [property_kind(item) for item in (real, double)]
    if kinds[0] != kinds[1]:
        yield "{} is {} in the real one, {} in the double".format(path, *kinds)


def property_kind(item):
    if not isinstance(item, property):
        return "no property"
    return "a property that can be set" if item.fset else "a property that cannot be set"


def member_differences(path, real, double):
    if isinstance(real, type) and hasattr(real, "__members__"):
        yield from enum_differences(path, real, double)
    elif hasattr(real, "__members__"):
        if int(real) != int(double):
            yield "{} is {} in the real one, {} in the double".format(path, int(real), int(double))
    elif callable(real):
        stated = signatures(real), signatures(double)
        if stated[1] is not None and shape(stated[0]) != shape(stated[1]):
            yield "{} takes {} in the real one, {} in the double".format(path, *map(shape, stated))


def differences(real, double, names):
    """Sentences on all that differs between two modules under these names: a double's own, and those of its siblings."""
    for name in sorted(names):
        theirs, ours = getattr(real, name, None), getattr(double, name, None)
        if (theirs is None) != (ours is None):
            yield "{} is in the {} only".format(name, "double" if theirs is None else "real one")
        elif hasattr(theirs, "__members__"):
            yield from enum_differences(name, theirs, ours)
        elif isinstance(theirs, type):
            yield from class_differences(name, theirs, ours)




def takes(overload, given, named):
    """Does one overload of a real method take arguments of these types (names of them, by place and by name)?"""
    names = [name for name, _, _ in overload]
    if len(given) > len(overload) or not set(named) <= set(names[len(given) :]):
        return False
    seen = dict(zip(names, given), **named)
    if any(name not in seen and not default for name, _, default in overload):
        return False
    return all(fits(stated, seen[name]) for name, stated, _ in overload if name in seen)


def fits(stated, seen):
    """Is a value of the type named `seen` taken where a docstring states this type?"""
    for one in split(stated, "|"):
        bare = re.sub(r"\[.*", "", one).split(".")[-1]
        inner = re.match(r"(?:\w+[.])*(?:Union|Optional)\[(.*)\]$", one)
        if inner and any(fits(part, seen) for part in split(inner.group(1))):
            return True
        if seen in KINDS.get(bare, {bare}):
            return True
    return False


def refused_calls(real, used):
    """{(class, method): {(types by place, ((name, type), ...))}} of calls -> those that no overload of the real one takes."""
    for (owner, name), calls in sorted(used.items()):
        overloads = signatures(getattr(getattr(real, owner), name))
        for given, named in sorted(calls):
            if not any(takes(one, given, dict(named)) for one in overloads or []):
                yield "{}.{} is given {} {}, takes {}".format(owner, name, given, dict(named), overloads)


def mentioned(source, module="trt"):
    """Dotted names below `trt` or `self.trt`... that Python source mentions: {"BuilderFlag", "BuilderFlag.FP16", ...}."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id == module:
            parts.append(module)
        if module in parts and parts[-1] in (module, "trt", "api"):
            parts = parts[: parts.index(module)][::-1]
            found.update(".".join(parts[:size]) for size in range(1, len(parts) + 1))
    return found
