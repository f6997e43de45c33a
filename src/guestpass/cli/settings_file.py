"""The settings file of ``guestpass serve``, as a command reads it."""

from guestpass.service.settings import MAX_FILE, SettingsError


def read_file(path: str) -> str:
    """Its text. Raises `SettingsError`."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(MAX_FILE + 1)
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: it is no text in UTF-8") from None
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: there is no such file: --config FILE, or begin with guestpass serve --print-example > {path}"
        ) from None
