"""The file of a run that is not of `latentjet bench`: a head, and a list of measured items with rounds of seconds.

JSON, a line a round, seconds to 10 ns. What the items are, and what their list is called, is the caller's.
"""

import json

from ..runtime.errors import InputError
from ..runtime.files import write_file

FORMAT = 1
HEAD = ("started", "machine", "versions", "settings")


def save(record, path, kind, key):
    """Write a record (a NamedTuple of HEAD and, last, its items, NamedTuples with `seconds`); raises OutputError."""
    head = dict([("format", FORMAT), ("kind", kind)], **{name: getattr(record, name) for name in HEAD})
    lines = []
    for item in getattr(record, key):
        entry = dict(item._asdict())
        rounds = ["[" + ", ".join("{:.8f}".format(value) for value in part) + "]" for part in entry.pop("seconds")]
        lines.append("  " + json.dumps(entry)[:-1] + ', "seconds": [\n   ' + ",\n   ".join(rounds) + "]}")
    text = json.dumps(head, indent=1)[:-2] + ',\n "{}": [\n'.format(key) + ",\n".join(lines) + "\n ]\n}\n"
    write_file(path, text.encode("utf-8"))


def load(path, kind, key, item_type, named, what):
    """-> what HEAD names, in its order, and a tuple of items. named: two keys that an item is called by in an error;
    what: of which the file should be a record. Raises InputError for a file that is missing or is none."""
    try:
        with open(path, encoding="utf-8") as handle:
            content = json.load(handle)
        if content["kind"] != kind or content["format"] != FORMAT:
            raise KeyError("kind or format")
        found = []
        for entry in content[key]:
            found.append(item_type(**dict(entry, seconds=tuple(tuple(part) for part in entry["seconds"]))))
            if not found[-1].seconds or not all(part and min(part) > 0 for part in found[-1].seconds):
                raise ValueError("seconds of {} {} are not valid".format(*(entry[name] for name in named)))
        head = [content[name] for name in HEAD]
    except OSError as error:
        raise InputError("{} cannot be read: {}".format(path, error.strerror or error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("{} is no record of {} ({})".format(path, what, error))
    return head + [tuple(found)]
