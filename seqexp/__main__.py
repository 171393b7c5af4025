"""`python -m seqexp`."""

import os
import sys

# Python puts the current folder first on the search path; a file there must not pass as a package of the same name.
if not getattr(sys.flags, "safe_path", False) and sys.path[0] in ("", os.getcwd()):
    del sys.path[0]

from seqexp.cli.main import main

sys.exit(main())
