"""What numpy raises where a file of arrays is damaged."""

from __future__ import annotations

import tokenize
import zipfile
import zlib

# The header of an array is read as Python source, the members of an npz may claim any compression.
UNREADABLE = (
    *(OSError, ValueError, EOFError, TypeError, SyntaxError, OverflowError, RuntimeError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
