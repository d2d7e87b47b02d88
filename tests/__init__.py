"""A package, so that spawned processes find ``tests.contract`` before a ``tests`` that another library installs."""
