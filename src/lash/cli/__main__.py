"""`python -m lash.cli`: the same as `lash`."""

import sys

from lash.cli.main import main

sys.exit(main())
