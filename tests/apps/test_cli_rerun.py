"""`sfumato rerun`, and the recipes that `stylize` writes for it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from sfumato.apps import cli_rerun_files
from sfumato.apps.cli import run
from sfumato.io import Limits, read_picture
from sfumato.io.xmp import read_property
from sfumato.jobs.job import Part, Work
from sfumato.jobs.painting import perform
from sfumato.recipe import Recipe, sidecar_of
from sfumato.recipe_embedding import (
    _CREDENTIALS,
    COMPOSITE,
    SOURCE_TYPE,
    encode_painting,
    read_recipe,
)
from sfumato.settings import Settings
from sfumato.types import Image
from tests.apps.conftest import Cli, Save, colours
from tests.simple import build

SUFFIXES = (".jpg", ".png", ".webp", ".tiff", ".avif", ".heic")


def recipe_in(path: Path) -> Recipe | None:
    return read_recipe(read_picture(path).metadata, path.name)


def is_marked(path: Path) -> bool:
    return read_property(read_picture(path).metadata.xmp or b"", SOURCE_TYPE) == COMPOSITE


def changed(path: Path, **changes: Any) -> None:
    """Write a painting again with another recipe."""
    recipe = recipe_in(path)
    assert recipe is not None
    path.write_bytes(encode_painting(read_picture(path), replace(recipe, **changes)))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_painting_comes_out_again_byte_for_byte(cli: Cli, save: Save, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    cli("stylize", save("a.png"), "-o", out, "--paint", "0.6")
    ran = cli("rerun", out, "--check")
    assert (ran.code, ran.text) == (0, f"{out}: the same, byte for byte\n")
    assert cli("rerun", out).code == 0
    assert (tmp_path / f"out.again{suffix}").read_bytes() == out.read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_real_networks_paint_the_same_bytes_twice(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from skimage.data import astronaut

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    photo, out = tmp_path / f"a{suffix}", tmp_path / f"out{suffix}"
    portrait: Image = astronaut()[:220, 120:320]  # type: ignore[no-untyped-call]  # scikit-image
    PIL.Image.fromarray(portrait).save(photo)
    assert run(["stylize", str(photo), "-o", str(out), "--exact"]) == 0
    capsys.readouterr()
    assert run(["rerun", str(out), "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["check"]["same"] is True
    recipe = recipe_in(out)
    assert recipe is not None
    assert recipe.settings["exact"] is True
    assert {"monet-light", "segmenter-light"} <= set(recipe.models)


def test_what_differs_is_counted_and_explained(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    cli("stylize", save("a.png"), "-o", out)
    painted = read_picture(out)
    image = painted.image.copy()
    image[3:5, 7] ^= 128
    recipe = recipe_in(out)
    assert recipe is not None
    former = replace(
        recipe, processor="arm64", libraries={**recipe.libraries, "pillow": "1.0"}, version="0.0.9"
    )
    out.write_bytes(encode_painting(replace(painted, image=image), former))
    ran = cli("rerun", out, "--check", "--json")
    assert ran.code == 1
    check = json.loads(ran.text)["check"]
    assert (check["same"], check["pixels"], check["of"], check["largest"]) == (False, 2, 96 * 80, 128)
    assert check["because"][0] == f"it was painted on arm64, this is {recipe.processor}"
    assert check["because"][1].startswith("it was painted by sfumato 0.0.9, this is ")
    assert check["because"][2].startswith("pillow was 1.0 and is ")
    assert f"{out} was painted by sfumato 0.0.9, this is" in ran.err
    assert cli("rerun", out, "--check", "-q").err == ""


def test_metadata_that_were_changed_since_are_told_from_pixels(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    cli("stylize", save("a.png"), "-o", out)
    out.write_bytes(out.read_bytes() + b"more")
    ran = cli("rerun", out, "--check")
    assert ran.code == 1
    assert "every pixel is the same, but not every byte; the recipe does not tell why" in ran.text


def test_a_picture_of_another_size_differs_in_all(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    cli("stylize", save("a.png"), "-o", out)
    recipe, picture = recipe_in(out), read_picture(out)
    assert recipe is not None
    out.write_bytes(encode_painting(replace(picture, image=picture.image[:50].copy()), recipe))
    assert "4000 of 4000 pixels differ" in cli("rerun", out, "--check").text


def test_transparency_is_compared_too(cli: Cli, tmp_path: Path) -> None:
    rgba = np.dstack((colours(), np.full((96, 80), 128, np.uint8)))
    PIL.Image.fromarray(rgba).save(tmp_path / "a.png")
    out = tmp_path / "out.png"
    cli("stylize", tmp_path / "a.png", "-o", out)
    recipe, picture = recipe_in(out), read_picture(out)
    assert recipe is not None
    assert picture.alpha is not None
    alpha = picture.alpha.copy()
    alpha[0, 0] = 0
    out.write_bytes(encode_painting(replace(picture, alpha=alpha), recipe))
    assert "1 of 7680 pixels differ, by at most 128" in cli("rerun", out, "--check").text


def test_a_signed_painting_is_compared_by_its_pixels(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    cli("stylize", save("a.png"), "-o", out)
    out.write_bytes(out.read_bytes() + _CREDENTIALS)
    ran = cli("rerun", out, "--check")
    assert ran.code == 0
    assert "every pixel is the same, but not every byte; it is signed" in ran.text


def test_the_recipe_may_lie_beside_the_picture(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out.jpg"
    cli("stylize", save("a.png"), "-o", out, "--recipe", "sidecar")
    assert recipe_in(out) is None
    assert is_marked(out)
    assert "same, byte for byte" in cli("rerun", out, "--check").text
    assert "same, byte for byte" in cli("rerun", sidecar_of(out), "--check").text
    assert cli("rerun", out).code == 0
    again = tmp_path / "out.again.jpg"
    assert again.read_bytes() == out.read_bytes()
    assert sidecar_of(again).read_bytes() == sidecar_of(out).read_bytes()
    out.unlink()
    assert "there is no " in cli("rerun", sidecar_of(out), "--check").refused_with(2)
    assert cli("rerun", sidecar_of(out), "-o", out).code == 4  # the sidecar is there
    assert cli("rerun", sidecar_of(out), "-o", out, "--overwrite").code == 0
    assert again.read_bytes() == out.read_bytes()


def test_a_sidecar_is_never_replaced_unasked(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out.jpg"
    sidecar_of(out).write_text("mine")
    ran = cli("stylize", save("a.png"), "-o", out, "--recipe", "sidecar")
    assert f"{sidecar_of(out)} exists; use --overwrite" in ran.refused_with(4)
    assert not out.exists()
    assert cli("stylize", tmp_path / "a.png", "-o", out, "--recipe", "sidecar", "--overwrite").code == 0
    assert cli("rerun", out, "--check").code == 0


def test_a_sidecar_needs_a_file_and_a_name_that_fits(cli: Cli, save: Save, tmp_path: Path) -> None:
    source = save("a.png")
    ran = cli("stylize", source, "-o", "-", "--recipe", "sidecar")
    assert "--recipe sidecar needs a file to lie beside" in ran.refused_with(2)
    ran = cli("stylize", source, "-o", tmp_path / ("x" * 250 + ".jpg"), "--recipe", "sidecar")
    assert "too long" in ran.refused_with(4)


@pytest.mark.parametrize(
    ("options", "marked", "embedded"),
    [
        ((), True, True),
        (("--metadata", "strip"), True, False),
        (("--metadata", "strip", "--recipe", "embed"), True, True),
        (("--recipe", "mark"), True, False),
        (("--recipe", "none"), False, False),
    ],
)
def test_what_a_painting_carries(
    cli: Cli, save: Save, tmp_path: Path, options: tuple[str, ...], marked: bool, embedded: bool
) -> None:
    out = tmp_path / "out.jpg"
    assert cli("stylize", save("a.png"), "-o", out, *options).code == 0
    assert is_marked(out) is marked
    assert (recipe_in(out) is not None) is embedded
    assert str(tmp_path).encode() not in out.read_bytes()


def test_a_painting_in_a_pipe_carries_its_recipe(cli: Cli, save: Save, tmp_path: Path) -> None:
    source = save("a.png")
    ran = cli("stylize", "-", stdin=source.read_bytes())
    (tmp_path / "out.png").write_bytes(ran.out)
    refused = cli("rerun", tmp_path / "out.png").refused_with(3)
    assert "the recipe knows no name of the photo; name it by --source" in refused
    ran = cli("rerun", tmp_path / "out.png", "--source", source, "-o", "-")
    assert ran.out == (tmp_path / "out.png").read_bytes()
    assert ran.err == f"{source} -> standard output (as {tmp_path / 'out.png'})\n"


def test_the_photo_is_found_below_a_folder_by_its_content(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out.jpg"
    cli("stylize", save("a.png"), "-o", out)
    assert "name the photo, or a folder above it, by --source" in _without(cli, tmp_path, out)
    assert cli("rerun", out, "--check", "--source", tmp_path / "photos").code == 0
    (tmp_path / "empty").mkdir()
    ran = cli("rerun", out, "--source", tmp_path / "empty")
    assert "no file below" in ran.refused_with(3)


def _without(cli: Cli, folder: Path, out: Path) -> str:
    (folder / "photos" / "deep").mkdir(parents=True)
    (folder / "a.png").rename(folder / "photos" / "deep" / "renamed.png")
    return cli("rerun", out).refused_with(3)


def test_another_photo_of_the_same_name_is_refused(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out.jpg"
    cli("stylize", save("a.png"), "-o", out)
    save("a.png", colours(seed=1))
    refused = cli("rerun", out).refused_with(3)
    assert f"{tmp_path / 'a.png'} is another file than was painted from: its sha256 is " in refused


def test_a_mask_is_found_by_its_name_and_known_by_its_content(cli: Cli, save: Save, tmp_path: Path) -> None:
    mask = np.zeros((96, 80), np.uint8)
    mask[:, :40] = 255
    out = tmp_path / "out.png"
    cli("stylize", save("a.png"), "-o", out, "--mask", save("masks/m.png", mask))
    refused = cli("rerun", out, "--check").refused_with(3)
    assert "the recipe asks for the mask, m.png of sha256 " in refused
    assert cli("rerun", out, "--check", "--mask", tmp_path / "masks" / "m.png").code == 0
    (tmp_path / "masks" / "m.png").rename(tmp_path / "m.png")
    assert cli("rerun", out, "--check").code == 0
    save("m.png", 255 - mask)
    assert "name the right one by --mask" in cli("rerun", out).refused_with(3)


def test_a_painting_of_the_server_comes_out_again(cli: Cli, save: Save, tmp_path: Path) -> None:
    """Reduced, under touches of a hand, in the palette of another painting: files that came without names."""
    touches = np.zeros((40, 40, 4), np.uint8)
    touches[:20] = 255
    files: Mapping[Part, Path] = {
        "image": save("image.png"),
        "touches": save("touches.png", touches),
        "palette": save("palette.png", colours(seed=3)),
    }
    work = Work("stylize", Settings(paint=0.1), side=64, format="PNG", quality=80)
    out = tmp_path / "out.png"
    out.write_bytes(perform(work, files.get, build(work.settings), Limits(), lambda _: None).data)
    given = [word for part in ("touches", "palette") for word in (f"--{part}", str(files[part]))]
    assert cli("rerun", out, "--check", "--source", files["image"], *given).code == 0
    assert "asks for the palette, a file of sha256" in cli(
        "rerun", out, "--source", files["image"], *given[:2]
    ).refused_with(3)


def test_models_that_differ_are_named(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out.jpg"
    cli("stylize", save("a.png"), "-o", out)
    changed(out, models={"negative": "1" * 64, "gone": "2" * 64})
    refused = cli("rerun", out).refused_with(5)
    assert "gone (222222222222, here none), negative (111111111111, here 000000000000)" in refused
    assert "sfumato models pull gone may bring it" in refused


def test_an_output_must_fit_the_recipe_and_replace_nothing(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out.jpg"
    source = save("a.jpg")
    cli("stylize", source, "-o", out)
    assert "the recipe writes JPEG, which" in cli("rerun", out, "-o", tmp_path / "b.png").refused_with(2)
    for held in (source, out):
        assert "never replaced" in cli("rerun", out, "-o", held, "--overwrite").refused_with(4)
    assert cli("rerun", out, "-o", tmp_path / "b.jpg").code == 0
    assert "exists" in cli("rerun", out, "-o", tmp_path / "b.jpg").refused_with(4)
    assert "cannot share" in cli("rerun", out, "-o", "-", "--json").refused_with(2)


def test_what_holds_no_recipe_is_named(cli: Cli, save: Save, tmp_path: Path) -> None:
    photo = save("a.png")
    refused = cli("rerun", photo).refused_with(3)
    assert "a.png holds no recipe, and there is no a.png.json beside it" in refused
    sidecar_of(photo).write_text('{"schema": 99}')
    refused = cli("rerun", photo).refused_with(3)
    assert "its schema is 99, this version reads 1; use another sfumato" in refused
    assert "no such file" in cli("rerun", tmp_path / "gone.jpg").refused_with(3)
    (tmp_path / "recipe").write_text("{}")
    assert "it has no schema" in cli("rerun", tmp_path / "recipe").refused_with(3)


def test_names_of_files_among_the_settings_are_found_beside_the_painting(tmp_path: Path) -> None:
    from sfumato.recipe import UsedFile, Writing, make_recipe

    (tmp_path / "brush.onnx").write_bytes(b"")
    chosen = Settings(style="brush.onnx", segmenter="sam-vit-b,mine.onnx", restorer="light")
    source = UsedFile("a", "0" * 64, 1)
    recipe = make_recipe(chosen, {}, source, (1, 1), Writing("PNG"))
    found = cli_rerun_files.find_settings(recipe, [tmp_path])
    assert found.style == str(tmp_path / "brush.onnx")
    assert found.segmenter == "sam-vit-b,mine.onnx"
    held = {"segmenter-light": "1" * 64, "sam-vit-b": "1" * 64}
    for models, meant in ((held, "sam-vit-b"), ({"segmenter-light": "1" * 64}, "light"), ({}, "auto")):
        auto = make_recipe(Settings(), models, source, (1, 1), Writing("PNG"))
        assert cli_rerun_files.find_settings(auto, [tmp_path]).segmenter == meant


def test_credentials_of_a_photo_are_said_to_be_lost(cli: Cli, save: Save, tmp_path: Path) -> None:
    photo = save("a.png")
    photo.write_bytes(photo.read_bytes() + _CREDENTIALS)
    ran = cli("stylize", photo, "-o", tmp_path / "out.png")
    assert ran.err == (
        f"sfumato: {photo}: its Content Credentials (C2PA) are not carried over, as they vouch for the photo alone\n"
    )
    assert cli("stylize", photo, "-o", tmp_path / "b.png", "-q").err == ""
    assert _CREDENTIALS not in (tmp_path / "out.png").read_bytes()


@pytest.mark.parametrize("by", ["option", "environment"])
def test_paintings_are_signed_by_the_users_certificate(
    cli: Cli, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    pytest.importorskip("c2pa")
    from cryptography.hazmat.primitives.asymmetric import ec

    from tests.unit.test_signing import identity, read

    mine = identity(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    out = tmp_path / "out.jpg"
    options: list[str | Path] = []
    if by == "option":
        options = ["--sign-cert", mine.certificate, "--sign-key", mine.key]
    else:
        monkeypatch.setenv("SFUMATO_SIGN_CERT", str(mine.certificate))
        monkeypatch.setenv("SFUMATO_SIGN_KEY", str(mine.key))
    assert cli("stylize", save("a.png"), "-o", out, *options).code == 0
    assert read(out.read_bytes(), "JPEG")[0] == "Valid"
    assert cli("rerun", out, "--check").code == 0
    with PIL.Image.open(BytesIO(out.read_bytes())) as opened:
        opened.load()


def test_a_certificate_without_its_key_is_refused(cli: Cli, save: Save, tmp_path: Path) -> None:
    ran = cli("stylize", save("a.png"), "--sign-cert", tmp_path / "a.pem")
    assert "signing takes a certificate and its key" in ran.refused_with(2)
