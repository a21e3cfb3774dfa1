"""Reading results documents: the JSON that edgecnn's commands write."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from edgecnn.errors import ResultError
from edgecnn.report.schema import check_record


def read_results(paths: Iterable[str | os.PathLike[str]]) -> list[dict[str, Any]]:
    """All records of some files, in order; each file holds one record or a list of records.

    Raises:
        ResultError: a file cannot be read, is no JSON, or holds a record that this release cannot report.
    """
    records: list[dict[str, Any]] = []
    for path in map(Path, paths):
        try:
            content = path.read_bytes()
        except OSError as exc:
            raise ResultError(f"cannot read {path}: {exc.strerror or exc}") from exc
        records += parse_results(content, str(path))
    return records


def parse_results(text: str | bytes, source: str) -> list[dict[str, Any]]:
    """Records of one document.

    Args:
        text: the JSON; bytes may be UTF-8 with or without a byte order mark, UTF-16 or UTF-32.
        source: what messages call the document, for instance its file name.

    Raises:
        ResultError: names the source, the wrong key, what was expected and what came.
    """
    try:
        document = json.loads(text.lstrip("\ufeff") if isinstance(text, str) else text, parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        reason = " ".join(str(exc).split()) or type(exc).__name__
        raise ResultError(
            f"{source}: expected JSON that edgecnn wrote with --json, got text it cannot read: {reason}"
        ) from exc
    records = document if isinstance(document, list) else [document]
    if not records:
        raise ResultError(f"{source}: expected at least one record, got an empty list")
    if len(records) == 1:
        return [check_record(records[0], source)]
    return [check_record(record, f"{source}, record {number}") for number, record in enumerate(records, 1)]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number in JSON")
