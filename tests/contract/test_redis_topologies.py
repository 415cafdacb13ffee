"""The cached engine behind Redis Sentinel, and on a Redis Cluster."""

from __future__ import annotations

import pytest
import redis
from asgiref.sync import async_to_sync
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_secure_sessions import crypto, lifecycle
from django_secure_sessions.backends import copies as copies_module
from django_secure_sessions.backends import entries
from tests import servers
from tests.cached import cached_engine, django_redis, opened, reopened
from tests.factories import UserFactory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("redis-server"),
]

CONTRIB = "django_secure_sessions.contrib.redis_cluster"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Ask a cache again as soon as it failed, so that no test has to wait."""
    monkeypatch.setattr(copies_module, "PAUSE", 0.0)


@pytest.fixture(scope="module")
def cluster():
    cluster = servers.RedisCluster()
    yield cluster
    cluster.close()


def queries_of_a_read(store, key):
    with CaptureQueriesContext(connection) as asked:
        reopened(store, key)
    return len(asked)


def live_in_an_event_loop(store, user):
    """Read, save, rotate and end a session by the async twins, and by them alone."""
    key = opened(store, user, cart="full").session_key

    @async_to_sync
    async def read(key):
        return await store(key).aget("cart")

    @async_to_sync
    async def save_and_rotate():
        session = store(key)
        await session.aset("cart", "empty")
        await session.asave()
        await session.acycle_key()
        return session.session_key

    @async_to_sync
    async def end():
        await store(new_key).aflush()

    assert read(key) == "full"
    with CaptureQueriesContext(connection) as asked:
        assert read(key) == "full"
    assert len(asked) == 0
    new_key = save_and_rotate()
    assert read(new_key) == "empty"
    end()
    assert read(new_key) is None


class TestSentinel:
    @pytest.fixture
    def master(self):
        server = servers.RedisServer()
        yield server
        server.close()

    @pytest.fixture
    def replica(self, master):
        server = servers.RedisServer("--replicaof", "127.0.0.1", str(master.port))
        client = redis.Redis(port=server.port)
        servers.wait_for(
            lambda: client.info("replication")["master_link_status"] == "up"
        )
        client.close()
        yield server
        server.close()

    @pytest.fixture
    def patience(self):
        """A busy machine is no reason to give a master up."""
        return 10_000

    @pytest.fixture
    def sentinel(self, master, replica, patience):
        server = servers.Sentinel(master, patience)
        client = redis.Redis(port=server.port)
        servers.wait_for(lambda: client.sentinel_slaves(server.name))
        client.close()
        yield server
        server.close()

    @pytest.fixture
    def store(self, settings, sentinel):
        cache = django_redis(
            f"redis://{sentinel.name}/0",
            CLIENT_CLASS="django_redis.client.SentinelClient",
            CONNECTION_FACTORY="django_redis.pool.SentinelConnectionFactory",
            SENTINELS=[("127.0.0.1", sentinel.port)],
        )
        with cached_engine(settings, **cache) as store:
            yield store

    def test_end_is_immediate(self, store, user):
        """Copies are read from the primary, so no replica can lag behind an end."""
        session = opened(store, user)
        key = session.session_key
        reopened(store, key)
        assert queries_of_a_read(store, key) == 0
        for _ in range(20):
            session = opened(store, user)
            reopened(store, session.session_key)
            lifecycle.end(session.public_id)
            assert reopened(store, session.session_key).user_id is None

    def test_async(self, store, user):
        """The async twins read the same copies, and end them at once."""
        live_in_an_event_loop(store, user)

    @pytest.mark.parametrize("patience", [300])
    def test_failover(self, store, user, master, sentinel):
        """While a replica takes over, and after, everybody stays logged in."""
        session = opened(store, user, cart="full")
        client = redis.Redis(port=sentinel.port)
        master.kill()

        def has_moved():
            assert reopened(store, session.session_key)["cart"] == "full"
            _, port = client.sentinel_get_master_addr_by_name(sentinel.name)
            return port != master.port

        servers.wait_for(has_moved)
        client.close()
        servers.wait_for(lambda: not queries_of_a_read(store, session.session_key))

        lifecycle.end_all(user)
        assert reopened(store, session.session_key).user_id is None


class TestCluster:
    @pytest.fixture
    def store(self, settings, cluster):
        cache = django_redis(
            cluster.url,
            CLIENT_CLASS=f"{CONTRIB}.ClusterClient",
            CONNECTION_FACTORY=f"{CONTRIB}.ClusterConnectionFactory",
        )
        with cached_engine(settings, **cache) as store:
            yield store

    def test_sessions_on_every_node(self, store, cluster):
        """Forty users, three masters: every session is cached, and ends at once."""
        users = UserFactory.create_batch(40)
        sessions = [opened(store, user) for user in users]
        nodes = set()
        client = caches["sessions"].client.get_client()
        for session in sessions:
            entry, *others = entries.keys_of(crypto.resolve(session.session_key).digest)
            slot = client.keyslot(caches["sessions"].make_key(entry))
            for key in others:
                assert client.keyslot(caches["sessions"].make_key(key)) == slot
            nodes.add(client.nodes_manager.get_node_from_slot(slot).port)
            assert queries_of_a_read(store, session.session_key) == 0
        assert nodes == {node.port for node in cluster.nodes}

        for session, user in zip(sessions, users, strict=True):
            session["cart"] = "full"
            session.save()
            session.cycle_key()
            assert reopened(store, session.session_key)["cart"] == "full"
            lifecycle.end_all(user)
            assert reopened(store, session.session_key).user_id is None

    def test_async(self, store, user):
        """The async twins read the same copies, and end them at once."""
        live_in_an_event_loop(store, user)

    def test_all_sessions_of_a_user_at_once(self, store, user, settings):
        """They live on different nodes, and are forgotten in one go all the same."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
        sessions = [opened(store, user) for _ in range(20)]
        lifecycle.end_all(user)

        for session in sessions:
            assert reopened(store, session.session_key).user_id is None

    def test_activity_is_flushed_from_every_node(
        self, store, user, settings, clock, capsys
    ):
        """With activity in the cache, the command collects it from all nodes."""
        settings.SECURE_SESSIONS = {"TOUCH_STORE": "cache", "MAX_SESSIONS": None}
        sessions = [opened(store, user) for _ in range(20)]
        clock.shift(300)
        for session in sessions:
            assert reopened(store, session.session_key).touch()
        call_command("flush_activity")

        assert "20 sessions" in capsys.readouterr().out

    def test_lost_node(self, settings, user):
        """One master of three dies: nobody is logged out, an end is an end."""
        cluster = servers.RedisCluster()
        cache = django_redis(
            cluster.url,
            CLIENT_CLASS=f"{CONTRIB}.ClusterClient",
            CONNECTION_FACTORY=f"{CONTRIB}.ClusterConnectionFactory",
            REDIS_CLIENT_KWARGS={"cluster_error_retry_attempts": 1},
        )
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
        try:
            with cached_engine(settings, **cache) as store:
                sessions = [opened(store, user) for _ in range(9)]
                cluster.nodes[1].kill()
                for session in sessions:
                    assert reopened(store, session.session_key).user_id == user.pk
                lifecycle.end_all(user)
                for session in sessions:
                    assert reopened(store, session.session_key).user_id is None
        finally:
            cluster.close()
