"""
What django-redis lacks for Redis Cluster.

The two classes go into ``OPTIONS["CLIENT_CLASS"]`` and
``OPTIONS["CONNECTION_FACTORY"]`` of the cache alias of the sessions.
"""

from __future__ import annotations

from collections.abc import Collection
from threading import Lock
from typing import Any, ClassVar

from django_redis.client import DefaultClient  # type: ignore[import-untyped]
from django_redis.pool import ConnectionFactory  # type: ignore[import-untyped]
from redis.cluster import RedisCluster


class ClusterConnectionFactory(ConnectionFactory):  # type: ignore[misc]
    """
    Connects django-redis to a Redis Cluster through any one of its nodes.

    The cluster client finds the other nodes and keeps a pool for each, so one client
    serves all threads of the process. ``REDIS_CLIENT_KWARGS`` are its arguments.
    """

    _clusters: ClassVar[dict[str, RedisCluster]] = {}
    _lock: ClassVar[Lock] = Lock()

    def connect(self, url: str) -> RedisCluster:
        with self._lock:
            if url not in self._clusters:
                kwargs = self.make_connection_params(url)
                kwargs.pop("parser_class")
                kwargs |= self.redis_client_cls_kwargs
                self._clusters[url] = RedisCluster.from_url(**kwargs)
            return self._clusters[url]

    def disconnect(self, connection: RedisCluster) -> None:
        """Nothing to do: the connections are the process's, not the request's."""


class ClusterClient(DefaultClient):  # type: ignore[misc]
    """django-redis' client, able to read keys that live on several nodes."""

    def get_many(
        self, keys: Collection[str], version: int | None = None, client: Any = None
    ) -> dict[str, Any]:
        client = client or self.get_client(write=False)
        made = {self.make_key(key, version=version): key for key in keys}
        if not made:
            return {}
        slots = {client.keyslot(key) for key in made}
        read = client.mget if len(slots) == 1 else client.mget_nonatomic
        values = read(list(made))
        return {
            key: self.decode(value)
            for key, value in zip(made.values(), values, strict=True)
            if value is not None
        }
