"""The verbs that look after a store."""

from __future__ import annotations

from dataclasses import replace

from ...models import Erased, Purged
from ...operations import ForgetUser, Purge, Reembed, Reindex
from ..base import Call
from .backend import StoreProvider


class Upkeep(StoreProvider):
    """`reembed`, `purge` and the like."""

    async def reembed(self, op: Reembed, call: Call) -> int:
        """Batch by batch, but for memories that are changed meanwhile."""
        store, model, done, last_id = self._store, self._embedder.model, 0, ""
        with store.exclusive():
            total = store.count_stale(model)
            batch = store.stale(model, last_id, op.batch_size)
        while batch:
            vectors = await self._embedder.embed([stored.record.content for stored in batch])
            with store.exclusive():
                for stored, vector in zip(batch, vectors, strict=True):
                    if store.find(stored.record.id) is stored:
                        record = stored.record.model_copy(update={"embedding_model": model})
                        store.put(replace(stored, record=record, vector=vector))
                        done += 1
                last_id = batch[-1].record.id
                batch = store.stale(model, last_id, op.batch_size)
            if op.progress is not None:
                op.progress(done, max(done, total))
        return done

    async def reindex(self, op: Reindex, call: Call) -> int:
        """Nothing: a store has been analysed by the process that it lives in."""
        return 0

    async def forget_user(self, op: ForgetUser, call: Call) -> Erased:
        with self._store.exclusive():
            memories, audit_entries = self._store.forget(op.user_id)
        return Erased(memories=memories, audit_entries=audit_entries)

    async def purge(self, op: Purge, call: Call) -> Purged:
        def remove() -> Purged:
            with self._store.exclusive():
                memories = self._store.remove_ended(op.ended_before)
                entries = 0 if op.audit_before is None else self._store.remove_audit_entries(op.audit_before)
            return Purged(memories=memories, audit_entries=entries)

        purged = await self.ports.run_cpu(remove)
        if op.progress is not None and purged.memories:
            op.progress(purged.memories, purged.memories)
        return purged
