"""Applies the retention rules, one coordinator at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from heimdallr.retention.v1 import retention_service_pb2 as pb
from services.coordinator.archive.errors import StudyNotFoundError
from services.coordinator.retention.deletions import Deletions
from services.coordinator.retention.errors import StudyKeptError
from services.coordinator.retention.rule import Rule
from services.coordinator.retention.store import RetentionStore
from services.coordinator.workflow.patience import keep_going
from services.runtime import logs
from services.runtime.audit import CallRecorder

APPLIED: Final = "retention.rule_applied"
_METHOD: Final = "/heimdallr.retention.v1.RetentionService/DeleteStudy"
_BATCH: Final = 100
_POLL_S: Final = 5.0


class RuleLoop:
    """Deletes what the rules say, study by study, each deletion in the audit trail.

    Args:
        store: The rules.
        deletions: Deletes studies.
        recorder: Writes the audit trail; what cannot be recorded is not deleted.
        every: Time between two rounds.
        subject: Who deletes, for the trail: the coordinator's name.
    """

    def __init__(
        self,
        store: RetentionStore,
        deletions: Deletions,
        recorder: CallRecorder,
        every: timedelta,
        subject: str,
    ) -> None:
        self._store = store
        self._deletions = deletions
        self._recorder = recorder
        self._every = every
        self._subject = subject

    async def run(self) -> None:
        """Apply the rules on schedule until cancelled."""
        await keep_going("retention", self._look)

    async def apply(self) -> int:
        """Apply every rule that is enabled and return how many studies went."""
        total = 0
        for record in await self._store.rules():
            if record.rule.enabled:
                deleted = await self._apply(record.rule)
                await self._store.note_application(record.rule.name, deleted)
                total += deleted
        return total

    async def _look(self) -> None:
        if await self._store.take_turn(self._every):
            await self.apply()
        await asyncio.sleep(_POLL_S)

    async def _apply(self, rule: Rule) -> int:
        deleted = 0
        while due := await self._store.due(rule, _BATCH):
            gone = [study_id for study_id in due if await self._delete(study_id, rule)]
            deleted += len(gone)
            if len(gone) < len(due):
                # What stays now would be found again and again; its turn comes next time.
                break
        if deleted:
            logs.get_logger().info(APPLIED, task=rule.name, count=deleted)
        return deleted

    async def _delete(self, study_id: str, rule: Rule) -> bool:
        action = AuditAction.AUDIT_ACTION_DELETE_STUDY
        request = pb.DeleteStudyRequest(study_id=study_id)
        entry_id = await self._recorder.begin(_METHOD, action, self._subject, request)
        code, reason = "OK", ""
        try:
            await self._deletions.delete(study_id, subject=self._subject, rule_name=rule.name)
        except (StudyKeptError, StudyNotFoundError) as error:
            code, reason = error.code.name, ErrorReason.Name(error.reason)
            return False
        except BaseException:
            code = "UNKNOWN"
            raise
        finally:
            await self._recorder.end(entry_id, code, reason)
        return True
