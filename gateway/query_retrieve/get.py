"""C-GET as provider: instances come back on the association that asked (PS3.4 C.4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gateway.dimse.callers import Registry
from gateway.dimse.commands import C_GET_RQ, InstanceName, Reply
from gateway.dimse.negotiation import ContextResult
from gateway.dimse.service import Request, Responder
from gateway.query_retrieve.models import MODELS
from gateway.query_retrieve.progress import Progress
from gateway.query_retrieve.retrieval import OPTIONS, RefusedError, finished, selected
from gateway.query_retrieve.sending import BegunDataSet, Parcel, send_all
from gateway.query_retrieve.stored import WRITTEN, StoredInstance, StoredInstances
from services.dicom.errors import InconsistentError


class GetService:
    """Answers C-GET.

    Args:
        stored: Finds and reads instances.
        registry: Tells who may be answered.
    """

    operations: Mapping[str, frozenset[int]] = MappingProxyType(
        {model.get: frozenset({C_GET_RQ}) for model in MODELS}
    )
    options: Mapping[str, bytes] = MappingProxyType({model.get: OPTIONS for model in MODELS})

    def __init__(self, stored: StoredInstances, registry: Registry) -> None:
        self._stored = stored
        self._registry = registry

    async def serve(self, request: Request, responder: Responder) -> Reply:
        """See ``Provider``."""
        try:
            instances = await selected(request, self._registry, self._stored)
        except RefusedError as refused:
            return Reply(refused.status)
        progress = Progress(len(instances), request.context.transfer_syntax)

        async def prepare(instance: StoredInstance) -> Parcel:
            context = context_for(instance, responder.contexts)
            data_set = BegunDataSet(self._stored.data_set(instance, context.transfer_syntax))
            await data_set.begin()
            name = InstanceName(instance.sop_class_uid, instance.sop_instance_uid)
            return Parcel(data_set, lambda read: responder.store(context, name, read.chunks()))

        whole = await send_all(instances, progress, responder, prepare)
        return finished(progress, whole=whole)


def context_for(instance: StoredInstance, contexts: Sequence[ContextResult]) -> ContextResult:
    """Return the presentation context in which an instance is sent.

    Its own transfer syntax comes first, then what it can be written in.

    Raises:
        InconsistentError: The peer takes none of them as provider.
    """
    order = (instance.transfer_syntax_uid, *WRITTEN)
    taken = [
        context
        for context in contexts
        if context.abstract_syntax == instance.sop_class_uid
        and context.roles is not None
        and context.roles.provider
        and context.transfer_syntax in order
    ]
    if not taken:
        raise InconsistentError("SOPClassUID", "no presentation context takes it")
    return min(taken, key=lambda context: order.index(context.transfer_syntax))
