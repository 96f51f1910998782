"""Who gets a place: bounds on connections and associations, in all and by address."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Protocol


class Cuttable(Protocol):
    """A connection that can be ended at once."""

    peer_address: str

    def cut(self) -> None:
        """End the connection."""
        ...


class Admission:
    """Counts connections that have not asked for an association yet, and associations.

    A connection that only waits is worth nothing: when an address has too many, or there are too
    many in all, its oldest gives way, so that idle connections never keep a sender out.

    Args:
        max_waiting: Waiting connections in all.
        max_waiting_per_address: The same, of one address.
        max_associations: Associations in all.
        max_associations_per_address: The same, of one address.
    """

    def __init__(
        self,
        *,
        max_waiting: int,
        max_waiting_per_address: int,
        max_associations: int,
        max_associations_per_address: int,
    ) -> None:
        self._max_waiting = max_waiting
        self._max_waiting_per_address = max_waiting_per_address
        self._max_associations = max_associations
        self._max_per_address = max_associations_per_address
        self._waiting: OrderedDict[Cuttable, None] = OrderedDict()
        self._associations: Counter[str] = Counter()

    @property
    def association_count(self) -> int:
        """Associations that have a place."""
        return self._associations.total()

    def wait(self, connection: Cuttable) -> None:
        """Give a new connection a place among the waiting."""
        address = connection.peer_address
        same = [other for other in self._waiting if other.peer_address == address]
        if len(same) >= self._max_waiting_per_address:
            self._give_way(same[0])
        elif len(self._waiting) >= self._max_waiting:
            self._give_way(next(iter(self._waiting)))
        self._waiting[connection] = None

    def leave(self, connection: Cuttable) -> None:
        """Forget a waiting connection."""
        self._waiting.pop(connection, None)

    def cut_waiting(self) -> None:
        """End every connection that waits."""
        while self._waiting:
            self._give_way(next(iter(self._waiting)))

    def enter(self, address: str) -> bool:
        """Take a place for an association; false when there is none."""
        if (
            self.association_count >= self._max_associations
            or self._associations[address] >= self._max_per_address
        ):
            return False
        self._associations[address] += 1
        return True

    def exit(self, address: str) -> None:
        """Give the place of an association back."""
        self._associations[address] -= 1
        if self._associations[address] <= 0:
            del self._associations[address]

    def _give_way(self, connection: Cuttable) -> None:
        self.leave(connection)
        connection.cut()
