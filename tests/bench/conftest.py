import sys

from tests.conftest import ROOT

sys.path.append(str(ROOT / "bench"))  # at the end: no script there may hide a package
