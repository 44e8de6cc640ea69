"""The overlay driver's own options, as a value (pure).

Used by: drivers.overlay.driver and its parts. Knows nothing of: where they were configured.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from drivers.errors import DriverNotSupportedError, DriverOptionError
from drivers.settings import boolean

_BOOLEANS: Final = ("use_composefs", "skip_mount_home", "ignore_chown_errors")
_IGNORED: Final = ("override_kernel_check", "additionallayerstore")
_MASKS: Final = {"shared": 0o755, "private": 0o700}


class OverlayOptions(NamedTuple):
    """What a configuration may ask of overlay.

    ``mount_options`` hold for every mount whose caller gives none. ``image_stores`` are other
    graph roots with read-only layers.
    """

    mount_options: tuple[str, ...] = ()
    image_stores: tuple[str, ...] = ()
    mount_program: str = ""
    skip_mount_home: bool = False
    ignore_chown_errors: bool = False
    use_composefs: bool = False
    force_mask: int | None = None
    size: str = ""
    inodes: str = ""


def parse_options(settings: Sequence[tuple[str, str]]) -> OverlayOptions:
    """Read (key, value) pairs; the last of several wins."""
    values: dict[str, str] = dict(settings)
    known = {"mountopt", "imagestore", "additionalimagestore", "mount_program", "force_mask"}
    known |= {"size", "inodes", *_BOOLEANS, *_IGNORED}
    for key in values:
        if key not in known:
            raise DriverOptionError(
                f"overlay.{key}", "is unknown", remedy=f"known are {', '.join(sorted(known))}"
            )
    flags = {key: boolean(f"overlay.{key}", values.get(key, "false")) for key in _BOOLEANS}
    return OverlayOptions(
        mount_options=_list(values.get("mountopt", "")),
        image_stores=_stores(values),
        mount_program=values.get("mount_program", ""),
        force_mask=_mask(values.get("force_mask", "")),
        size=values.get("size", ""),
        inodes=values.get("inodes", ""),
        **flags,
    )


def refuse_foreign_formats(options: OverlayOptions) -> None:
    """Do not write into, or merge, what needs a format that we do not speak."""
    for option, wanted in (
        ("use_composefs", options.use_composefs),
        ("force_mask", options.force_mask is not None),
    ):
        if wanted:
            raise DriverNotSupportedError(
                "overlay",
                f"storagefs does not know the format of layers written with {option}",
                remedy=f"remove {option} from storage.conf, or use the Go tools",
            )


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _stores(values: dict[str, str]) -> tuple[str, ...]:
    text = values.get("imagestore", "") + "," + values.get("additionalimagestore", "")
    stores = _list(text)
    for store in stores:
        if not store.startswith("/"):
            raise DriverOptionError("overlay.imagestore", f"{store!r} is no absolute path")
    return stores


def _mask(text: str) -> int | None:
    if not text:
        return None
    try:
        return _MASKS[text] if text in _MASKS else int(text, 8)
    except ValueError:
        raise DriverOptionError(
            "overlay.force_mask", f"{text!r} is no octal number", remedy="use shared or private"
        ) from None
