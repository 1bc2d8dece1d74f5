"""`python -m bench`."""

import sys

from bench.verb import main

sys.exit(main())
