"""A part of a Markdown page that a command writes: between <!-- NAME --> and <!-- /NAME -->, never by hand."""

from ..runtime.errors import InputError
from ..runtime.files import write_file


def markers(name):
    return "<!-- {} -->\n".format(name), "<!-- /{} -->".format(name)


def find(text, name, path):
    """-> (where the part begins, where it ends). Raises InputError unless each marker is there once, in order."""
    begin, end = markers(name)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise InputError(
            "{} has no part '{}': put {} and, on a later line, {} where it is to go".format(
                path, name, begin.strip(), end
            )
        )
    return text.index(begin) + len(begin), text.index(end)


def read(path, name):
    """The part of a page, without its markers."""
    text = text_of(path)
    begin, end = find(text, name, path)
    return text[begin:end].strip("\n")


def replace(path, name, content):
    """Write a page again with another part. Raises InputError, OutputError, the old page untouched."""
    text = text_of(path)
    begin, end = find(text, name, path)
    write_file(path, (text[:begin] + "\n" + content.strip("\n") + "\n\n" + text[end:]).encode("utf-8"))


def text_of(path):
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.read()
    except OSError as error:
        raise InputError("{} cannot be read: {}".format(path, error.strerror or error))
