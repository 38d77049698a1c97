"""The tests. A package, so that ``tests.peers`` means this one whatever else is installed."""
