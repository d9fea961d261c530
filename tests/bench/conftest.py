import sys

from tests.conftest import ROOT

sys.path.append(str(ROOT / "bench"))  # at the end: bench/mnist1d.py has the name of a package
