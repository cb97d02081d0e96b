"""End to end: stock clients, a real gateway, a real worker, a real Redis."""

import pytest

# Here, because the chaos tests import these modules, too, and before this folder's conftest is read.
pytest.register_assert_rewrite("tests.e2e.scenario", "tests.e2e.stage", "tests.e2e.page")
