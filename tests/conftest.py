"""Settings of every test: property tests without a deadline, and a cache and defaults of their own, not the
developer's."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("sfumato", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("sfumato")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFUMATO_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        for name in ("SFUMATO_OFFLINE", "SFUMATO_MIRROR", "SFUMATO_CONFIG"):
            patch.delenv(name, raising=False)
        yield
