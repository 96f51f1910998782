from __future__ import annotations

import pytest

from gateway.dicomweb import archive
from gateway.dicomweb.archive import Archive, Target
from tests.gateway.dicomweb.conftest import Dicomweb
from tests.support.instances import ct_instance


async def test_what_is_remembered_is_bounded(
    dicomweb: Dicomweb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_REMEMBERED_INSTANCES", 5)
    targets = []
    for series in range(4):
        instances = [
            ct_instance(study_uid="1.2.3", series_uid=f"1.2.3.{series}", number=number)
            for number in range(3)
        ]
        await dicomweb.stored(*instances)
        targets.append(Target("1.2.3", f"1.2.3.{series}", instances[0].SOPInstanceUID))
    reader = Archive(dicomweb.mesh.bearer_channel(None), 60)

    for target in targets:
        assert (await reader.instance(dicomweb.token, target)).target == target

    assert [key[2] for key in reader._series] == ["1.2.3.3"]
