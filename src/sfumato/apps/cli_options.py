"""Name every option of the command line once, with its help; nothing is parsed or run here."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from sfumato.settings import Blend, Device, Settings

DEFAULTS = Settings()
PAINTING = "Painting"
FILES = "Files"
OUTPUT = "Output"


def describe(summary: str, *examples: str) -> str:
    """Return the help of a command: what it does, then one example a line."""
    return "\n".join([summary, "", "\b", "Examples:", *(f"  {line}" for line in examples)])


HELP = describe(
    "Turn a portrait photo into a painting that keeps the face. Everything runs on this machine.",
    "sfumato stylize portrait.jpg",
    "sfumato stylize photos/ -o paintings/",
    "sfumato COMMAND --help",
)

STYLIZE_HELP = describe(
    "Paint pictures and keep the faces. Without -o, portrait.jpg becomes portrait.painted.jpg beside it.",
    "sfumato stylize portrait.jpg",
    "sfumato stylize portrait.jpg -o painting.png --paint 0.5 --preserve eyes,skin",
    "sfumato stylize photos/ -o paintings/ --metadata strip",
    "sfumato stylize group.jpg --faces 1,3 --save-layers layers/",
    "sfumato stylize portrait.jpg --preset paper",
    "cat portrait.jpg | sfumato stylize - > painting.jpg",
)

DETECT_HELP = describe(
    "Find the faces of a picture. Boxes and landmarks are in pixels of the upright picture.",
    "sfumato detect portrait.jpg",
    "sfumato detect portrait.jpg --json",
)

SEGMENT_HELP = describe(
    "Write the class of every pixel as a grey PNG of the ids 0 to 8: background, person, skin, left brow, "
    "right brow, left eye, right eye, lips, teeth. Left is the left of the picture.",
    "sfumato segment portrait.jpg",
    "sfumato segment portrait.jpg -o labels.png --overlay overlay.jpg",
)


def _option(*names: str, text: str, panel: str, default: str = "") -> typer.models.OptionInfo:
    info: typer.models.OptionInfo = typer.Option(
        *names, help=text, rich_help_panel=panel, show_default=default or False
    )
    return info


Inputs: TypeAlias = Annotated[
    list[Path], typer.Argument(metavar="INPUT", help="Pictures, folders, or - for standard input.")
]
Input: TypeAlias = Annotated[
    Path, typer.Argument(metavar="INPUT", help="A picture, or - for standard input.")
]
OutputOption: TypeAlias = Annotated[
    Path | None,
    _option("--output", "-o", text="A file, a folder, or - for standard output.", panel=FILES),
]
PresetOption: TypeAlias = Annotated[
    str | None,
    _option(
        "--preset",
        text="Settings that go together: paper, or paper-plus with our blending; others given win. Needs: sfumato "
        "models pull paper.",
        panel=PAINTING,
    ),
]
StyleOption: TypeAlias = Annotated[
    str | None,
    _option(
        "--style",
        text="Style of the painting, a stylizer of models list, a generator's file (.onnx, .safetensors, .pth), or a "
        "painting.",
        panel=PAINTING,
        default=DEFAULTS.style,
    ),
]
StrengthOption: TypeAlias = Annotated[
    float | None,
    _option(
        "--strength",
        text="How far the picture is painted, 0 to 1.",
        panel=PAINTING,
        default=f"{DEFAULTS.strength:g}",
    ),
]
PreserveOption: TypeAlias = Annotated[
    str | None,
    _option(
        "--preserve",
        text="What stays a photo: face, person, none, or parts such as skin,lips or eyes=1,skin=0.6.",
        panel=PAINTING,
        default=DEFAULTS.preserve,
    ),
]
RestorerOption: TypeAlias = Annotated[
    str | None,
    _option(
        "--restorer",
        text="What restores faces: light, a restorer of models list, or weights of GFPGAN or RestoreFormer (.pth, "
        ".safetensors).",
        panel=PAINTING,
        default=DEFAULTS.restorer,
    ),
]
RestoreOption: TypeAlias = Annotated[
    float | None,
    _option(
        "--restore",
        text="How far blurred faces are restored, 0 to 1.",
        panel=PAINTING,
        default=f"{DEFAULTS.restore:g}",
    ),
]
SegmenterOption: TypeAlias = Annotated[
    str | None,
    _option(
        "--segmenter",
        text="What finds the face: auto (the chosen one, else light), light, a segmenter of models list such as "
        "sam-vit-b, or a file of a U-Net or SAM; "
        "of several by comma, the first that is here.",
        panel=PAINTING,
        default=DEFAULTS.segmenter,
    ),
]
DetectorOption: TypeAlias = Annotated[
    str | None,
    _option(
        "--detector", text="What finds faces: light or yunet.", panel=PAINTING, default=DEFAULTS.detector
    ),
]
RecogniserOption: TypeAlias = Annotated[
    str | None,
    _option(
        "--recogniser",
        text="What measures the likeness that --json tells: light or sface.",
        panel=PAINTING,
        default=DEFAULTS.recogniser,
    ),
]
BlendOption: TypeAlias = Annotated[
    Blend | None,
    _option(
        "--blend",
        text="melt the face into the painting, or paste it at a hard edge, as the paper does.",
        panel=PAINTING,
        default=DEFAULTS.blend,
    ),
]
PaintOption: TypeAlias = Annotated[
    float | None,
    _option(
        "--paint",
        text="How far kept faces are painted, 0 to 1.",
        panel=PAINTING,
        default=f"{DEFAULTS.paint:g}",
    ),
]
FeatherOption: TypeAlias = Annotated[
    float | None,
    _option(
        "--feather",
        text="Softness of the edge, 0 to 10; 1 is 1.5 % of the face.",
        panel=PAINTING,
        default=f"{DEFAULTS.feather:g}",
    ),
]
FacesOption: TypeAlias = Annotated[
    str | None,
    _option(
        "--faces",
        text="Faces to keep: all, largest, numbers as detect counts them: 1,3, or places: 0.25:0.4 is a quarter from "
        "the left, four tenths from the top.",
        panel=PAINTING,
        default=DEFAULTS.faces,
    ),
]
MaskOption: TypeAlias = Annotated[
    Path | None,
    _option(
        "--mask",
        text="Own mask of the picture's size: white stays a photo, black is painted.",
        panel=PAINTING,
    ),
]
DeviceOption: TypeAlias = Annotated[
    Device | None,
    _option("--device", text="Where the networks run.", panel=PAINTING, default=DEFAULTS.device),
]
ExactOption: TypeAlias = Annotated[
    bool | None,
    _option(
        "--exact",
        text="Compute in float32: a level of difference between processors at most, slower.",
        panel=PAINTING,
    ),
]
LayersOption: TypeAlias = Annotated[
    Path | None,
    _option(
        "--save-layers",
        text="Folder for the original, restored, painted, mask and result as PNG.",
        panel=FILES,
    ),
]
MetadataOption: TypeAlias = Annotated[
    Literal["keep", "strip"],
    _option("--metadata", text="Keep or drop EXIF, XMP and GPS.", panel=FILES, default="keep"),
]
RecipeOption: TypeAlias = Annotated[
    Literal["none", "mark", "embed", "sidecar"] | None,
    _option(
        "--recipe",
        text="Where it goes how the painting was made: embed it, a sidecar beside it (NAME.json), only the mark that a "
        "network painted it, or none.",
        panel=FILES,
        default="embed; mark with --metadata strip",
    ),
]
SignCertOption: TypeAlias = Annotated[
    Path | None,
    _option("--sign-cert", text="Sign results (C2PA) with this certificate, a PEM chain.", panel=FILES),
]
SignKeyOption: TypeAlias = Annotated[
    Path | None, _option("--sign-key", text="The private key of the certificate, PEM.", panel=FILES)
]
OverwriteOption: TypeAlias = Annotated[
    bool, _option("--overwrite", text="Replace results that exist; an input is never replaced.", panel=FILES)
]
LabelsOption: TypeAlias = Annotated[
    Path | None,
    _option(
        "--output", "-o", text="The PNG of ids.", panel=FILES, default="NAME.labels.png beside the input"
    ),
]
OverlayOption: TypeAlias = Annotated[
    Path | None, _option("--overlay", text="Also write the picture with its classes in colour.", panel=FILES)
]
JsonOption: TypeAlias = Annotated[
    bool, _option("--json", text="Print one JSON object for machines.", panel=OUTPUT)
]
VersionOption: TypeAlias = Annotated[bool, _option("--version", text="Print the version.", panel=OUTPUT)]
QuietOption: TypeAlias = Annotated[
    bool, _option("--quiet", "-q", text="Print nothing but errors.", panel=OUTPUT)
]
