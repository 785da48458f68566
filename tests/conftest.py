"""Settings of every test: property tests without a deadline, since a loaded machine is no failure."""

from hypothesis import settings

settings.register_profile("sfumato", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("sfumato")
