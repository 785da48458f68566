"""Settings of every test: property tests without a deadline, and a cache and defaults of their own, not the
developer's."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

LONG_MODULES = frozenset(
    {
        "test_page",
        "test_page_look",
        "test_page_tools",
        "test_serve_faults",
        "test_serve_limits",
        "test_batch_cluster",
        "test_cli_batch",
        "test_cli_rerun",
        "test_restorers",
        "test_presets",
    }
)
LONG_TESTS = frozenset(
    {
        "test_a_segment_anything_of_a_file_takes_its_step",
        "test_the_restorers_report_shows_tables_and_faces",
        "test_two_processes_train_as_one_does",
        "test_two_processes_train_one_model",
        "test_few_portraits_are_learnt_by_heart",
        "test_a_tiny_data_set_is_learnt_by_heart",
        "test_a_sam_2_finds_a_face",
        "test_a_sam_by_pytorch_equals_that_by_openvino",
        "test_a_sam_is_converted_and_names_the_u_net_beside_it",
        "test_the_pipeline_finds_faces_by_a_folder_of_hugging_face",
        "test_a_sam_2_is_exported_with_its_three_embeddings",
        "test_an_exported_model_gives_back_its_weights_in_half_precision",
        "test_a_start_from_earlier_weights_is_named_in_the_card",
        "test_a_run_is_repeated_from_its_config",
        "test_the_networks_of_any_style_are_trained_and_repeated_from_their_config",
        "test_a_style_is_measured_and_its_paintings_saved",
        "test_a_run_is_repeated_from_its_config_and_options_given_win",
        "test_memory_does_not_grow_with_the_video",
        "test_a_run_that_was_killed_between_the_line_and_the_name_paints_again",
    }
)
"""What takes long: `make test` leaves it to `make test-long`, to end within a quarter of an hour on two cores."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long."""
    for item in items:
        if item.path.stem in LONG_MODULES or getattr(item, "originalname", None) in LONG_TESTS:
            item.add_marker(pytest.mark.long)


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
