"""What these tests share: one-sentence errors, bundles altered with their sums made right, a disk that is full."""

import contextlib
import errno
import os

import pytest
from latentjet.runtime import bundle as bundles_module


@pytest.fixture
def sentence():
    """(error, call, arguments) -> the text of the error that the call raises: one line, not empty."""

    def told(kind, call, *arguments, **named):
        with pytest.raises(kind) as caught:
            call(*arguments, **named)
        text = str(caught.value)
        assert text.strip() and "\n" not in text
        return text

    return told


@pytest.fixture
def altered():
    """(path of a bundle, {file: bytes, or None to remove it}): writes it again, sums and sizes made right."""

    def alter(path, changes):
        opened = bundles_module.Bundle.open(path)
        contents = {name: opened.read(name) for name in opened.manifest["files"]}
        contents.update(changes)
        contents = {name: content for name, content in contents.items() if content is not None}
        bundles_module.write(path, opened.manifest, contents, overwrite=True)
        return path

    return alter


@pytest.fixture
def full_disk(monkeypatch):
    """Context: every file opened for writing takes ten bytes, then the disk is full."""

    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, content):
            self.file.write(content[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

    @contextlib.contextmanager
    def full():
        real_open, real_fdopen = open, os.fdopen

        def opened(path, mode="r", *rest, **named):
            file = real_open(path, mode, *rest, **named)
            return Full(file) if set("wax+") & set(mode) else file

        with monkeypatch.context() as patch:
            patch.setattr("builtins.open", opened)
            patch.setattr(os, "fdopen", lambda *given, **named: Full(real_fdopen(*given, **named)))
            yield

    return full
