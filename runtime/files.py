"""Writing so that nobody ever finds half a file: to a temporary name beside the place, then renamed onto it."""

import contextlib
import io
import os
import shutil
import tempfile
import zipfile

from .errors import OutputError


def write_file(path, content):
    """Bytes -> the file at path, replaced in one step. Raises OutputError, with the old file untouched."""
    folder = os.path.dirname(os.path.abspath(path))
    temporary = None
    try:
        if os.path.isdir(path):
            raise OutputError("{} is a folder, expected a place for a file: name a file in it".format(path))
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".writing-")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave an empty file under the name
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(cannot_write(path, error))
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


@contextlib.contextmanager
def staged_folder(path, overwrite=False):
    """Context: yields the path of an empty folder that becomes `path` when the block ends, and vanishes if it raises.

    A path that ends in .zip becomes a zip file of what is in the folder.
    Raises OutputError if `path` exists (unless overwrite) or cannot be written.
    """
    path = os.path.abspath(path)
    refuse_existing(path, overwrite)
    try:
        staging = tempfile.mkdtemp(dir=os.path.dirname(path), prefix=".writing-")
    except OSError as error:
        raise OutputError(cannot_write(path, error))
    try:
        os.chmod(staging, 0o755)
        yield staging
        if path.endswith(".zip"):
            write_file(path, zipped(staging))
        else:
            replace(staging, path)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(cannot_write(path, error))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def refuse_existing(path, overwrite):
    """Raise OutputError if path exists and may not be replaced."""
    if not overwrite and os.path.lexists(path):
        raise OutputError("{} exists already: name another place, or give --overwrite".format(path))


def replace(source, path):
    """Rename a file or folder onto path; what was there before goes only after the new one is in place."""
    if os.path.isdir(path) and not os.path.islink(path):
        old = tempfile.mkdtemp(dir=os.path.dirname(path), prefix=".old-")
        try:
            os.rename(path, os.path.join(old, "old"))
            try:
                os.rename(source, path)
            except OSError:
                os.rename(os.path.join(old, "old"), path)
                raise
        finally:
            shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(source, path)


def zipped(folder):
    """The plain files of a folder -> the bytes of a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(os.listdir(folder)):
            archive.write(os.path.join(folder, name), name)
    return buffer.getvalue()


def cache_folder(*parts):
    """A folder of latentjet's in this user's cache; it may not exist yet."""
    place = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(place, "latentjet", *parts)


def cannot_write(path, error):
    """An OSError while writing path -> one sentence."""
    return "{} cannot be written: {}".format(path, error.strerror or error)
