"""A Python for tests that start processes of their own, which holds other people's libraries before it is asked."""

from tests.warm_python.launching import warm_python as warm_python
from tests.warm_python.spawning import WARM as WARM
