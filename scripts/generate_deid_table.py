"""Writes the de-identification tables in our own form from published lists of PS3.15's facts.

``python scripts/generate_deid_table.py FOLDER`` reads from FOLDER the attributes of Table E.1-1 of
edition 2024e with their options, those of 2026c with their basic action, and the list of safe
private attributes, and writes services/deid/profile/*.tsv. The union of both editions is taken;
where both name an attribute the newer action counts.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final

from pydicom.datadict import keyword_for_tag

TARGET: Final = Path(__file__).resolve().parents[1] / "services/deid/profile"
OPTIONS: Final = {
    "retain_safe_private": "rtnSafePrivOpt",
    "retain_uids": "rtnUIDsOpt",
    "retain_device_identity": "rtnDevIdOpt",
    "retain_institution_identity": "rtnInstIdOpt",
    "retain_patient_characteristics": "rtnPatCharsOpt",
    "retain_full_dates": "rtnLongFullDatesOpt",
    "retain_modified_dates": "rtnLongModifDatesOpt",
    "clean_descriptors": "cleanDescOpt",
    "clean_structured_content": "cleanStructContOpt",
    "clean_graphics": "cleanGraphOpt",
}
_PRIVATE: Final = "private"


def main(source: Path) -> None:
    """Write every table."""
    rows = _rows(source)
    header = ["tag", "keyword", "edition", "basic", *OPTIONS]
    _write("table_e1_1.tsv", header, [rows[tag] for tag in sorted(rows)])
    digest = hashlib.sha256((TARGET / "table_e1_1.tsv").read_bytes()).hexdigest()
    (TARGET / "table_e1_1.sha256").write_text(f"{digest}\n")
    safe = json.loads((source / "safe_private_pixelmed_2026-07.json").read_text())
    found = {
        (one["group"].lower(), one["creator"], one["element"].lower(), one["vr"])
        for one in safe["safe_private_attributes"]
    }
    _write("safe_private.tsv", ["group", "creator", "element", "vr"], sorted(map(list, found)))


def _rows(source: Path) -> dict[str, list[str]]:
    older = json.loads((source / "ps315_e1_profile_and_options_2024e.json").read_text())
    newer = json.loads((source / "ps315_e1_basic_actions_2026c.json").read_text())["actions"]
    rows = {}
    for entry in older:
        tag = _tag(entry["id"])
        options = [entry.get(name, "") for name in OPTIONS.values()]
        rows[tag] = [tag, _keyword(tag), "2024e", entry["basicProfile"], *options]
    for action, tags in newer.items():
        for place in tags:
            tag = _masked(place)
            row = rows.setdefault(tag, [tag, _keyword(tag), "2026c", action, *[""] * len(OPTIONS)])
            row[3] = action
    return rows


def _tag(identifier: str) -> str:
    name = identifier.lower()
    return _PRIVATE if name.startswith("gggg") else name


def _masked(place: list[Any]) -> str:
    group, element = place[0], place[1]
    if len(place) == 2:
        return f"{group}{element}".lower()
    return f"{group[:2]}xx{'xxxx' if place[3] == '0000' else element}".lower()


def _keyword(tag: str) -> str:
    if tag == _PRIVATE:
        return "PrivateAttributes"
    return keyword_for_tag(int(tag.replace("x", "0"), 16)) or "-"


def _write(name: str, header: list[str], rows: list[list[str]]) -> None:
    with (TARGET / name).open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
