"""Reads secrets from the files and variables that `monitor.yaml` names."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from monitor.config.report import Report
from monitor.config.yaml_lines import YamlPath
from monitor.model.secret import Secret

SIZE_MAX = 16_384


class SecretReader:
    """Resolves `secret` and `secret_file`; a path is relative to the configuration file."""

    def __init__(self, folder: Path, report: Report) -> None:
        self.folder = folder
        self._report = report

    def read(
        self, at: YamlPath, key: str, from_environment: str | None, file: str | None
    ) -> Secret | None:
        """Return the secret of a mapping at `at`, None if there is none or it was reported."""
        found = self.read_all(at, key, from_environment, None if file is None else [file])
        return found[0] if found else None

    def read_all(
        self, at: YamlPath, key: str, from_environment: str | None, files: Sequence[str] | None
    ) -> tuple[Secret, ...]:
        """Return every secret of a key that may name several files; what was reported is left out."""
        if from_environment is not None and files is not None:
            message = f"{self._report.name((*at, key))} and {key}_file are both given"
            self._report.error((*at, key), message, "keep one of them")
            return ()
        if from_environment is not None:
            return (Secret(from_environment),)
        where: YamlPath = (*at, f"{key}_file")
        secrets = (self._from_file(where, file) for file in files or ())
        return tuple(secret for secret in secrets if secret is not None)

    def texts(self, at: YamlPath, files: Sequence[str]) -> tuple[str, ...]:
        """Return what files that are no secret hold, such as public keys; several lines are fine."""
        found = (self._from_file(at, file, is_public=True) for file in files)
        return tuple(one.reveal() for one in found if one is not None)

    def _from_file(self, at: YamlPath, file: str, *, is_public: bool = False) -> Secret | None:
        path = self.folder / file
        try:
            mode = path.stat().st_mode
            # Opening a pipe or a device could wait for ever.
            raw = path.read_bytes() if stat.S_ISREG(mode) else None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a path"
            self._report.error(at, f"{self._report.name(at)}: {path} cannot be read: {reason}")
            return None
        text = self._text(at, path, raw, has_lines=is_public)
        if text and mode & stat.S_IROTH and not is_public:
            message = f"{self._report.name(at)}: every user of this machine can read {path}"
            self._report.warn(at, message, f"run chmod 600 {path}")
        return Secret(text) if text else None

    def _text(self, at: YamlPath, path: Path, raw: bytes | None, *, has_lines: bool = False) -> str:
        """Return the one line of the file, or all, or report why there is none and return ''."""
        problem = ""
        text = ""
        if raw is None:
            problem = "is not a regular file"
        elif len(raw) > SIZE_MAX:
            problem = f"is longer than {SIZE_MAX} bytes"
        else:
            try:
                text = raw.decode("utf-8").strip()
            except UnicodeDecodeError:
                problem = "is not UTF-8"
            else:
                if not text:
                    problem = "is empty"
                elif not has_lines and any(ord(letter) < 32 for letter in text):
                    problem = "must hold one line"
        if problem:
            self._report.error(at, f"{self._report.name(at)}: {path} {problem}")
            return ""
        return text
